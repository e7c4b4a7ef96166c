/* cuda_check.c - see cuda_check.h. */
#include "cuda_check.h"

#include "cuda_program.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FIRST = 7, WORDS = 1 << 18 };

static bool expect(bool is_right, const char *what) { return is_right || program_wrong("cuda: %s: it is not so", what); }
#define EXPECT(condition) expect(condition, #condition)

/* Filled and stepped by kernels, and summed up. */
static bool use(cu_stream stream, cu_pointer a, uint64_t count, uint32_t first)
{
    uint64_t sum;
    if (!program_fill(stream, a, count, first) || !program_step(stream, a, count) || !program_sum(stream, a, count, &sum)) return false;
    return EXPECT(sum == program_sum_of(count, first, true));
}

static bool is_stepped(const uint32_t *a, uint64_t count, uint32_t first)
{
    uint64_t wrong = 0;
    for (uint64_t i = 0; i < count; i++) wrong += a[i] != (first + (uint32_t)i) * 3 + 1;
    return EXPECT(wrong == 0);
}

static void host_fill(uint32_t *a, uint64_t count, uint32_t first)
{
    for (uint64_t i = 0; i < count; i++) a[i] = first + (uint32_t)i;
}

static bool holds(cu_stream stream, cu_pointer a, uint64_t count, uint32_t first)
{
    uint64_t wrong;
    return program_compare(stream, a, count, first, &wrong) && EXPECT(wrong == 0);
}

/* ---- facts ---- */

static bool check_facts(acre_cuda *cuda)
{
    acre_cuda_facts facts;
    acre_cuda_memory memory;
    acre_cuda *again, *none = NULL;
    uint64_t before, after, total;
    const uint64_t bytes = 64 << 20;
    if (!ACRE(acre_cuda_query(cuda, &facts)) || !ACRE(acre_cuda_budget(cuda, &before, &total))) return false;
    printf("%s: driver %d, %" PRIu64 " MiB, %" PRIu64 " free; granule %" PRIu64 " KiB; managed %d, migrates %d, maps host %d, pools %d, "
           "growth %d, export %d, integrated %d\n",
           facts.name, facts.driver_version, facts.total_bytes >> 20, before >> 20, facts.granule_bytes >> 10, facts.has_managed,
           facts.migrates_managed, facts.maps_host, facts.has_pools, facts.has_growth, facts.has_export, facts.is_integrated);
    if (!ACRE(acre_cuda_alloc(cuda, ACRE_CUDA_DEVICE, bytes, &memory)) || !ACRE(acre_cuda_budget(cuda, &after, &total))) return false;
    if (!EXPECT(before - after >= bytes) || !EXPECT(after < total) || !EXPECT(acre_cuda_close(cuda) == ACRE_BUSY)) return false;
    if (!ACRE(acre_cuda_free(cuda, &memory)) || !EXPECT(acre_cuda_open(&(acre_cuda_options){.device = 99}, &none) == ACRE_INVALID))
        return false;
    for (int i = 0; i < 3; i++)
        if (!ACRE(acre_cuda_open(NULL, &again)) || !ACRE(acre_cuda_close(again))) return false;
    return true;
}

/* ---- memory ---- */

/* What the host wrote is what the device reads, and the other way round. */
static bool share(cu_stream stream, const acre_cuda_memory *memory, uint64_t count)
{
    if (!use(stream, memory->address, count, FIRST) || !is_stepped(memory->host, count, FIRST)) return false;
    host_fill(memory->host, count, FIRST + 1);
    return holds(stream, memory->address, count, FIRST + 1);
}

static bool copy_through(const acre_cuda_memory *pinned, const acre_cuda_memory *device, uint64_t count)
{
    const size_t bytes = count * sizeof(uint32_t);
    host_fill(pinned->host, count, FIRST);
    if (!DRIVER(copy_to, device->address, pinned->host, bytes) || !program_step(NULL, device->address, count)) return false;
    memset(pinned->host, 0, bytes);
    return DRIVER(copy_from, pinned->host, device->address, bytes) && is_stepped(pinned->host, count, FIRST);
}

