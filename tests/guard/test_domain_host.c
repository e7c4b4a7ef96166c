/* test_domain_host.c - domains in a process: 10,000 accesses that are refused, each told with who did it and whose memory it was, and
 * none of them stops anybody. */
#include "support/test.h"
#include <acre/domain.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { R = ACRE_RIGHT_READ, W = ACRE_RIGHT_WRITE, X = ACRE_RIGHT_EXECUTE };
static const char *const names[] = {"sensor", "radio"};
static const acre_grant grants[] = {{1, R}};

enum { FAULT_COUNT = 10000 };
static sigjmp_buf behind_access;
static acre_trap host_trap;
static bool was_trap;

static void on_signal(int number, siginfo_t *info, void *context)
{
    (void)number;
    was_trap = acre_trap_of_signal(info, context, &host_trap);
    siglongjmp(behind_access, 1);
}

/* Whether the access was allowed. */
static bool touch(volatile uint8_t *address, acre_touch how)
{
    if (sigsetjmp(behind_access, 1) != 0) return false;
    if (how == ACRE_TOUCH_READ)
        (void)*address;
    else if (how == ACRE_TOUCH_WRITE)
        *address = 1;
    else
        ((void (*)(void))(uintptr_t)address)();
    return true;
}

static void a_domain_of_a_process_has_its_pages_and_faults_never_stop_another(void **state)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *const pages = mmap(NULL, 4 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(pages != MAP_FAILED);
    const acre_addr at = (uintptr_t)pages;
    const uint8_t any = ACRE_RIGHTS_ANY;
    const acre_owned_range owned[] = {
        {.name = "common", .base = at, .size_bytes = page, .rights = R | W, .privileged = any, .grant_count = 1, .grants = grants},
        {.name = "mine", .base = at + page, .size_bytes = page, .rights = R | W, .privileged = any},
        {.name = "yours", .base = at + 2 * page, .size_bytes = page, .owner = 1, .rights = R | W, .privileged = any},
    };
    acre_wish wishes[2][4];
    size_t counts[2];
    const acre_mpu unit = {.kind = ACRE_MPU_PAGES, .entry_count = ACRE_WISHES_MAX, .grain_bytes = (uint32_t)page};
    for (uint16_t domain = 0; domain < 2; domain++) {
        acre_domain_plan plan;
        counts[domain] = acre_domain_wishes(owned, 3, domain, wishes[domain], 4);
        assert_int_equal(acre_domain_make_plan(&unit, wishes[domain], counts[domain], 0, &plan), ACRE_OK);
    }
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO}, before[2];
    assert_int_equal(sigaction(SIGSEGV, &action, &before[0]), 0);
    assert_int_equal(sigaction(SIGBUS, &action, &before[1]), 0);
    assert_int_equal(acre_domain_switch_host(NULL, 0, wishes[0], counts[0]), ACRE_OK);
    unsigned done[2] = {0};
    for (unsigned i = 0; i < FAULT_COUNT; i++) {
        const uint16_t domain = (uint16_t)(i % 2);
        uint8_t *const own = pages + page * (domain == 0 ? 1 : 2), *const other = pages + page * (domain == 0 ? 2 : 1);
        const size_t offset = i % page;
        const acre_touch how = i % 4 < 2 ? ACRE_TOUCH_WRITE : ACRE_TOUCH_READ;
        was_trap = false;
        assert_false(touch(other + offset, how));
        assert_true(was_trap && host_trap.address == (uintptr_t)(other + offset));
        acre_fault fault;
        acre_trap_describe(&host_trap, owned, 3, names, domain, &fault);
        assert_string_equal(fault.domain_name, names[domain]);
        assert_string_equal(fault.owner_name, names[1 - domain]);
        assert_true(fault.offset == (int64_t)offset);
#ifdef __x86_64__
        assert_true(fault.touch == how && host_trap.pc != 0);
#endif
        assert_true(touch(own, ACRE_TOUCH_WRITE) && touch(pages, ACRE_TOUCH_READ));
        assert_true(touch(pages, ACRE_TOUCH_WRITE) == (domain == 0)); /* granted for reading only */
        assert_false(touch(own, ACRE_TOUCH_EXECUTE));
        done[domain]++;
        assert_int_equal(acre_domain_switch_host(wishes[domain], counts[domain], wishes[1 - domain], counts[1 - domain]), ACRE_OK);
    }
    assert_true(done[0] == FAULT_COUNT / 2 && done[1] == FAULT_COUNT / 2);
    assert_int_equal(sigaction(SIGSEGV, &before[0], NULL), 0);
    assert_int_equal(sigaction(SIGBUS, &before[1], NULL), 0);
    assert_int_equal(munmap(pages, 4 * page), 0);

    const acre_wish odd = {"odd", at + 1, page, R, any, false}, gone = {"gone", at, page, R, any, false};
    assert_int_equal(acre_domain_switch_host(NULL, 0, &odd, 1), ACRE_INVALID);
    assert_int_equal(acre_domain_switch_host(NULL, 1, NULL, 0), ACRE_INVALID);
    assert_int_equal(acre_domain_switch_host(NULL, 0, &gone, 1), ACRE_NO_MEMORY); /* nothing is mapped there any more */
    assert_false(acre_trap_of_signal(NULL, NULL, NULL));
}

