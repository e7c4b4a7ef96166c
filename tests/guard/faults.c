/* faults.c - programs with one bug of memory each, to see what finds it.
 *
 *     faults --list       a line a case: its name, its family, the fault that acre reports ("-": none, it shows in the program), and
 *                         the levels that must find it: 0, 1, 2, and 3 for L3:1/1
 *     faults CASE         makes the bug; exit code 0 when nothing noticed, 77 when the case needs what is not there
 *
 * Linked with nothing but the C library, so that any malloc can be preloaded. Compiled without optimisation and without knowledge of
 * the functions, so that the bugs stay.
 */
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { NOTICED = 3, NOT_HERE = 77 };

/* C23 and C++, where they are. */
extern void free_sized(void *block, size_t size) __attribute__((weak));
extern void free_aligned_sized(void *block, size_t alignment, size_t size) __attribute__((weak));
extern void *_Znwm(size_t size) __attribute__((weak));
extern void _ZdlPv(void *block) __attribute__((weak));
extern void _ZdlPvm(void *block, size_t size) __attribute__((weak));

typedef volatile char *bytes;

/* What is read must not be left out. */
static volatile char sink;

static char *get(size_t size)
{
    char *const block = malloc(size);
    if (block == NULL) exit(NOT_HERE);
    for (size_t i = 0; i < size; i++) ((bytes)block)[i] = (char)i;
    return block;
}

static void busy(size_t size, int count)
{
    for (int i = 0; i < count; i++) free(get(size));
}

static void in_thread(void *(*work)(void *), void *argument)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, work, argument) != 0) exit(NOT_HERE);
    (void)pthread_join(thread, NULL);
}

/* ---- writes behind a block ---- */

static void write_behind(size_t size, size_t count)
{
    char *const before = get(size), *const block = get(size), *const after = get(size);
    for (size_t i = 0; i < count; i++) ((bytes)block)[size + i] = 'x';
    free(block);
    free(before);
    free(after);
}

static void overflow_by_1(void) { write_behind(24, 1); }
static void overflow_by_2(void) { write_behind(22, 2); }
static void overflow_by_4(void) { write_behind(20, 4); }
static void overflow_by_8(void) { write_behind(40, 8); }
static void overflow_by_16(void) { write_behind(72, 16); }
static void overflow_by_1_of_a_full_block(void) { write_behind(32, 1); }
static void overflow_by_8_of_a_full_block(void) { write_behind(64, 8); }
static void overflow_over_the_next_block(void) { write_behind(24, 64); }
static void overflow_of_8000_bytes(void) { write_behind(8000, 1); }
static void overflow_of_100000_bytes(void) { write_behind(100000, 1); }
static void overflow_of_whole_pages(void) { write_behind(65536, 1); }

static void overflow_by_an_ending_0(void)
{
    static const char word[] = "twenty-four letters long";
    char *const block = get(sizeof word - 1);
    for (size_t i = 0; i < sizeof word; i++) ((bytes)block)[i] = word[i];
    free(block);
}

static void overflow_seen_by_realloc(void)
{
    char *block = get(24);
    ((bytes)block)[25] = 'x';
    block = realloc(block, 5000);
    free(block);
}

static void overflow_of_a_block_never_freed(void) { ((bytes)get(24))[24] = 'x'; }

static void overflow_of_calloc(void)
{
    char *const block = calloc(5, 5);
    ((bytes)block)[25] = 'x';
    free(block);
}

static void overflow_of_aligned_alloc(void)
{
    char *const block = aligned_alloc(64, 100);
    ((bytes)block)[100] = 'x';
    free(block);
}

static void overflow_after_shrinking(void)
{
    char *block = get(60);
    block = realloc(block, 50);
    ((bytes)block)[50] = 'x';
    free(block);
}

/* ---- writes in front of a block ---- */

