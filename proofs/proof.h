/* proof.h - what every harness uses. A harness takes an arbitrary state that meets the invariant, does one operation, and
 * asserts invariant and result: one inductive step, which speaks for every history of operations. */
#ifndef ACRE_PROOFS_PROOF_H
#define ACRE_PROOFS_PROOF_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Any value at all: CBMC leaves open what a function without a body returns, if its name starts like this. */
bool nondet_bool(void);
char nondet_char(void);
int nondet_int(void);
long long nondet_long_long(void);
unsigned nondet_unsigned(void);
size_t nondet_size(void);
uint32_t nondet_u32(void);
uint64_t nondet_u64(void);
uintptr_t nondet_word(void);

void __CPROVER_assume(_Bool condition);
#define assume(condition) __CPROVER_assume(condition)

#endif