/* What the operating system says of a page. */
static unsigned rights_of_page(uintptr_t page)
{
    FILE *const maps = fopen("/proc/self/maps", "re");
    char line[512];
    unsigned rights = 0;
    assert_non_null(maps);
    while (fgets(line, sizeof line, maps) != NULL) {
        char *letters = line; /* begin-end rwxp ... */
        const unsigned long long begin = strtoull(letters, &letters, 16), end = strtoull(letters + 1, &letters, 16);
        letters++;
        if (page < begin || page >= end) continue;
        rights = (letters[0] == 'r' ? R : 0u) | (letters[1] == 'w' ? W : 0u) | (letters[2] == 'x' ? X : 0u);
    }
    (void)fclose(maps);
    return rights;
}

/* 1,000 random lists one after the other: each page is what the list in force says, by the operating system's own table. */
static void pages_are_what_random_wishes_say(void **state)
{
    enum { PAGES = 24, LISTS = 1000 };
    static const uint8_t rights[] = {R, R | W, R | X};
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *const pages = mmap(NULL, PAGES * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(pages != MAP_FAILED);
    const acre_mpu unit = {.kind = ACRE_MPU_PAGES, .entry_count = ACRE_WISHES_MAX, .grain_bytes = (uint32_t)page};
    uint64_t random = 88172645463325252u;
    acre_wish now[ACRE_WISHES_MAX], next[ACRE_WISHES_MAX];
    size_t now_count = 0;
    for (int list = 0; list < LISTS; list++) {
        unsigned want[PAGES] = {0};
        size_t count = 0;
        for (size_t at = 0; at < PAGES && count < ACRE_WISHES_MAX;) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            const size_t gap = (size_t)(random >> 40) % 3, length = 1 + (size_t)(random >> 50) % 4;
            if (at + gap + length > PAGES) break;
            next[count] = (acre_wish){.name = "w", .base = (uintptr_t)(pages + (at + gap) * page), .size_bytes = length * page,
                                      .user = rights[(random >> 33) % 3], .privileged = ACRE_RIGHTS_ANY};
            for (size_t i = 0; i < length; i++) want[at + gap + i] = next[count].user;
            at += gap + length;
            count++;
        }
        acre_domain_plan plan;
        assert_int_equal(acre_domain_make_plan(&unit, next, count, 0, &plan), ACRE_OK);
        assert_true(plan.exposure_count == 0);
        assert_int_equal(acre_domain_switch_host(now, now_count, next, count), ACRE_OK);
        for (size_t i = 0; i < PAGES; i++) assert_int_equal(rights_of_page((uintptr_t)(pages + i * page)), want[i]);
        memcpy(now, next, sizeof now);
        now_count = count;
    }
    assert_int_equal(munmap(pages, PAGES * page), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_domain_of_a_process_has_its_pages_and_faults_never_stop_another),
        cmocka_unit_test(pages_are_what_random_wishes_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
