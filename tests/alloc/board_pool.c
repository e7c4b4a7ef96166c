/* board_pool.c - a pool that the main program, SysTick and PendSV use at the same time: no slot is lost or given to two, and each call
 * takes no more instructions than it says.
 *
 * boards:  m0 m3 m4 m7 m33 rv32
 * sources: src/alloc/pool.c src/base/status.c src/base/format.c src/os/freestanding.c
 * flags:   -DNDEBUG
 */
#include "board.h"

#include <acre/pool.h>

enum {
    NEAR_COUNT = 32,
    FAR_COUNT = ACRE_POOL_COUNT_MAX > NEAR_COUNT ? 1000 : 31, /* with ACRE_POOL_SMALL there are no far ones */
    HELD_MAX = 12,
    ROUND_COUNT = 4000,
};

typedef struct packet {
    uint32_t owner; /* 0: nobody */
    uint8_t bytes[4];
} packet;

ACRE_POOL_DEFINE(near_pool, packet, NEAR_COUNT);
ACRE_POOL_DEFINE(far_pool, packet, FAR_COUNT);
ACRE_POOL_DEFINE(new_pool, packet, 2);

static uint32_t failures;

static void check(int is_true, const char *sentence)
{
    if (is_true) return;
    failures++;
    board_write("failed: ");
    board_write(sentence);
    board_write("\n");
}

/* ---- several contexts ---- */

typedef struct context {
    uint32_t id, random;
    packet *held[HELD_MAX];
    uint32_t held_count, alloc_count, full_count;
} context;

static acre_pool *pool;
static volatile uint32_t trouble; /* a handler does not print */
static context contexts[3];

static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* An alloc or a free of a slot of its own. */
static void use(context *c)
{
    const uint32_t number = next_random(&c->random);
    if (c->held_count < HELD_MAX && (c->held_count == 0 || number % 2 == 0)) {
        void *slot = NULL;
        if (number % 4 == 0) slot = acre_pool_alloc(pool);
        else if (acre_pool_try(pool, &slot) != ACRE_OK) slot = NULL;
        packet *const p = slot;
        if (p == NULL) {
            c->full_count++;
            return;
        }
        if (p->owner != 0) trouble |= 1;
        p->owner = c->id;
        c->held[c->held_count++] = p;
        c->alloc_count++;
    } else {
        packet *const p = c->held[--c->held_count];
        if (p->owner != c->id) trouble |= 2;
        p->owner = 0;
        if (acre_pool_free(pool, p) != ACRE_OK) trouble |= 4;
    }
}

#ifdef __ARM_ARCH
void board_systick(void)
{
    use(&contexts[1]);
    if (contexts[1].random % 2 == 0) board_pend_pendsv();
}

void board_pendsv(void)
{
    use(&contexts[2]);
    use(&contexts[2]);
}
#endif

static void use_from_everywhere(acre_pool *wanted, uint32_t seed, uint32_t every)
{
    acre_pool_figures before, figures;
    pool = wanted;
    check(acre_pool_read_figures(pool, &before) == ACRE_OK && before.used == 0, "the pool is empty at first");
    for (uint32_t i = 0; i < 3; i++) contexts[i] = (context){.id = i + 1, .random = seed * 77 + i + 1};
#ifdef __ARM_ARCH
    board_systick_every(every);
#else
    (void)every;
#endif
    for (uint32_t i = 0; i < ROUND_COUNT; i++) use(&contexts[0]);
#ifdef __ARM_ARCH
    board_systick_every(0);
#endif
    check(trouble == 0, "no slot has two owners, and every free is accepted");
    check(acre_pool_is_valid(pool), "the pool is valid");
    uint32_t held = 0;
    for (uint32_t i = 0; i < 3; i++) held += contexts[i].held_count;
    check(acre_pool_read_figures(pool, &figures) == ACRE_OK && figures.used == held, "as many slots are out as are held");
    for (uint32_t i = 0; i < 3; i++) {
        while (contexts[i].held_count > 0) {
            packet *const p = contexts[i].held[--contexts[i].held_count];
            p->owner = 0;
            check(acre_pool_free(pool, p) == ACRE_OK, "what is held can be freed");
        }
    }
    check(acre_pool_read_figures(pool, &figures) == ACRE_OK && figures.used == 0, "all slots are free in the end");
    check(figures.refused_count == before.refused_count, "nothing was refused");
    board_write_number(contexts[0].alloc_count);
    board_write(" + ");
    board_write_number(contexts[1].alloc_count);
    board_write(" + ");
    board_write_number(contexts[2].alloc_count);
    board_write(" allocs, none left: ");
    board_write_number(contexts[0].full_count + contexts[1].full_count + contexts[2].full_count);
    board_write(", most in use: ");
    board_write_number(figures.used_max);
    board_write("\n");
#ifdef __ARM_ARCH
    check(contexts[1].alloc_count > 100 && contexts[2].alloc_count > 100, "the interrupts use the pool");
#endif
}