static bool check_memory(acre_cuda *cuda, cu_stream stream)
{
    const uint64_t count = WORDS + 1000, bytes = count * sizeof(uint32_t);
    acre_cuda_facts facts;
    acre_cuda_memory memory[4], registered, stale;
    uint32_t *const own = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    if (own == NULL || !ACRE(acre_cuda_query(cuda, &facts))) return false;
    for (int kind = ACRE_CUDA_DEVICE; kind <= ACRE_CUDA_MAPPED; kind++)
        if (!ACRE(acre_cuda_alloc(cuda, (acre_cuda_kind)kind, bytes, &memory[kind]))) return false;
    if (!ACRE(acre_cuda_register(cuda, own, bytes, &registered))) return false;
    if (!EXPECT(acre_cuda_register(cuda, own, bytes, &stale) == ACRE_INVALID)) return false;
    if (!use(stream, memory[ACRE_CUDA_DEVICE].address, count, FIRST) || !share(stream, &memory[ACRE_CUDA_MANAGED], count) ||
        !share(stream, &memory[ACRE_CUDA_MAPPED], count) || !share(stream, &registered, count) ||
        !copy_through(&memory[ACRE_CUDA_PINNED], &memory[ACRE_CUDA_DEVICE], count))
        return false;
    stale = memory[ACRE_CUDA_DEVICE];
    for (int kind = ACRE_CUDA_DEVICE; kind <= ACRE_CUDA_MAPPED; kind++)
        if (!ACRE(acre_cuda_free(cuda, &memory[kind]))) return false;
    if (!ACRE(acre_cuda_free(cuda, &registered))) return false;
    free(own);
    if (!EXPECT(acre_cuda_free(cuda, &stale) == ACRE_BAD_POINTER)) return false;
    return EXPECT(acre_cuda_alloc(cuda, ACRE_CUDA_DEVICE, facts.total_bytes * 2, &stale) == ACRE_NO_MEMORY);
}

/* No advice changes what is there. */
static bool check_advice(acre_cuda *cuda, cu_stream stream)
{
    const uint64_t count = 4 * WORDS, bytes = count * sizeof(uint32_t);
    acre_cuda_memory memory;
    acre_cuda_facts facts;
    if (!ACRE(acre_cuda_query(cuda, &facts)) || !ACRE(acre_cuda_alloc(cuda, ACRE_CUDA_MANAGED, bytes, &memory))) return false;
    for (int advice = ACRE_CUDA_READ_MOSTLY; facts.migrates_managed && advice <= ACRE_CUDA_DEVICE_USES_NOT; advice++) {
        if (!ACRE(acre_cuda_advise(cuda, &memory, 0, bytes, (acre_cuda_advice)advice))) return false;
        host_fill(memory.host, count, FIRST + (uint32_t)advice);
        if (!ACRE(acre_cuda_prefetch(cuda, &memory, bytes / 2, bytes / 2, false, stream))) return false;
        if (!holds(stream, memory.address, count, FIRST + (uint32_t)advice) || !program_step(stream, memory.address, count)) return false;
        if (!ACRE(acre_cuda_prefetch(cuda, &memory, 0, bytes, true, stream)) || !DRIVER(stream_synchronize, stream)) return false;
        if (!is_stepped(memory.host, count, FIRST + (uint32_t)advice)) return false;
    }
    if (!EXPECT(!facts.migrates_managed || acre_cuda_advise(cuda, &memory, 1, bytes, ACRE_CUDA_READ_MOSTLY) == ACRE_INVALID)) return false;
    return ACRE(acre_cuda_free(cuda, &memory));
}

/* ---- between processes ---- */

static bool use_imported(acre_cuda *cuda, const unsigned char *bytes, uint64_t count)
{
    acre_cuda_memory memory;
    if (!ACRE(acre_cuda_import(cuda, bytes, &memory))) return false;
    if (!holds(NULL, memory.address, count, FIRST) || !program_step(NULL, memory.address, count) || !DRIVER(stream_synchronize, NULL))
        return false;
    return ACRE(acre_cuda_free(cuda, &memory));
}

bool check_import(acre_cuda *cuda, const char *hex, uint64_t count)
{
    unsigned char bytes[ACRE_CUDA_EXPORT_BYTES];
    for (int i = 0; i < ACRE_CUDA_EXPORT_BYTES; i++) {
        char digits[3] = "";
        memcpy(digits, hex + 2 * (size_t)i, 2);
        bytes[i] = (unsigned char)strtoul(digits, NULL, 16);
    }
    return use_imported(cuda, bytes, count);
}

