/* test_device.c - every kind of device against an array, from one thread and from several; bad input; the checksum. */
#include "database/devices.h"
#include "os/crc32c.h"

#include <sys/resource.h>
#include <signal.h>

enum { BLOCK = 4096, BLOCK_COUNT = 64, REQUEST_COUNT = 32, ROUND_COUNT = 60 };

typedef struct one_request {
    acre_device_request request;
    acre_device_part parts[4];
    unsigned char *memory;
    bool is_done;
} one_request;

static void is_done(acre_device_request *request) { __atomic_store_n(&((one_request *)request->context)->is_done, true, __ATOMIC_RELEASE); }

/* In each round every block takes part in one request at most, so their order does not matter. */
static void random_requests_behave_like_an_array(test_device_kind kind)
{
    test_device d;
    if (!test_device_open(&d, kind, (uint64_t)BLOCK * BLOCK_COUNT)) return;
    unsigned char *const model = calloc(BLOCK_COUNT, BLOCK);
    one_request *const requests = calloc(REQUEST_COUNT, sizeof *requests);
    unsigned char *const memory = aligned_alloc(BLOCK, (size_t)BLOCK * 4 * REQUEST_COUNT);
    memset(memory, 0, (size_t)BLOCK * 4 * REQUEST_COUNT); /* a checker of memory does not see what the kernel writes */
    (void)acre_device_use_memory(d.device, memory, (size_t)BLOCK * 4 * REQUEST_COUNT);
    uint64_t random = 7;
    for (int round = 0; round < ROUND_COUNT; round++) {
        acre_device_request *list[REQUEST_COUNT];
        size_t count = 0;
        for (unsigned block = 0; block < BLOCK_COUNT;) {
            const unsigned length = 1 + (unsigned)(next_random(&random) % 4);
            if (count == REQUEST_COUNT || block + length > BLOCK_COUNT || next_random(&random) % 3 == 0) {
                block++;
                continue;
            }
            one_request *const r = &requests[count];
            *r = (one_request){.memory = memory + count * 4 * BLOCK};
            r->request = (acre_device_request){.verb = next_random(&random) % 2 ? ACRE_DEVICE_READ : ACRE_DEVICE_WRITE,
                                               .offset = (uint64_t)block * BLOCK};
            r->request.parts = r->parts;
            r->request.done = is_done;
            r->request.context = r;
            for (unsigned i = 0; i < length; i++) {
                /* In one piece, or each block by itself. */
                if (i > 0 && block % 2 == 0)
                    r->parts[0].size_bytes += BLOCK;
                else
                    r->parts[r->request.part_count++] = (acre_device_part){.bytes = r->memory + i * BLOCK, .size_bytes = BLOCK};
            }
            if (r->request.verb == ACRE_DEVICE_WRITE)
                for (unsigned i = 0; i < length * BLOCK; i++) r->memory[i] = (unsigned char)next_random(&random);
            list[count++] = &r->request;
            block += length;
        }
        assert_int_equal(acre_device_submit(d.device, list, count), ACRE_OK);
        for (size_t i = 0; i < count; i++) {
            while (!__atomic_load_n(&requests[i].is_done, __ATOMIC_ACQUIRE)) (void)acre_device_poll(d.device, 1000000);
            assert_int_equal(list[i]->status, ACRE_OK);
            if (list[i]->verb == ACRE_DEVICE_READ)
                assert_memory_equal(requests[i].memory, model + list[i]->offset, list[i]->done_bytes);
            else
                memcpy(model + list[i]->offset, requests[i].memory, list[i]->done_bytes);
        }
        if (round % 10 == 0) assert_int_equal(acre_device_flush(d.device), ACRE_OK);
    }
    assert_int_equal(acre_device_poll(d.device, 1000000000), 0); /* nothing in flight: at once */
    test_device_close(&d);
    free(memory);
    free(requests);
    free(model);
}

static void a_simulated_device_behaves_like_an_array(void **state) { random_requests_behave_like_an_array(DEVICE_SIMULATED); }
static void a_file_by_calls_behaves_like_an_array(void **state) { random_requests_behave_like_an_array(DEVICE_CALLS); }
static void a_file_in_the_cache_behaves_like_an_array(void **state) { random_requests_behave_like_an_array(DEVICE_CACHED); }
static void a_file_by_a_ring_behaves_like_an_array(void **state) { random_requests_behave_like_an_array(DEVICE_RING); }