/* ---- instructions ---- */

static uint32_t counting; /* instructions of the counting itself */

#ifdef __riscv
#define CALL(f) "mv a0, %1\n mv a1, %2\n jal ra, " #f "\n mv %0, a0"
#define SCRATCH "a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "ra", "memory"
#else
#define CALL(f) "mov r0, %1\n mov r1, %2\n bl " #f "\n mov %0, r0"
#define SCRATCH "r0", "r1", "r2", "r3", "r12", "lr", "cc", "memory"
#endif

/* The instructions of a call of `f`, its return included. */
#define COUNT(f, first, second, result)                                                                                                    \
    ({                                                                                                                                     \
        register uintptr_t a = (uintptr_t)(first);                                                                                         \
        register uintptr_t b = (uintptr_t)(second);                                                                                        \
        uintptr_t returned;                                                                                                                \
        __asm__ volatile("" : "+r"(a), "+r"(b));                                                                                           \
        const uint32_t start = board_count();                                                                                              \
        __asm__ volatile(CALL(f) : "=r"(returned) : "r"(a), "r"(b) : SCRATCH);                                                             \
        const uint32_t count = board_count_since(start);                                                                                   \
        (result) = returned;                                                                                                               \
        count - counting;                                                                                                                  \
    })

__attribute__((naked, used)) static void return_at_once(void)
{
#ifdef __riscv
    __asm__("ret");
#else
    __asm__("bx lr");
#endif
}

static uint32_t count_alloc(acre_pool *p, void **slot)
{
    uintptr_t given;
    const uint32_t count = COUNT(acre_pool_alloc, p, 0, given);
    *slot = (void *)given;
    return count;
}

static uint32_t count_free(acre_pool *p, void *slot)
{
    uintptr_t given;
    const uint32_t count = COUNT(acre_pool_free, p, slot, given);
    check(given == ACRE_OK, "a free that is counted is accepted");
    return count;
}

static void write_range(const char *text, uint32_t least, uint32_t most)
{
    board_write(text);
    board_write_number(least);
    board_write(" to ");
    board_write_number(most);
    board_write(" instructions\n");
}

static void count_instructions(acre_pool *p, uint32_t count, const char *alloc_text, const char *free_text)
{
    static void *slots[NEAR_COUNT + FAR_COUNT];
    uint32_t least = UINT32_MAX, most = 0, free_least = UINT32_MAX, free_most = 0;
    for (uint32_t i = 0; i < count; i++) slots[i] = acre_pool_alloc(p);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t taken = count_free(p, slots[i]);
        if (taken < free_least) free_least = taken;
        if (taken > free_most) free_most = taken;
    }
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t taken = count_alloc(p, &slots[i]);
        check(slots[i] != NULL, "an alloc that is counted brings a slot");
        if (taken < least) least = taken;
        if (taken > most) most = taken;
    }
    void *none;
    const uint32_t of_none = count_alloc(p, &none);
    check(none == NULL, "no more slots than there are");
    for (uint32_t i = 0; i < count; i++) check(acre_pool_free(p, slots[i]) == ACRE_OK, "each can be freed");
    write_range(alloc_text, least, most);
    write_range("  when all are in use: ", of_none, of_none);
    write_range(free_text, free_least, free_most);
#ifdef __thumb2__
    if (count <= NEAR_COUNT) check(most <= 20 && free_most <= 20, "alloc and free take at most 20 instructions");
#endif
}

int board_main(void)
{
    for (uint32_t seed = 1; seed <= 3; seed++) {
        use_from_everywhere(&near_pool, seed, 173 + seed);
        use_from_everywhere(&far_pool, seed, 190 + seed);
    }
    uintptr_t given;
    counting = COUNT(return_at_once, 0, 0, given) - 1;
    (void)given;
    void *first;
    const uint32_t of_new = count_alloc(&new_pool, &first);
    check(first != NULL, "a new slot can be had");
#ifdef __thumb2__
    check(of_new <= 20, "a new slot takes at most 20 instructions");
#endif
    write_range("a slot that is new: alloc ", of_new, of_new);
    count_instructions(&near_pool, NEAR_COUNT, "32 slots: alloc ", "  free ");
    count_instructions(&far_pool, FAR_COUNT, FAR_COUNT > NEAR_COUNT ? "1000 slots: alloc " : "31 slots: alloc ", "  free ");
    return failures == 0 ? 0 : 1;
}