static bool run_child(const unsigned char *bytes, uint64_t count)
{
    char hex[2 * ACRE_CUDA_EXPORT_BYTES + 1], words[24];
    for (size_t i = 0; i < ACRE_CUDA_EXPORT_BYTES; i++) (void)snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
    (void)snprintf(words, sizeof words, "%" PRIu64, count);
    (void)fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        (void)execl("/proc/self/exe", "cuda", "--import", hex, words, (char *)NULL);
        _exit(127);
    }
    int status = 1;
    if (child < 0 || waitpid(child, &status, 0) != child) return program_wrong("cuda: there is no child");
    return EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Small blocks too: the driver has several of them in one piece of memory, and it is that piece which another process opens. */
static bool check_export(acre_cuda *cuda, const check_options *options)
{
    static const uint64_t counts[] = {WORDS * 4, 1024, 1000, 64};
    enum { COUNT = sizeof counts / sizeof counts[0] };
    acre_cuda_memory memory[COUNT];
    bool is_right = true;
    for (int i = 0; i < COUNT; i++)
        if (!ACRE(acre_cuda_alloc(cuda, ACRE_CUDA_DEVICE, counts[i] * sizeof(uint32_t), &memory[i]))) return false;
    for (int i = 0; i < COUNT; i++) {
        unsigned char bytes[ACRE_CUDA_EXPORT_BYTES];
        uint64_t sum;
        if (!program_fill(NULL, memory[i].address, counts[i], FIRST) || !DRIVER(stream_synchronize, NULL)) return false;
        if (!ACRE(acre_cuda_export(cuda, &memory[i], bytes))) return false;
        const bool is_used = options->is_one_process ? use_imported(cuda, bytes, counts[i]) : run_child(bytes, counts[i]);
        if (!program_sum(NULL, memory[i].address, counts[i], &sum)) return false;
        if (!is_used || sum != program_sum_of(counts[i], FIRST, true))
            is_right = program_wrong("cuda: %" PRIu64 " words at 0x%llx are not what another process made of them", counts[i],
                                     (unsigned long long)memory[i].address);
    }
    for (int i = 0; i < COUNT; i++)
        if (!ACRE(acre_cuda_free(cuda, &memory[i]))) return false;
    return is_right;
}

/* ---- growth ---- */

static bool check_growth(acre_cuda *cuda, cu_stream stream)
{
    acre_cuda_facts facts;
    acre_cuda_growth *growth;
    if (!ACRE(acre_cuda_query(cuda, &facts))) return false;
    if (!facts.has_growth) return true;
    const uint64_t step = facts.granule_bytes, words = step / sizeof(uint32_t);
    uint64_t before, after, total;
    if (!ACRE(acre_cuda_budget(cuda, &before, &total)) || !ACRE(acre_cuda_growth_open(cuda, 16 * step, 0, &growth))) return false;
    const uint64_t at = acre_cuda_growth_address(growth);
    for (unsigned steps = 1; steps <= 16; steps *= 2) {
        if (!ACRE(acre_cuda_growth_resize(growth, steps * step - 1)) || !EXPECT(acre_cuda_growth_size(growth) == steps * step))
            return false;
        if (steps > 1 && !holds(stream, at, words * steps / 2, steps / 2)) return false;
        if (!program_fill(stream, at, words * steps, steps)) return false;
    }
    if (!holds(stream, at, words * 16, 16) || !ACRE(acre_cuda_growth_resize(growth, 3 * step)) || !holds(stream, at, words * 3, 16))
        return false;
    if (!ACRE(acre_cuda_growth_resize(growth, 5 * step)) || !holds(stream, at, words * 3, 16) || !use(stream, at, words * 5, FIRST))
        return false;
    if (!EXPECT(acre_cuda_growth_resize(growth, 17 * step) == ACRE_INVALID) || !EXPECT(acre_cuda_growth_address(growth) == at))
        return false;
    if (!ACRE(acre_cuda_growth_close(growth)) || !ACRE(acre_cuda_budget(cuda, &after, &total))) return false;
    return EXPECT(after + 2 * step + (4 << 20) >= before); /* the driver may keep tables */
}

/* ---- pools ---- */

