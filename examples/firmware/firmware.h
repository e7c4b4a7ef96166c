/* firmware.h - a small device: a timer samples a sensor into a pool, the task `filter` reads the samples, the task `radio` sends frames.
 *
 * Each task is a protection domain of its own and runs without privileges. What it has for itself is one piece of memory, a task_memory:
 * stack, heap, result. What it wants of others it asks the kernel for, by a call with one argument.
 *
 *     main.c                        starts it, counts instructions, reports
 *     kernel.c                      domains, scheduler, calls, the pool, what follows a refused access
 *     filter.c, radio.c             the tasks
 *     cortex_m.c, rv32.c            what depends on the processor: the port
 *
 * Planted bugs: radio writes over the end of its memory; filter writes to a counter of the kernel's, and leaks slots and blocks. */
#ifndef FIRMWARE_H
#define FIRMWARE_H

#include <acre/domain.h>
#include <acre/pool.h>
#include <acre/realtime.h>
#include <board.h>

enum { RADIO, FILTER, KERNEL, DOMAIN_COUNT, TASK_COUNT = KERNEL };

enum {
    SLOT_COUNT = 16,
    SAMPLE_COUNT = 64,        /* so many are taken, then the device is done */
    TICK_INSTRUCTIONS = 5000, /* between two samples */
    MEMORY_BYTES = 4096,
    STACK_BYTES = 1024,
    CONTROL_BYTES = 512,
    LINE_BYTES = 64,
    FRAGMENTATION_LIMIT_PER_MILLE = 100,
    STRAY_COUNT = 1 << 30, /* what filter writes to the kernel's tick count; more ticks than there can be */
};

/* ---- what tasks have ---- */

/* 32 bytes, aligned to as many: slots end where regions of a protection unit can end. */
typedef struct sample {
    _Alignas(32) uint32_t number;
    uint32_t value;
    bool is_spoilt;
} sample;

/* Blocks of the heaps begin with their kind, so that those that are left can be told by name. */
typedef enum kind { KIND_READING, KIND_ALARM, KIND_FRAME, KIND_COUNT } kind;

typedef struct task_result {
    uint32_t done_count; /* samples, frames */
    uint32_t sum;
    uint32_t fragmentation_max; /* per mille */
    uint32_t alarm_count;       /* how often it went over the limit */
    bool is_looked_at;          /* the rest is known: */
    bool is_whole, is_proved;
    uint32_t live_bytes_peak, request_bytes_max;
    uint32_t left_count[KIND_COUNT], left_bytes[KIND_COUNT];
} task_result;

/* The stack comes first, so that it leaves the memory where it overflows. */
typedef struct task_memory {
    uint8_t stack[STACK_BYTES];
    union {
        struct {
            acre_realtime heap;
            task_result result;
        };
        uint8_t control[CONTROL_BYTES];
    };
    uint64_t arena[(MEMORY_BYTES - STACK_BYTES - CONTROL_BYTES - LINE_BYTES) / 8]; /* of the heap */
    char line[LINE_BYTES];
} task_memory;
_Static_assert(sizeof(task_memory) == MEMORY_BYTES, "a power of two, so that it takes one region of any unit");

/* Makes the heap of a task. `name` is not copied. */
void task_open_heap(task_memory *own, const char *name);

/* A block of a kind, `size` bytes with the kind in front; its figures go to the result. NULL: the heap has no room. */
void *task_alloc(task_memory *own, kind of, size_t size);
void task_free(task_memory *own, void *block);

/* Waits for a sample; the slot is the task's until it gives it back. */
sample *task_receive(void);
acre_status task_give_back(sample *slot);
void task_end(void);

/* A task that has ended, by itself or by a fault, is started once more here, with an empty stack and no more rights than it had: it counts
 * what is left in its heap. The kernel does not walk through memory that a task may have filled with anything. */
void task_last_look(task_memory *own);

void filter(task_memory *own);
void radio(task_memory *own);

/* ---- kernel ---- */

typedef struct context {
    uint32_t registers[33]; /* what they are is the port's business */
} context;

typedef enum call { CALL_RECEIVE, CALL_GIVE_BACK, CALL_END } call;

extern task_memory task_memories[TASK_COUNT];
extern const char *const domain_names[DOMAIN_COUNT];
extern acre_domain_plan kernel_plans[TASK_COUNT];
extern acre_pool samples;
extern volatile uint32_t kernel_tick_count;

/* Whose registers are in the processor: where the port saves them. */
extern context *kernel_running;

/* Makes the plans and puts the first one in force. ACRE_OK, or what the planner says; acre_last_error has the sentence. */
acre_status kernel_make_plans(void);
void kernel_start(void);
bool kernel_is_done(void);
bool kernel_is_at_fault(uint16_t task); /* a refused access has ended it */
uint32_t kernel_leaked_slots(uint16_t task);

/* What the port calls: for a call of a task, for the timer, for a refused access (returns how many bytes of instructions to skip), and to
 * put another context into kernel_running. */
uint32_t kernel_call(uint32_t call, uint32_t argument);
void kernel_tick(void);
uint32_t kernel_refused(const acre_trap *trap);
void kernel_switch(void);

/* Like printf, with %s, %u for uint32_t. */
void say(const char *format, ...);

/* ---- port ---- */

extern const char *const port_unit; /* what acre_mpu_named calls the protection unit; tasks have all of its entries but the system's */

/* Where the program's code and constants lie, in a size that the unit can cut out. */
void port_find_code(acre_addr *base, uint64_t *size_bytes);

/* Protection and priorities; before anything else. */
void port_set_up(void);
void port_switch_domain(const acre_domain_plan *from, const acre_domain_plan *to);

/* A context that begins with entry(own), without privileges, at the end of own->stack; when entry returns, with task_end. */
void port_start(context *at, void (*entry)(task_memory *), task_memory *own);
uint32_t port_ask(uint32_t call, uint32_t argument); /* a task asks the kernel */
void port_request_switch(void);                      /* kernel_switch is called when nothing more urgent is to do */
void port_tick_every(uint32_t instructions);         /* 0: no more */
void port_wait(void);                                /* until an interrupt comes */

#endif