static void what_lies_beyond_the_end_reads_as_zeros(void **state)
{
    for (test_device_kind kind = 0; kind < DEVICE_KIND_COUNT; kind++) {
        test_device d;
        if (!test_device_open(&d, kind, 16 * BLOCK)) continue;
        unsigned char *const memory = aligned_alloc(BLOCK, 4 * BLOCK);
        memset(memory, 7, 4 * BLOCK);
        acre_device_part part = {.bytes = memory, .size_bytes = BLOCK};
        acre_device_request request = {.verb = ACRE_DEVICE_WRITE, .offset = 2 * BLOCK, .parts = &part, .part_count = 1};
        assert_int_equal(acre_device_do(d.device, &request), ACRE_OK);
        uint64_t bytes = 0;
        assert_int_equal(acre_device_size(d.device, &bytes), ACRE_OK);
        assert_int_equal(bytes, 3 * BLOCK);
        memset(memory, 9, 4 * BLOCK);
        part.size_bytes = 3 * BLOCK;
        request.verb = ACRE_DEVICE_READ;
        assert_int_equal(acre_device_do(d.device, &request), ACRE_OK);
        assert_int_equal(request.done_bytes, 3 * BLOCK);
        for (size_t i = 0; i < 4 * (size_t)BLOCK; i++) assert_int_equal(memory[i], i < BLOCK ? 7 : i < 3 * (size_t)BLOCK ? 0 : 9);
        /* An end that is no multiple of the alignment. */
        assert_int_equal(acre_device_resize(d.device, 2 * BLOCK + 1000), ACRE_OK);
        assert_int_equal(acre_device_do(d.device, &request), ACRE_OK);
        assert_int_equal(memory[999], 7);
        assert_int_equal(memory[1000], 0);
        assert_int_equal(memory[2 * BLOCK], 0);
        request.offset = 8 * BLOCK;
        memset(memory, 9, BLOCK);
        assert_int_equal(acre_device_do(d.device, &request), ACRE_OK);
        assert_int_equal(memory[0], 0);
        free(memory);
        test_device_close(&d);
    }
}

/* More requests than the ring has room for. */
static void requests_that_do_not_fit_the_ring_wait_for_their_turn(void **state)
{
    enum { COUNT = 300 };
    acre_device device;
    char path[] = "acre-device-XXXXXX";
    close(mkstemp(path));
    if (acre_device_open_file(&device, path, &(acre_device_file_options){.way = ACRE_DEVICE_RING, .depth = 8}) == ACRE_OK) {
        one_request *const requests = calloc(COUNT, sizeof *requests);
        unsigned char *const memory = aligned_alloc(BLOCK, (size_t)COUNT * BLOCK);
        for (acre_device_verb verb = ACRE_DEVICE_WRITE;; verb = ACRE_DEVICE_READ) {
            acre_device_request *list[COUNT];
            for (size_t i = 0; i < COUNT; i++) {
                memset(memory + i * BLOCK, verb == ACRE_DEVICE_WRITE ? (int)i : 0, BLOCK);
                requests[i].is_done = false;
                requests[i].parts[0] = (acre_device_part){.bytes = memory + i * BLOCK, .size_bytes = BLOCK};
                requests[i].request = (acre_device_request){.verb = verb,
                                                            .offset = i * BLOCK,
                                                            .parts = requests[i].parts,
                                                            .part_count = 1,
                                                            .done = is_done,
                                                            .context = &requests[i]};
                list[i] = &requests[i].request;
            }
            assert_int_equal(acre_device_submit(&device, list, COUNT), ACRE_OK);
            size_t done_count = 0;
            while (done_count < COUNT) done_count += acre_device_poll(&device, 1000000);
            for (size_t i = 0; i < COUNT; i++) {
                assert_true(requests[i].is_done);
                assert_int_equal(list[i]->status, ACRE_OK);
                assert_int_equal(memory[i * BLOCK + 100], (unsigned char)i);
            }
            if (verb == ACRE_DEVICE_READ) break;
        }
        free(memory);
        free(requests);
        acre_device_close(&device);
    }
    unlink(path);
}

typedef struct thread_work {
    acre_device *device;
    unsigned number;
} thread_work;