/* A block is freed while the device is kept from using it, and another stream writes what it gets. */
static bool check_order(acre_cuda *cuda, uint32_t reuse, bool is_drivers, cu_stream *streams)
{
    acre_cuda_pool *pool;
    acre_cuda_mark *mark = NULL;
    cu_event event;
    acre_cuda_block first, second;
    uint64_t ns = 3000000, wrong = 0;
    const acre_cuda_pool_options options = {.release_threshold_bytes = UINT64_MAX, .reuse = reuse, .is_drivers = is_drivers};
    if (!ACRE(acre_cuda_pool_create(cuda, &options, &pool)) || !DRIVER(event_create, &event, CU_EVENT_DISABLE_TIMING)) return false;
    for (uint32_t round = 0; round < 8; round++) {
        if (!ACRE(acre_cuda_pool_alloc(pool, streams[0], WORDS * sizeof(uint32_t), &first))) return false;
        if (!program_launch(streams[0], KERNEL_WAIT, (void *[]){&ns}) || !program_fill(streams[0], first.address, WORDS, round) ||
            !program_compare_later(streams[0], first.address, WORDS, round) || !ACRE(acre_cuda_pool_free(pool, streams[0], first.address)))
            return false;
        if (reuse == ACRE_CUDA_REUSE_FOLLOWED &&
            (!DRIVER(event_record, event, streams[0]) || !ACRE(acre_cuda_pool_record(pool, streams[0], &mark)) ||
             !DRIVER(stream_wait_event, streams[1], event, 0) || !ACRE(acre_cuda_pool_wait(pool, streams[1], mark))))
            return false;
        if (!ACRE(acre_cuda_pool_alloc(pool, streams[1], WORDS * sizeof(uint32_t), &second))) return false;
        if (!program_fill(streams[1], second.address, WORDS, ~round) || !program_compare_later(streams[1], second.address, WORDS, ~round) ||
            !ACRE(acre_cuda_pool_free(pool, streams[1], second.address)))
            return false;
        if (!ACRE(acre_cuda_pool_synchronise(pool, streams[0])) || !ACRE(acre_cuda_pool_synchronise(pool, streams[1]))) return false;
        if (!program_wrong_count(&wrong) || !EXPECT(wrong == 0)) return false;
    }
    acre_cuda_pool_figures figures;
    if (!ACRE(acre_cuda_pool_read_figures(pool, &figures))) return false;
    printf("    %s, reuse %x: same %" PRIu64 ", followed %" PRIu64 ", passed %" PRIu64 ", waited %" PRIu64 ", of the driver %" PRIu64
           "; held %" PRIu64 " KiB\n",
           is_drivers ? "the driver's pool" : "acre's pool", reuse, figures.same_count, figures.followed_count, figures.passed_count,
           figures.waited_count, figures.driver_count, figures.held_bytes >> 10);
    if (!ACRE(acre_cuda_pool_set_threshold(pool, 0)) || !ACRE(acre_cuda_pool_trim(pool, 0)) ||
        !ACRE(acre_cuda_pool_forget(pool, streams[0])) || !ACRE(acre_cuda_pool_forget(pool, streams[1])) ||
        !ACRE(acre_cuda_pool_read_figures(pool, &figures)) || !EXPECT(figures.held_bytes == 0))
        return false;
    acre_cuda_mark_free(mark);
    return DRIVER(event_destroy, event) && ACRE(acre_cuda_pool_destroy(pool));
}

/* Out of the limit: what waits is waited for. */
static bool check_limit(acre_cuda *cuda, cu_stream *streams)
{
    acre_cuda_pool *pool;
    acre_cuda_block block, other;
    uint64_t ns = 2000000;
    const uint64_t bytes = 4 << 20;
    acre_cuda_pool_figures figures;
    const acre_cuda_pool_options options = {.limit_bytes = bytes + bytes / 2, .reuse = ACRE_CUDA_REUSE_PASSED};
    if (!ACRE(acre_cuda_pool_create(cuda, &options, &pool)) || !ACRE(acre_cuda_pool_alloc(pool, streams[0], bytes, &block))) return false;
    if (!EXPECT(acre_cuda_pool_alloc(pool, streams[1], bytes, &other) == ACRE_NO_MEMORY)) return false;
    if (!program_launch(streams[0], KERNEL_WAIT, (void *[]){&ns}) || !ACRE(acre_cuda_pool_free(pool, streams[0], block.address)))
        return false;
    if (!ACRE(acre_cuda_pool_alloc(pool, streams[1], bytes, &other)) || !use(streams[1], other.address, bytes / 4, FIRST)) return false;
    if (!ACRE(acre_cuda_pool_read_figures(pool, &figures)) || !EXPECT(figures.used_bytes == bytes)) return false;
    if (!EXPECT(acre_cuda_pool_free(pool, streams[1], other.address + 256) == ACRE_BAD_POINTER)) return false;
    return ACRE(acre_cuda_pool_free(pool, streams[1], other.address)) && ACRE(acre_cuda_pool_destroy(pool));
}