static void write_before(size_t size, size_t count)
{
    char *blocks[8];
    for (int i = 0; i < 8; i++) blocks[i] = get(size);
    for (int i = 1; i < 8; i++) /* in front of the first there may be nothing at all */
        for (size_t j = 1; j <= count; j++) ((bytes)blocks[i])[-(ptrdiff_t)j] = 'x';
    for (int i = 0; i < 8; i++) free(blocks[i]);
}

static void underflow_by_1(void) { write_before(24, 1); }
static void underflow_by_8(void) { write_before(24, 8); }
static void underflow_by_1_in_front_of_a_full_block(void) { write_before(48, 1); }

/* ---- reads that nobody sees in the bytes ---- */

static void read_behind_a_page(void)
{
    char *const block = get(4000);
    sink = ((bytes)block)[4096 + 100];
    free(block);
}

static void read_just_behind(void)
{
    char *const block = get(64);
    sink = ((bytes)block)[64];
    free(block);
}

static void read_far_before(void)
{
    char *const block = get(64);
    sink = ((bytes)block)[-4096];
    free(block);
}

static void read_after_free(void)
{
    char *const block = get(100);
    free(block);
    sink = ((bytes)block)[10];
}

static void read_after_free_and_others(void)
{
    char *const block = get(100);
    free(block);
    busy(100, 50);
    sink = ((bytes)block)[10];
}

/* ---- double free ---- */

static void double_free(void)
{
    char *const block = get(100);
    free(block);
    free(block);
}

static void double_free_of_1_byte(void)
{
    char *const block = get(1);
    free(block);
    free(block);
}

static void double_free_with_another_between(void)
{
    char *const block = get(100), *const other = get(100);
    free(block);
    free(other);
    free(block);
}

static void double_free_with_many_between(void)
{
    char *const block = get(100);
    char *others[1000];
    for (int i = 0; i < 1000; i++) others[i] = get(100);
    free(block);
    for (int i = 0; i < 1000; i++) free(others[i]);
    free(block);
}

static void *free_it(void *block)
{
    free(block);
    return NULL;
}

static void double_free_by_another_thread(void)
{
    char *const block = get(100);
    free(block);
    in_thread(free_it, block);
}

static void double_free_by_two_threads(void)
{
    char *const block = get(100);
    in_thread(free_it, block);
    in_thread(free_it, block);
}

static void double_free_after_reuse(void)
{
    char *const block = get(100);
    free(block);
    char *const same[2] = {get(100), get(100)};
    free(block);
    free(same[0]);
    free(same[1]);
}

static void double_free_of_a_large_block(void)
{
    char *const block = get(300000);
    free(block);
    free(block);
}

static void double_free_of_8000_bytes(void)
{
    char *const block = get(8000);
    free(block);
    free(block);
}

static void double_free_after_realloc(void)
{
    char *const block = get(100);
    char *const moved = realloc(block, 50000);
    free(block);
    free(moved);
}

static void realloc_of_freed(void)
{
    char *const block = get(100);
    free(block);
    free(realloc(block, 200));
}

static void realloc_of_a_large_freed(void)
{
    char *const block = get(300000);
    free(block);
    free(realloc(block, 600000));
}

/* ---- free of what is no block ---- */

static void free_inside(void)
{
    char *const block = get(100);
    free(block + 16);
}

static void free_inside_a_large_block(void)
{
    char *const block = get(300000);
    free(block + 16384);
}

static void free_inside_8000_bytes(void)
{
    char *const block = get(8000);
    free(block + 4096);
}

static void free_misaligned(void)
{
    char *const block = get(100);
    free(block + 1);
}

static void free_of_the_stack(void)
{
    char local[64] = {0};
    char *volatile block = local + 16;
    free(block);
}

static void free_of_data(void)
{
    static char data[64];
    char *volatile block = data + 16;
    free(block);
}

static void free_of_a_mapping(void)
{
    char *const pages = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    free(pages + 16);
}

