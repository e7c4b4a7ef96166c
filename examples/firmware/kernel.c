/* kernel.c - domains, scheduler, calls. What a task says is looked at before it is believed: it may be broken, or somebody else's.
 *
 * The timer may interrupt a call. What both use is the pool, which is made for that; the queue, which has one writer and one reader; and
 * the state of a task that waits, which is set before the queue is looked at. */
#include "firmware.h"

typedef enum state { READY, WAITING, ENDED } state;

/* What follows a refused access: the instruction is skipped so many times, then the task is ended. */
typedef struct policy {
    uint32_t skip_count_max;
} policy;

typedef struct task {
    void (*const entry)(task_memory *);
    const policy of;
    volatile state is;
    bool has_ended; /* it looks back at its heap for the last time */
    bool is_at_fault;
    uint32_t skip_count;
    context registers;
} task;

static task tasks[TASK_COUNT] = {[RADIO] = {.entry = radio, .of = {0}}, [FILTER] = {.entry = filter, .of = {1}}};

/* One behind the other: what goes over the end of the first one is in the second one. */
_Alignas(MEMORY_BYTES) task_memory task_memories[TASK_COUNT];
const char *const domain_names[DOMAIN_COUNT] = {[RADIO] = "radio", [FILTER] = "filter", [KERNEL] = "kernel"};
volatile uint32_t kernel_tick_count;

/* The slots can be a region of their own, since they begin at a multiple of their size. */
static sample samples_slots[SLOT_COUNT] __attribute__((aligned(SLOT_COUNT * sizeof(sample))));
ACRE_POOL_DEFINE(samples, sample, SLOT_COUNT);

/* ---- domains ---- */

enum { RANGE_COUNT = 5, R = ACRE_RIGHT_READ, W = ACRE_RIGHT_WRITE, X = ACRE_RIGHT_EXECUTE };

static acre_owned_range ranges[RANGE_COUNT];
acre_domain_plan kernel_plans[TASK_COUNT];

acre_status kernel_make_plans(void)
{
    static const acre_grant all_run[] = {{RADIO, R | X}, {FILTER, R | X}}, filter_reads[] = {{FILTER, R | W}};
    const acre_owned_range all[RANGE_COUNT] = {
        {.name = "code", .owner = KERNEL, .rights = R | X, .grant_count = TASK_COUNT, .grants = all_run},
        {"radio memory", (uintptr_t)&task_memories[RADIO], MEMORY_BYTES, RADIO, R | W, ACRE_RIGHTS_ANY, false, 0, NULL},
        {"filter memory", (uintptr_t)&task_memories[FILTER], MEMORY_BYTES, FILTER, R | W, ACRE_RIGHTS_ANY, false, 0, NULL},
        {"samples", (uintptr_t)samples_slots, sizeof samples_slots, KERNEL, R | W, ACRE_RIGHTS_ANY, false, 1, filter_reads},
        {"tick count", (uintptr_t)&kernel_tick_count, sizeof kernel_tick_count, KERNEL, R | W, ACRE_RIGHTS_ANY, false, 0, NULL},
    };
    for (int i = 0; i < RANGE_COUNT; i++) ranges[i] = all[i];
    ranges[0].privileged = ACRE_RIGHTS_ANY;
    port_find_code(&ranges[0].base, &ranges[0].size_bytes);
    acre_mpu unit;
    acre_status status = acre_mpu_named(port_unit, &unit);
    for (uint16_t domain = 0; domain < TASK_COUNT && status == ACRE_OK; domain++) {
        acre_wish wishes[RANGE_COUNT];
        const size_t count = acre_domain_wishes(ranges, RANGE_COUNT, domain, wishes, RANGE_COUNT);
        status = acre_domain_make_plan(&unit, wishes, count, 0, &kernel_plans[domain]);
    }
    acre_domain_plan none;
    if (status == ACRE_OK) status = acre_domain_make_plan(&unit, NULL, 0, 0, &none);
    if (status == ACRE_OK) port_switch_domain(&none, &kernel_plans[0]);
    return status;
}

/* ---- scheduler ---- */

enum { NOBODY = TASK_COUNT };

static context idle, discarded;
context *kernel_running = &idle;
static uint16_t running = NOBODY;

/* Tasks take turns; main has the rest of the time. */
void kernel_switch(void)
{
    static uint16_t last, in_force; /* at first kernel_plans[0] is */
    uint16_t next = NOBODY;
    for (uint16_t i = 0; i < TASK_COUNT && next == NOBODY; i++) {
        const uint16_t candidate = (uint16_t)((last + 1 + i) % TASK_COUNT);
        if (tasks[candidate].is == READY) next = candidate;
    }
    running = next;
    kernel_running = next == NOBODY ? &idle : &tasks[next].registers;
    if (next == NOBODY) return;
    last = next;
    if (next != in_force) port_switch_domain(&kernel_plans[in_force], &kernel_plans[next]);
    in_force = next;
}