static void *write_and_read(void *context)
{
    const thread_work *const work = context;
    unsigned char *const memory = aligned_alloc(BLOCK, BLOCK);
    const acre_device_part part = {.bytes = memory, .size_bytes = BLOCK};
    for (unsigned i = 0; i < 200; i++) {
        memset(memory, (int)(work->number * 50 + i % 50), BLOCK);
        acre_device_request request = {
            .verb = ACRE_DEVICE_WRITE, .offset = (uint64_t)(work->number * 8 + i % 8) * BLOCK, .parts = &part, .part_count = 1};
        assert_int_equal(acre_device_do(work->device, &request), ACRE_OK);
        memset(memory, 255, BLOCK);
        request.verb = ACRE_DEVICE_READ;
        assert_int_equal(acre_device_do(work->device, &request), ACRE_OK);
        assert_int_equal(memory[BLOCK - 1], work->number * 50 + i % 50);
    }
    free(memory);
    return NULL;
}

static void threads_reap_for_one_another(void **state)
{
    for (test_device_kind kind = 0; kind < DEVICE_KIND_COUNT; kind++) {
        test_device d;
        if (!test_device_open(&d, kind, 64 * BLOCK)) continue;
        pthread_t threads[4];
        thread_work work[4];
        for (unsigned i = 0; i < 4; i++) {
            work[i] = (thread_work){.device = d.device, .number = i};
            assert_int_equal(pthread_create(&threads[i], NULL, write_and_read, &work[i]), 0);
        }
        for (unsigned i = 0; i < 4; i++) pthread_join(threads[i], NULL);
        test_device_close(&d);
    }
}

/* The system's own limit makes a write short and then impossible. */
static void a_file_that_may_not_grow_says_how_much_was_written(void **state)
{
    for (test_device_kind kind = DEVICE_CALLS; kind < DEVICE_KIND_COUNT; kind++) {
        test_device d;
        if (!test_device_open(&d, kind, 0)) continue;
        struct rlimit before;
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
        const struct rlimit small = {.rlim_cur = 2 * BLOCK, .rlim_max = before.rlim_max};
        void (*const handler)(int) = signal(SIGXFSZ, SIG_IGN);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        unsigned char *const memory = aligned_alloc(BLOCK, 4 * BLOCK);
        memset(memory, 3, 4 * BLOCK);
        const acre_device_part part = {.bytes = memory, .size_bytes = 4 * BLOCK};
        acre_device_request request = {.verb = ACRE_DEVICE_WRITE, .parts = &part, .part_count = 1};
        assert_int_equal(acre_device_do(d.device, &request), ACRE_NO_MEMORY);
        assert_int_equal(request.done_bytes, 2 * BLOCK);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_int_equal(acre_device_do(d.device, &request), ACRE_OK);
        (void)signal(SIGXFSZ, handler);
        free(memory);
        test_device_close(&d);
    }
}

static void bad_requests_are_refused(void **state)
{
    acre_device device;
    assert_int_equal(acre_device_open_file(NULL, "x", NULL), ACRE_INVALID);
    assert_int_equal(acre_device_open_file(&device, NULL, NULL), ACRE_INVALID);
    assert_int_equal(acre_device_open_file(&device, "x", &(acre_device_file_options){.way = 3}), ACRE_INVALID);
    assert_int_equal(acre_device_open_file(&device, "x", &(acre_device_file_options){.depth = 1025}), ACRE_INVALID);
    assert_int_equal(acre_device_open_file(&device, "no/such/folder", NULL), ACRE_IO);
    assert_int_equal(acre_device_init(NULL, NULL, NULL, 1), ACRE_INVALID);
    assert_int_equal(acre_device_init(&device, &(acre_device_ops){.size_bytes = sizeof(acre_device_ops)}, "x", 1), ACRE_INVALID);
    assert_int_equal(acre_device_submit(NULL, NULL, 0), ACRE_INVALID);
    assert_int_equal(acre_device_poll(NULL, 0), 0);
    assert_int_equal(acre_device_do(NULL, NULL), ACRE_INVALID);
    assert_int_equal(acre_device_flush(NULL), ACRE_INVALID);
    assert_int_equal(acre_device_size(NULL, NULL), ACRE_INVALID);
    assert_int_equal(acre_device_resize(NULL, 0), ACRE_INVALID);
    assert_int_equal(acre_device_use_memory(NULL, NULL, 0), ACRE_INVALID);
    assert_false(acre_device_has_ring(NULL));
    acre_device_close(NULL);

    test_device d;
    assert_true(test_device_open(&d, DEVICE_SIMULATED, 16 * BLOCK));
    assert_int_equal(acre_device_init(&device, d.device->ops, "x", 3), ACRE_INVALID);
    _Alignas(512) static unsigned char memory[1024];
    acre_device_part part = {.bytes = memory, .size_bytes = 512};
    const acre_device_request good = {.verb = ACRE_DEVICE_READ, .parts = &part, .part_count = 1};
    acre_device_request bad = good;
    assert_int_equal(acre_device_do(d.device, &bad), ACRE_OK);
    bad.offset = 511;
    assert_int_equal(acre_device_do(d.device, &bad), ACRE_INVALID);
    bad = good;
    bad.verb = 3;
    assert_int_equal(acre_device_do(d.device, &bad), ACRE_INVALID);
    bad = good;
    bad.part_count = ACRE_DEVICE_PARTS_MAX + 1;
    assert_int_equal(acre_device_do(d.device, &bad), ACRE_INVALID);
    bad = good;
    part.bytes = memory + 1;
    assert_int_equal(acre_device_do(d.device, &bad), ACRE_INVALID);
    part.bytes = NULL;
    assert_int_equal(acre_device_do(d.device, &bad), ACRE_INVALID);
    part = (acre_device_part){.bytes = memory, .size_bytes = 0};
    assert_int_equal(acre_device_do(d.device, &bad), ACRE_INVALID);
    bad = (acre_device_request){.verb = ACRE_DEVICE_FLUSH, .part_count = 1, .parts = &part};
    assert_int_equal(acre_device_do(d.device, &bad), ACRE_INVALID);
    test_device_close(&d);
}

