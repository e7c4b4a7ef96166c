/* Proofs of policy/index.h: what was put in is found until it is taken out, whatever else is in its chain. */
#include "../proof.h"
#include "policy/index.h"

enum { NUMBER_COUNT = 4 };

static acre_index_node nodes[NUMBER_COUNT];
static acre_policy_slot heads[2];
static acre_index table = {nodes, heads, 2};
static uint32_t fingerprints[NUMBER_COUNT];
static bool is_in[NUMBER_COUNT];

/* Some of the numbers in the index, with fingerprints that differ, put in in any order. */
static void any_index(void)
{
    const unsigned turn = nondet_unsigned();
    assume(turn < NUMBER_COUNT);
    for (unsigned i = 0; i < NUMBER_COUNT; i++) {
        fingerprints[i] = nondet_u32();
        is_in[i] = nondet_bool();
        for (unsigned k = 0; k < i; k++) assume(fingerprints[k] != fingerprints[i]);
    }
    for (unsigned i = 0; i < NUMBER_COUNT; i++) {
        const unsigned number = (i + turn) % NUMBER_COUNT;
        if (is_in[number]) acre_index_insert(&table, number, fingerprints[number]);
    }
}

static void assert_found(void)
{
    for (unsigned i = 0; i < NUMBER_COUNT; i++) assert(acre_index_find(&table, fingerprints[i]) == (is_in[i] ? i : ACRE_POLICY_NO_SLOT));
}

/* PROOF index_insert
 *   property: each number that was put in is found by its fingerprint, and no other fingerprint finds one
 *   bound:    4 numbers, 2 chains, 4 orders
 *   assumes:  fingerprints differ
 *   options:  --unwind 6
 */
void prove_index_insert(void)
{
    any_index();
    assert_found();
}

/* PROOF index_remove
 *   property: a number that is taken out is not found, all others are
 *   bound:    4 numbers, 2 chains, 4 orders
 *   assumes:  fingerprints differ; the number is in the index
 *   options:  --unwind 6
 */
void prove_index_remove(void)
{
    any_index();
    const unsigned number = nondet_unsigned();
    assume(number < NUMBER_COUNT && is_in[number]);
    acre_index_remove(&table, number);
    is_in[number] = false;
    assert_found();
}