static void free_of_code(void)
{
    void (*volatile code)(void) = free_of_data;
    free((void *)(uintptr_t)code);
}

static void free_of_a_number(void)
{
    void *volatile number = (void *)(uintptr_t)0x12340;
    free(number);
}

static void realloc_inside(void)
{
    char *const block = get(100);
    free(realloc(block + 16, 200));
}

static void realloc_of_the_stack(void)
{
    char local[64] = {0};
    char *volatile block = local + 16;
    free(realloc(block, 200));
}

/* ---- write after free ---- */

static void write_to_freed(size_t size, size_t at)
{
    char *const block = get(size);
    free(block);
    ((bytes)block)[at] = 'x';
}

static void write_after_free(void) { write_to_freed(100, 50); }
static void write_after_free_first_byte(void) { write_to_freed(100, 0); }
static void write_after_free_last_byte(void) { write_to_freed(100, 99); }
static void write_after_free_of_8000_bytes(void) { write_to_freed(8000, 4000); }
static void write_after_free_of_a_large_block(void) { write_to_freed(100000, 5000); }
static void write_after_free_of_1_byte(void) { write_to_freed(1, 0); }

static void write_after_free_and_others(void)
{
    char *const block = get(100);
    free(block);
    busy(100, 100);
    ((bytes)block)[20] = 'x';
    busy(100, 100);
}

static void write_after_free_while_others_come(void)
{
    char *others[200];
    char *const block = get(100);
    free(block);
    for (int i = 0; i < 200; i++) others[i] = get(100);
    ((bytes)block)[20] = 'x';
    for (int i = 0; i < 200; i++) free(others[i]);
}

static void *write_it(void *block)
{
    ((bytes)block)[30] = 'x';
    return NULL;
}

static void write_after_free_by_another_thread(void)
{
    char *const block = get(100);
    free(block);
    in_thread(write_it, block);
}

static void write_after_realloc(void)
{
    char *const block = get(100);
    char *const moved = realloc(block, 50000);
    ((bytes)block)[10] = 'x';
    free(moved);
}

typedef struct node {
    struct node *next;
    int count;
} node;

static void write_after_free_in_a_list(void)
{
    node *const first = (node *)(void *)get(sizeof(node)), *const second = (node *)(void *)get(sizeof(node));
    first->next = second;
    free(second);
    ((volatile node *)first->next)->count = 7;
    free(first);
}

/* ---- contents that were never written: the program itself must notice ---- */

static int is_set(const char *block, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (((const volatile char *)block)[i] != 0) return 1;
    return 0;
}

static void read_of_fresh_memory(void)
{
    char *const flags = malloc(600);
    if (is_set(flags, 600)) exit(NOTICED);
    free(flags);
}

static void read_of_what_realloc_added(void)
{
    char *block = calloc(1, 100);
    block = realloc(block, 3000);
    if (is_set(block, 3000)) exit(NOTICED);
    free(block);
}

/* ---- sizes and kinds ---- */

static void free_sized_too_large(void)
{
    if (free_sized == NULL) exit(NOT_HERE);
    free_sized(get(100), 108);
}

static void free_sized_too_small(void)
{
    if (free_sized == NULL) exit(NOT_HERE);
    free_sized(get(100), 64);
}

static void free_with_another_alignment(void)
{
    if (free_aligned_sized == NULL) exit(NOT_HERE);
    char *block = get(48);
    while ((uintptr_t)block % 4096 == 0) block = get(48);
    free_aligned_sized(block, 4096, 48);
}

static void delete_with_another_size(void)
{
    if (_Znwm == NULL || _ZdlPvm == NULL) exit(NOT_HERE);
    _ZdlPvm(_Znwm(100), 40);
}

static void delete_of_malloc(void)
{
    if (_ZdlPv == NULL) exit(NOT_HERE);
    _ZdlPv(get(100));
}

static void free_of_new(void)
{
    if (_Znwm == NULL) exit(NOT_HERE);
    free(_Znwm(100));
}