enum { STREAMS = 4, LIVE = 48, STREAM_WORDS_MAX = 1 << 19 };

typedef struct mixing {
    acre_cuda_pool *pool;
    cu_stream *streams;
    unsigned steps, number;
    bool is_good;
} mixing;

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Blocks of all sizes are filled in one stream, compared later in the same one, and freed there. */
static bool mix(const mixing *m)
{
    struct {
        acre_cuda_block block;
        cu_stream stream;
        uint64_t words;
        uint32_t first;
    } live[LIVE] = {{.words = 0}}, *slot;
    uint64_t random = 88172645463325252U + m->number;
    for (unsigned step = 0; step < m->steps + LIVE; step++) {
        const uint64_t drawn = next_random(&random);
        slot = &live[step < m->steps ? drawn % LIVE : step - m->steps];
        if (slot->words > 0) {
            if (!program_compare_later(slot->stream, slot->block.address, slot->words, slot->first)) return false;
            if (!ACRE(acre_cuda_pool_free(m->pool, slot->stream, slot->block.address))) return false;
            slot->words = 0;
        }
        if (step >= m->steps) continue;
        slot->words = 1 + (drawn >> 8) % (STREAM_WORDS_MAX >> (drawn >> 40) % 14);
        slot->stream = m->streams[(drawn >> 32) % STREAMS];
        slot->first = (uint32_t)drawn;
        if (!ACRE(acre_cuda_pool_alloc(m->pool, slot->stream, slot->words * sizeof(uint32_t), &slot->block))) return false;
        if (!EXPECT(slot->block.address % 256 == 0 && slot->block.size_bytes >= slot->words * sizeof(uint32_t))) return false;
        if (!program_fill(slot->stream, slot->block.address, slot->words, slot->first)) return false;
        if (step % 256 == 0 && !ACRE(acre_cuda_pool_synchronise(m->pool, slot->stream))) return false;
    }
    return true;
}

static void *run_mix(void *context)
{
    mixing *const m = context;
    m->is_good = program_enter() && mix(m);
    program_leave();
    return NULL;
}

/* Four threads, four streams that all of them use. */
static bool check_mix(acre_cuda *cuda, const check_options *options, bool is_drivers, cu_stream *streams)
{
    acre_cuda_pool *pool;
    acre_cuda_pool_figures figures;
    pthread_t threads[4];
    mixing mixes[4];
    uint64_t wrong;
    bool is_good = true;
    const acre_cuda_pool_options wanted = {.release_threshold_bytes = 64 << 20, .is_drivers = is_drivers};
    if (!ACRE(acre_cuda_pool_create(cuda, &wanted, &pool))) return false;
    for (unsigned i = 0; i < 4; i++) {
        mixes[i] = (mixing){.pool = pool, .streams = streams, .steps = 8000 / options->scale, .number = i};
        if (pthread_create(&threads[i], NULL, run_mix, &mixes[i]) != 0) return program_wrong("cuda: no thread");
    }
    for (unsigned i = 0; i < 4; i++) is_good &= pthread_join(threads[i], NULL) == 0 && mixes[i].is_good;
    for (unsigned i = 0; i < STREAMS; i++) is_good &= ACRE(acre_cuda_pool_synchronise(pool, streams[i]));
    if (!is_good || !program_wrong_count(&wrong) || !EXPECT(wrong == 0) || !ACRE(acre_cuda_pool_read_figures(pool, &figures))) return false;
    printf("    %s, 4 threads, 4 streams: same %" PRIu64 ", followed %" PRIu64 ", passed %" PRIu64 ", waited %" PRIu64
           ", of the driver %" PRIu64 ", back %" PRIu64 "; held %" PRIu64 " MiB of %" PRIu64 " at most\n",
           is_drivers ? "the driver's pool" : "acre's pool", figures.same_count, figures.followed_count, figures.passed_count,
           figures.waited_count, figures.driver_count, figures.released_count, figures.held_bytes >> 20, figures.held_bytes_max >> 20);
    return EXPECT(figures.used_bytes == 0) && ACRE(acre_cuda_pool_destroy(pool));
}

