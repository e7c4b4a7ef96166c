/* wcet_code.h - a linked program as `acre wcet` sees it: where its functions are, and where each instruction can go on.
 *
 * Only what decides where control goes is decoded. Thumb (Cortex-M, ARMv6-M to ARMv8-M) and RISC-V (rv32/rv64 with C) are decoded here, by
 * their manuals: DDI 0403, DDI 0553, and The RISC-V Instruction Set Manual I. x86-64 is decoded by capstone, where the build has it.
 */
#ifndef ACRE_TOOL_WCET_CODE_H
#define ACRE_TOOL_WCET_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct code_image code_image;

typedef enum step_kind {
    STEP_PLAIN,         /* goes on behind itself */
    STEP_BRANCH,        /* to `target`, or on behind itself */
    STEP_JUMP,          /* to `target` */
    STEP_CALL,          /* to `target`, and back */
    STEP_RETURN,        /* to who called */
    STEP_SWITCH,        /* to one of the addresses that a table has */
    STEP_INDIRECT_JUMP, /* to what a register or memory holds */
    STEP_INDIRECT_CALL, /* the same, and back; also a call of the system, whose handler the image does not name */
    STEP_REPEAT,        /* repeats itself as often as a register says */
    STEP_STOP,          /* an instruction that is there to fault */
    STEP_UNKNOWN,       /* no instruction that the decoder knows */
} step_kind;

typedef struct step {
    uint64_t address;
    uint64_t target;
    step_kind kind;
    uint8_t size_bytes;
    bool is_conditional; /* of STEP_CALL, STEP_RETURN, STEP_JUMP and the like: may also do nothing and go on behind itself */
    bool masks;          /* interrupts are off behind it */
    bool unmasks;        /* it may set them back on */
    bool is_exclusive_load, is_exclusive_store; /* LDREX and STREX, lr and sc */
    /* STEP_BRANCH that is decided by a store-exclusive: where it goes when the store was refused. */
    bool is_retry_at_target, is_retry_behind;
    uint8_t trusts;       /* so many of the instructions before it were looked at to know all this */
    uint32_t table_count; /* of STEP_SWITCH */
    uint32_t code;        /* the bits; of 32-bit Thumb the first half stands above */
} step;

/* NULL after a message in `problem` (of `size` bytes). */
code_image *code_image_open(const char *path, char *problem, size_t size);
void code_image_close(code_image *image);

const char *code_machine_text(const code_image *image);

/* ---- functions ---- */

typedef struct code_function {
    uint64_t address; /* without the bit that says Thumb */
    const char *name; /* of several at one place, one that says it is a function, and is global */
    bool is_typed;    /* the symbol says that it is a function: else it may be any place in the code */
} code_function;

/* By address. */
const code_function *code_functions(const code_image *image, size_t *count);

/* NULL: the image has none of that name. Aliases are found as well. */
const code_function *code_function_named(const code_image *image, const char *name);

/* NULL: no function starts there. */
const code_function *code_function_at(const code_image *image, uint64_t address);

/* "name" or "name+0x12", to be freed. */
char *code_place_text(const code_image *image, uint64_t address);

/* ---- instructions ---- */

enum { CODE_TRUSTED_MAX = 8 }; /* instructions in front of one that say what it does */

/* The instruction at `address`; false: no code is there, or data among it. `before`: the `before_count` instructions that control passes on
 * its way there, the nearest one first. They tell what a register holds, or which store a branch asks about; whoever calls sees to it that
 * there is no other way into the last `trusts` of them. `condition` is how many instructions of an IT block are still to come: 0 at first,
 * and it goes with control. */
bool code_step(const code_image *image, uint64_t address, const step *const *before, size_t before_count, uint8_t *condition, step *found);

/* Entry `index` of the table of a STEP_SWITCH. */
bool code_switch_target(const code_image *image, const step *at, uint32_t index, uint64_t *target);

#endif