/* ---- the C library's copies ---- */

static void memcpy_behind(void)
{
    char *const from = get(200), *const to = get(100);
    memcpy(to, from, 101);
    exit(0);
}

static void memcpy_reads_behind(void)
{
    char *const from = get(100), *const to = get(200);
    memcpy(to, from, 101);
    free(from);
    free(to);
}

static void memcpy_of_freed(void)
{
    char *const from = get(100), *const to = get(100);
    free(from);
    memcpy(to, from, 100);
    free(to);
}

static void memmove_behind(void)
{
    char *const block = get(100);
    memmove(block + 10, block, 91);
    exit(0);
}

static void memset_behind(void)
{
    char *const block = get(96);
    memset(block, 'x', 97);
    exit(0);
}

static void memset_of_the_inside_goes_behind(void)
{
    char *const block = get(5000);
    memset(block + 4000, 'x', 1001);
    exit(0);
}

static void strcpy_behind(void)
{
    char *const block = get(16);
    strcpy(block, "sixteen letters.");
    exit(0);
}

static void strcat_behind(void)
{
    char *const block = get(16);
    strcpy(block, "eight le");
    strcat(block, "tters to");
    exit(0);
}

static void strncpy_behind(void)
{
    char *const block = get(16);
    strncpy(block, "a", 17);
    exit(0);
}

/* ---- all of them ---- */

typedef struct fault_case {
    const char *name, *family, *kind, *levels;
    void (*run)(void);
} fault_case;

#define CASE(family, name, kind, levels) {#name, family, kind, levels, name}