static void a_simulated_power_failure_loses_what_was_not_flushed(void **state)
{
    unsigned char *const memory = aligned_alloc(BLOCK, 4 * BLOCK);
    unsigned lost_count = 0;
    unsigned torn_count = 0;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        simulated_world world;
        simulated_device d;
        simulated_world_init(&world, seed);
        simulated_open(&d, &world, 4 * BLOCK);
        const acre_device_part part = {.bytes = memory, .size_bytes = BLOCK};
        acre_device_request request = {.verb = ACRE_DEVICE_WRITE, .parts = &part, .part_count = 1};
        memset(memory, 1, BLOCK);
        assert_int_equal(acre_device_do(&d.device, &request), ACRE_OK);
        assert_int_equal(acre_device_flush(&d.device), ACRE_OK);
        memset(memory, 2, BLOCK);
        assert_int_equal(acre_device_do(&d.device, &request), ACRE_OK);
        world.cut_at = world.event_count + 1;
        assert_int_equal(acre_device_flush(&d.device), ACRE_IO);
        world.is_off = false;
        simulated_restart(&d);
        unsigned old_count = 0;
        for (size_t at = 0; at < BLOCK; at += SIMULATED_SECTOR_BYTES) {
            assert_true(d.durable[at] == 1 || d.durable[at] == 2);
            old_count += d.durable[at] == 1;
        }
        lost_count += old_count == 8;
        torn_count += old_count > 0 && old_count < 8;
        simulated_close(&d);
    }
    assert_true(lost_count > 10 && torn_count > 20);
    free(memory);
}

static void the_checksum_is_castagnolis(void **state)
{
    assert_int_equal(acre_crc32c(0, "123456789", 9), 0xe3069283);
    static unsigned char bytes[20000];
    uint64_t random = 5;
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)next_random(&random);
    for (size_t size = 0; size < 10000; size += 37) {
        const size_t at = size % 19;
        assert_int_equal(acre_crc32c((uint32_t)size, bytes + at, size), acre_crc32c_plain((uint32_t)size, bytes + at, size));
    }
    assert_int_equal(acre_crc32c(acre_crc32c(0, bytes, 5000), bytes + 5000, 9000), acre_crc32c_plain(0, bytes, 14000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_simulated_device_behaves_like_an_array),
        cmocka_unit_test(a_file_by_calls_behaves_like_an_array),
        cmocka_unit_test(a_file_in_the_cache_behaves_like_an_array),
        cmocka_unit_test(a_file_by_a_ring_behaves_like_an_array),
        cmocka_unit_test(what_lies_beyond_the_end_reads_as_zeros),
        cmocka_unit_test(requests_that_do_not_fit_the_ring_wait_for_their_turn),
        cmocka_unit_test(threads_reap_for_one_another),
        cmocka_unit_test(a_file_that_may_not_grow_says_how_much_was_written),
        cmocka_unit_test(bad_requests_are_refused),
        cmocka_unit_test(a_simulated_power_failure_loses_what_was_not_flushed),
        cmocka_unit_test(the_checksum_is_castagnolis),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