void kernel_start(void)
{
    for (uint16_t i = 0; i < TASK_COUNT; i++) port_start(&tasks[i].registers, tasks[i].entry, &task_memories[i]);
    port_tick_every(TICK_INSTRUCTIONS); /* first: on a Cortex-M a switch that is requested happens at once, and main waits */
    port_request_switch();
}

/* The running task does not go on where it is. */
static void end_running(void)
{
    task *const at = &tasks[running];
    if (at->has_ended)
        at->is = ENDED;
    else
        port_start(&at->registers, task_last_look, &task_memories[running]);
    at->has_ended = true;
    kernel_running = &discarded; /* what is in the processor */
    port_request_switch();
}

bool kernel_is_done(void) { return tasks[RADIO].is == ENDED && tasks[FILTER].is == ENDED; }

bool kernel_is_at_fault(uint16_t task) { return tasks[task].is_at_fault; }

/* ---- samples ---- */

static sample *queue[SLOT_COUNT];
static volatile uint32_t queued_count, received_count;
static uint16_t holders[SLOT_COUNT]; /* a task + 1 */

/* The interrupt of the timer. The sensor is a formula; every 32nd of its samples is spoilt. */
void kernel_tick(void)
{
    void *slot;
    kernel_tick_count++;
    if (queued_count < SAMPLE_COUNT && acre_pool_try(&samples, &slot) == ACRE_OK) {
        const uint32_t number = queued_count;
        *(sample *)slot = (sample){.number = number, .value = number * 389 % 1024, .is_spoilt = number % 32 == 31};
        queue[number % SLOT_COUNT] = slot;
        queued_count = number + 1;
        if (tasks[FILTER].is == WAITING) tasks[FILTER].is = READY;
    }
    port_request_switch();
}

/* The number of the slot that a task means; SLOT_COUNT: none that it holds. */
static uint32_t held_slot(uint32_t address)
{
    const uint32_t offset = address - (uint32_t)(uintptr_t)samples_slots;
    const uint32_t index = offset / sizeof(sample);
    return index < SLOT_COUNT && holders[index] == running + 1 ? index : SLOT_COUNT;
}

static uint32_t receive(void)
{
    if (running != FILTER) return 0;
    tasks[running].is = WAITING;
    if (received_count == queued_count) {
        port_request_switch();
        return 0;
    }
    tasks[running].is = READY;
    sample *const slot = queue[received_count % SLOT_COUNT];
    received_count++;
    holders[slot - samples_slots] = running + 1;
    return (uint32_t)(uintptr_t)slot;
}

static acre_status give_back(uint32_t address)
{
    const uint32_t index = held_slot(address);
    if (index == SLOT_COUNT) return ACRE_BAD_POINTER;
    const acre_status status = acre_pool_free(&samples, (void *)(uintptr_t)address); /* refused: inside of a slot */
    if (status == ACRE_OK) holders[index] = 0;
    return status;
}

uint32_t kernel_leaked_slots(uint16_t task)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < SLOT_COUNT; i++) {
        acre_pool_slot slot;
        if (acre_pool_find(&samples, &samples_slots[i], &slot) == ACRE_OK && slot.is_out && holders[i] == task + 1) count++;
    }
    return count;
}

/* ---- calls and faults ---- */

uint32_t kernel_call(uint32_t call, uint32_t argument)
{
    if (kernel_running == &discarded) return 0; /* the call was pending when a fault ended its task */
    switch (call) {
    case CALL_RECEIVE:
        return receive();
    case CALL_GIVE_BACK:
        return give_back(argument);
    case CALL_END:
        end_running();
        return 0;
    default:
        return ACRE_INVALID;
    }
}

uint32_t kernel_refused(const acre_trap *trap)
{
    task *const at = &tasks[running];
    acre_fault fault;
    char text[200];
    acre_trap_describe(trap, ranges, RANGE_COUNT, domain_names, running, &fault);
    (void)acre_fault_text(&fault, text, sizeof text);
    /* What was no instruction can't be skipped, nor what has no address: then the pc isn't known either. */
    const bool is_skipped = trap->has_address && trap->touch != ACRE_TOUCH_EXECUTE && at->skip_count < at->of.skip_count_max;
    say("%s%s\nkernel: '%s' %s\n", text, trap->has_address ? "" : " (its stack pointer is astray: the processor has no address)",
        domain_names[running], is_skipped ? "goes on behind the instruction" : "is ended");
    if (is_skipped) {
        at->skip_count++;
        return acre_trap_skip_bytes(kernel_plans[running].unit.kind, *(const uint16_t *)(uintptr_t)trap->pc);
    }
    at->is_at_fault = true;
    end_running();
    return 0;
}