static const fault_case cases[] = {
    CASE("overflow", overflow_by_1, "overflow", "12"),
    CASE("overflow", overflow_by_2, "overflow", "12"),
    CASE("overflow", overflow_by_4, "overflow", "12"),
    CASE("overflow", overflow_by_8, "overflow", "12"),
    CASE("overflow", overflow_by_16, "overflow", "123"),
    CASE("overflow", overflow_by_1_of_a_full_block, "overflow", "23"),
    CASE("overflow", overflow_by_8_of_a_full_block, "overflow", "23"),
    CASE("overflow", overflow_over_the_next_block, "overflow", "123"),
    CASE("overflow", overflow_of_8000_bytes, "overflow", "123"),
    CASE("overflow", overflow_of_100000_bytes, "overflow", "12"),
    CASE("overflow", overflow_of_whole_pages, "overflow", "2"),
    CASE("overflow", overflow_by_an_ending_0, "overflow", "12"),
    CASE("overflow", overflow_seen_by_realloc, "overflow", "12"),
    CASE("overflow", overflow_of_a_block_never_freed, "overflow", "12"),
    CASE("overflow", overflow_of_calloc, "overflow", "12"),
    CASE("overflow", overflow_of_aligned_alloc, "overflow", "12"),
    CASE("overflow", overflow_after_shrinking, "overflow", "12"),
    CASE("underflow", underflow_by_1, "underflow", "12"),
    CASE("underflow", underflow_by_8, "underflow|overflow", "12"),
    CASE("underflow", underflow_by_1_in_front_of_a_full_block, "underflow", "2"),
    CASE("read", read_behind_a_page, "overflow", "3"),
    CASE("read", read_just_behind, "overflow", "3"),
    CASE("read", read_far_before, "underflow", "3"),
    CASE("read", read_after_free, "use-after-free", "3"),
    CASE("read", read_after_free_and_others, "use-after-free", "3"),
    CASE("double free", double_free, "double-free", "0123"),
    CASE("double free", double_free_of_1_byte, "double-free", "0123"),
    CASE("double free", double_free_with_another_between, "double-free", "0123"),
    CASE("double free", double_free_with_many_between, "double-free|foreign-free", "0123"),
    CASE("double free", double_free_by_another_thread, "double-free", "0123"),
    CASE("double free", double_free_by_two_threads, "double-free", "0123"),
    CASE("double free", double_free_after_reuse, "double-free", "0123"),
    CASE("double free", double_free_of_a_large_block, "double-free|foreign-free", "012"),
    CASE("double free", double_free_of_8000_bytes, "double-free", "0123"),
    CASE("double free", double_free_after_realloc, "double-free", "0123"),
    CASE("double free", realloc_of_freed, "double-free", "123"),
    CASE("double free", realloc_of_a_large_freed, "double-free|foreign-free", "012"),
    CASE("no block", free_inside, "interior-free", "0123"),
    CASE("no block", free_inside_a_large_block, "interior-free", "012"),
    CASE("no block", free_inside_8000_bytes, "interior-free", "0123"),
    CASE("no block", free_misaligned, "interior-free", "0123"),
    CASE("no block", free_of_the_stack, "foreign-free", "0123"),
    CASE("no block", free_of_data, "foreign-free", "0123"),
    CASE("no block", free_of_a_mapping, "foreign-free", "0123"),
    CASE("no block", free_of_code, "foreign-free", "0123"),
    CASE("no block", free_of_a_number, "foreign-free", "0123"),
    CASE("no block", realloc_inside, "interior-free", "0123"),
    CASE("no block", realloc_of_the_stack, "foreign-free", "0123"),
    CASE("write after free", write_after_free, "use-after-free", "23"),
    CASE("write after free", write_after_free_first_byte, "use-after-free", "23"),
    CASE("write after free", write_after_free_last_byte, "use-after-free", "23"),
    CASE("write after free", write_after_free_of_8000_bytes, "use-after-free", "23"),
    CASE("write after free", write_after_free_of_a_large_block, "use-after-free", "2"),
    CASE("write after free", write_after_free_of_1_byte, "use-after-free", "23"),
    CASE("write after free", write_after_free_and_others, "use-after-free", "23"),
    CASE("write after free", write_after_free_while_others_come, "use-after-free", "23"),
    CASE("write after free", write_after_free_by_another_thread, "use-after-free", "23"),
    CASE("write after free", write_after_realloc, "use-after-free", "23"),
    CASE("write after free", write_after_free_in_a_list, "use-after-free", "23"),
    CASE("never written", read_of_fresh_memory, "-", "2"),
    CASE("never written", read_of_what_realloc_added, "-", "2"),
    CASE("size or kind", free_sized_too_large, "size-mismatch", "123"),
    CASE("size or kind", free_sized_too_small, "size-mismatch", "123"),
    CASE("size or kind", free_with_another_alignment, "size-mismatch", "12"),
    CASE("size or kind", delete_with_another_size, "size-mismatch", "123"),
    CASE("size or kind", delete_of_malloc, "kind-mismatch", "123"),
    CASE("size or kind", free_of_new, "kind-mismatch", "123"),
    CASE("copies", memcpy_behind, "overflow", "12"),
    CASE("copies", memcpy_reads_behind, "overflow", "12"),
    CASE("copies", memcpy_of_freed, "use-after-free", "123"),
    CASE("copies", memmove_behind, "overflow", "12"),
    CASE("copies", memset_behind, "overflow", "12"),
    CASE("copies", memset_of_the_inside_goes_behind, "overflow", "12"),
    CASE("copies", strcpy_behind, "overflow", "12"),
    CASE("copies", strcat_behind, "overflow", "12"),
    CASE("copies", strncpy_behind, "overflow", "12"),
};

int main(int argument_count, char **arguments)
{
    const char *const wanted = argument_count == 2 ? arguments[1] : "--list";
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (strcmp(wanted, "--list") == 0) {
            printf("%s,%s,%s,%s\n", cases[i].name, cases[i].family, cases[i].kind, cases[i].levels);
        } else if (strcmp(wanted, cases[i].name) == 0) {
            cases[i].run();
            return 0;
        }
    }
    return strcmp(wanted, "--list") == 0 ? 0 : 2;
}
