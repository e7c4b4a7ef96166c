/* pool.pml - slots of a pool under several contexts (src/alloc/pool.c): the far slots, which have two levels. The near ones are
 * one word, whose changes are one atomic step each.
 *
 * Three contexts take a slot and give it back, three times, over three slots in two words, which are new at first. Every interleaving of
 * their atomic steps is visited; handlers that interrupt one another are some of these. A commit compares the value of the word alone, as
 * a compare-and-swap does and as a store-exclusive may: a word that was changed and changed back in between is taken for unchanged.
 *
 * Asserted: no slot has two owners, every free is accepted, and whenever no call is under way, a word with a free slot is in the summary.
 * There is always a slot for each context: a call that finds none would be wrong.
 *
 * One atomic or d_step is one atomic instruction, joined with what only the context itself can see.
 *
 * PROOF pool_protocol
 *   property: no slot is handed out twice, none is lost, and a call finds one when there is one for each context
 *   bound:    3 contexts, 3 allocs and 3 frees each, 3 slots in 2 words; every interleaving, A-B-A included
 *   assumes:  sequential consistency, a program that frees each slot once
 *   code:     acre_pool_alloc acre_pool_free attempt_far attempt_new may_have_missed count_freed acre_os_begin acre_os_commit free_far
 *   variants: NO_LOOK_AFTER_DROP, NO_FREED_COUNT, SUMMARY_FIRST, NO_COMPARE, NO_SUMMARY, LINKED_SLOTS
 *
 * Each variant leaves one rule out and must fail. LINKED_SLOTS keeps free slots in a list by pointers, as most pools do, and falls to
 * A-B-A.
 */
#define ROUNDS 3
#define CONTEXTS 3
#define COUNT 3 /* slots: 0 and 1 in word 0, 2 in word 1 */
#define NONE 7

byte words[2];   /* free slots */
byte summary;    /* bit i: look at word i */
byte handed_out; /* slots below were in use */
byte freed_count;
bool out[COUNT];
byte busy; /* calls under way */

#define FIRST(set) (((set) & 1) -> 0 : 1)

inline begin() { busy++ }

inline end()
{
    busy--;
    assert(busy != 0 || words[0] == 0 || (summary & 1) != 0);
    assert(busy != 0 || words[1] == 0 || (summary & 2) != 0)
}

inline own(slot)
{
    assert(!out[slot]);
    out[slot] = true
}

#ifndef LINKED_SLOTS

/* acre_pool_alloc, when there is no near slot. Leaves the slot in `held`. */
inline alloc()
{
    d_step { begin(); held = NONE }
    do
    :: held != NONE -> break
    :: else ->
        atomic { /* load of the summary */
            if
            :: summary == 0 -> at = NONE
            :: else -> at = FIRST(summary)
            fi
        }
        if
        :: at == NONE -> /* attempt_new */
            d_step { seen = handed_out; at = 0 }
            if
            :: seen == COUNT -> /* may_have_missed */
                d_step { seen = 0; freed_seen = freed_count; found = false }
                d_step { found = (words[0] != 0) }
                if
                :: found -> d_step { summary = summary | 1 }
                :: else
                fi;
                d_step { at = (words[1] != 0) }
                if
                :: at == 1 -> d_step { summary = summary | 2; found = true }
                :: else
                fi;
                d_step {
                    at = 0;
#ifndef NO_FREED_COUNT
                    found = (found || freed_seen != freed_count);
#endif
                    assert(found); /* else ACRE_NO_MEMORY */
                    found = false;
                    freed_seen = 0
                }
            :: else ->
                d_step { /* commit of handed_out */
                    if
                    :: handed_out == seen -> handed_out++; held = seen; own(held)
                    :: else
                    fi;
                    seen = 0
                }
            fi
        :: else -> /* attempt_far */
            d_step { seen = words[at] }
            if
            :: seen != 0 ->
                d_step { /* commit of the word */
                    if
#ifndef NO_COMPARE
                    :: words[at] == seen ->
#else
                    :: true ->
#endif
                        held = at * 2 + FIRST(seen);
                        words[at] = seen & ~(1 << FIRST(seen));
                        seen = words[at];
                        own(held)
                    :: else
                    fi
                }
            :: else
            fi;
            if
            :: seen == 0 -> /* the word is empty */
                d_step { summary = summary & ~(1 << at) }
#ifndef NO_LOOK_AFTER_DROP
                d_step { seen = words[at] }
                if
                :: seen != 0 -> d_step { summary = summary | (1 << at); seen = 0 }
                :: else
                fi
#endif
            :: else -> seen = 0
            fi;
            at = 0
        fi
    od;
    atomic { end() }
}

/* free_far */
inline give()
{
    d_step {
        begin();
        at = held / 2;
#ifdef SUMMARY_FIRST
        summary = summary | (1 << at);
#endif
    }
    d_step { /* fetch_or of the word */
        seen = words[at];
        assert((seen & (1 << (held % 2))) == 0 && out[held]);
        words[at] = seen | (1 << (held % 2));
        out[held] = false
    }
    if /* the summary */
#if !defined(SUMMARY_FIRST) && !defined(NO_SUMMARY)
    :: seen == 0 -> d_step { summary = summary | (1 << at) }
#endif
    :: else
    fi;
    d_step { freed_count++; seen = 0; at = 0; held = NONE; end() } /* count_freed */
}

#else

byte head; /* the first free slot */
byte next[COUNT];

inline alloc()
{
    do
    :: held != NONE -> break
    :: else ->
        d_step { at = head }
        if
        :: at != NONE ->
            d_step { seen = next[at] }
            d_step {
                if
                :: head == at -> head = seen; held = at; own(held)
                :: else
                fi
            }
        :: else
        fi;
        d_step { at = 0; seen = 0 }
    od
}

inline give()
{
    d_step { out[held] = false }
    do
    :: held == NONE -> break
    :: else ->
        d_step { at = head; next[held] = at }
        d_step {
            if
            :: head == at -> head = held; held = NONE
            :: else
            fi;
            at = 0
        }
    od
}

#endif

proctype context()
{
    byte held = NONE, at, seen, freed_seen, round;
    bool found;
    do
    :: round < ROUNDS ->
        alloc();
        give();
        round++
    :: else -> break
    od
}

init
{
    byte i;
    atomic {
#ifdef LINKED_SLOTS
        next[0] = 1;
        next[1] = 2;
        next[2] = NONE;
#endif
        do
        :: i < CONTEXTS -> run context(); i++
        :: else -> break
        od
    }
}