static bool check_pools(acre_cuda *cuda, const check_options *options, cu_stream *streams)
{
    acre_cuda_facts facts;
    if (!ACRE(acre_cuda_query(cuda, &facts))) return false;
    for (int is_drivers = 0; is_drivers <= facts.has_pools; is_drivers++) {
        for (uint32_t reuse = 1; reuse <= ACRE_CUDA_REUSE_ALL; reuse = reuse == 4 ? 7 : reuse * 2)
            if (!check_order(cuda, reuse, is_drivers != 0, streams)) return false;
        if (!check_mix(cuda, options, is_drivers != 0, streams)) return false;
    }
    return check_limit(cuda, streams);
}

/* ---- below the manager ---- */

static bool check_manager(acre_cuda *cuda, cu_stream stream)
{
    acre_gpu *gpu;
    acre_gpu_driver *const driver = acre_cuda_gpu_driver(cuda);
    if (!ACRE(acre_gpu_open(driver, NULL, &gpu))) return false;
    const acre_gpu_device *const device = acre_gpu_read_device(gpu);
    for (uint32_t type = 0; type < device->type_count; type++) {
        acre_gpu_memory memory[2];
        acre_gpu_memory_info info[2];
        void *pointer;
        for (int i = 0; i < 2; i++)
            if (!ACRE(acre_gpu_alloc(gpu, &(acre_gpu_request){.size_bytes = WORDS * sizeof(uint32_t), .type_mask = 1u << type},
                                     &memory[i])) ||
                !ACRE(acre_gpu_read_memory(gpu, memory[i], &info[i])) || !EXPECT(info[i].type == type))
                return false;
        if (!use(stream, info[0].handle + info[0].offset_bytes, WORDS, FIRST)) return false;
        if (!ACRE(driver->ops->copy(driver, info[1].handle, info[1].offset_bytes, info[0].handle, info[0].offset_bytes,
                                    WORDS * sizeof(uint32_t))))
            return false;
        if ((device->types[type].flags & ACRE_GPU_HOST_VISIBLE) != 0 &&
            (!ACRE(acre_gpu_map(gpu, memory[1], &pointer)) || !is_stepped(pointer, WORDS, FIRST) || !ACRE(acre_gpu_unmap(gpu, memory[1]))))
            return false;
        uint64_t sum;
        if (!program_sum(stream, info[1].handle + info[1].offset_bytes, WORDS, &sum) || !EXPECT(sum == program_sum_of(WORDS, FIRST, true)))
            return false;
        if (!ACRE(acre_gpu_free(gpu, memory[0])) || !ACRE(acre_gpu_free(gpu, memory[1]))) return false;
    }
    return ACRE(acre_gpu_check(gpu)) && ACRE(acre_gpu_close(gpu));
}

static bool told(bool is_right, const char *what)
{
    printf("%s %s\n", is_right ? "ok" : "not ok", what);
    (void)fflush(stdout);
    return is_right;
}

bool check_all(acre_cuda *cuda, const check_options *options)
{
    cu_stream streams[STREAMS];
    for (int i = 0; i < STREAMS; i++)
        if (!DRIVER(stream_create, &streams[i], CU_STREAM_NON_BLOCKING)) return false;
    bool is_right = told(check_facts(cuda), "a device is opened, and says what it is and what is free");
    is_right &= told(check_memory(cuda, streams[0]), "memory of every kind, used by kernels and by the host");
    is_right &= told(check_advice(cuda, streams[0]), "advice and prefetches");
    is_right &= told(check_export(cuda, options), "memory between processes");
    is_right &= told(check_growth(cuda, streams[0]), "growth");
    is_right &= told(check_pools(cuda, options, streams), "pools in the order of streams");
    is_right &= told(check_manager(cuda, streams[0]), "a manager over every type of memory");
    for (int i = 0; i < STREAMS; i++) is_right &= DRIVER(stream_destroy, streams[i]);
    return is_right;
}
