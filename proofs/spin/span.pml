/* span.pml - the protocol of a span that one thread carves while every thread frees into it (src/alloc/span.*).
 *
 * One descriptor, used again and again for spans of two classes of different capacity, two threads that may own it and
 * three that free. Every interleaving of their atomic steps is visited. Names are those of the code: words[], and
 * the fields of `state` {generation, OWNED, LISTED, free_count}, which change together in one atomic instruction. That
 * the functions of the code do these steps is proved by proofs/alloc/span.c.
 *
 * One d_step is one atomic instruction of the code, joined with what cannot be told apart from happening together with
 * it: taking a lock joins the step after it, releasing a lock the step before it (Lipton, "Reduction", CACM 1975).
 *
 * Asserted: no block is handed out twice; a span is retired once, with all its blocks free, and nobody changes it
 * after that; whenever no operation is under way, a span with a free block is owned, listed or retired, a span with
 * nothing but free blocks is owned or retired, and free_count is exact.
 *
 * Not covered: memory orderings weaker than sequential consistency, wrap-around of the generation, misuse by the
 * program. README.md says what the code must do beyond the model.
 *
 * PROOF span_protocol
 *   property: no block is handed out twice, no span with a free block is lost, a span is retired once and only when all of it
 *             is free and nobody will change it any more
 *   bound:    one span of 2 or 4 blocks in 2 words, 2 owners, 3 flushers, 2 lives of its descriptor; every interleaving
 *   assumes:  sequential consistency, a generation that does not wrap, a program that frees each block once
 *   code:     acre_span_claim acre_span_give_bits acre_span_give_count acre_span_disown acre_span_list
 *             acre_span_may_retire acre_span_own acre_span_retire acre_span_init ACRE_SPAN_OWNED ACRE_SPAN_LISTED
 *   variants: COUNT_FIRST, NO_GENERATION, NO_CHECK_AFTER_DISOWN, NO_FULL_CHECK_ON_LISTING, NO_STATE_COMPARE
 *
 * Each variant leaves one rule out and must fail.
 */
#ifndef LIVES
#define LIVES 2 /* how often the descriptor is used before the model stops */
#endif

/* Class 0 has one block in each word, class 1 has two, so that a stale look at a full span of class 0 is harmful. */
#define CLASS (life % 2)
#define CAPACITY(class) ((class) == 0 -> 2 : 4)
#define ALL_OF(class) ((class) == 0 -> 1 : 3)
#define COUNT(word) (((word) & 1) + ((word) >> 1))

byte words[2];
byte out[2]; /* blocks in the program's hands: handed out, and not being freed */

/* the state word */
byte generation;
bool owned;
bool listed;
short free_count;

bool retired = true; /* the span is back in the arena; the descriptor waits for its next life */
byte life;           /* the generation as it ought to be */
bool lock[2];        /* of each class; guards its partial list */
byte busy;           /* operations under way */

/* The end of an operation. When none is left, the count is exact and a free block must be within somebody's reach. */
inline finish()
{
    busy--;
    assert(busy != 0 || retired || owned || listed || (words[0] == 0 && words[1] == 0));
    assert(busy != 0 || owned || !listed || free_count < CAPACITY(CLASS));
    assert(busy != 0 || retired || free_count == COUNT(words[0]) + COUNT(words[1]))
}

/* The span goes back to the arena. The caller holds the lock of the class and knows that every block is free. */
inline retire(class)
{
    assert(!retired && !owned && class == CLASS);
    assert(words[0] == ALL_OF(class) && words[1] == ALL_OF(class));
    listed = false;
    free_count = 0;
#ifndef NO_GENERATION
    generation++;
#endif
    life++;
    retired = true
}

/* Nobody owns or lists the span and it has a free block: the caller alone is responsible for it. Ends the operation. */
inline list_or_retire(class)
{
    d_step {
        !lock[class];
        assert(!retired && !owned && !listed && class == CLASS);
        listed = true; /* fetch_or(state, LISTED) */
        if
#ifndef NO_FULL_CHECK_ON_LISTING
        :: free_count == CAPACITY(class) -> lock[class] = true; is_full = true
#endif
        :: else -> finish()
        fi
    }
    if
    :: is_full -> d_step { retire(class); lock[class] = false; is_full = false; finish() }
    :: else
    fi
}

proctype owner()
{
    bool mine = false, is_full = false;
    byte i, taken, class;
    short old_count;

    do
    :: d_step { !mine && retired && life < LIVES ->
        /* acre_span_init: a fresh span from the arena, which nobody else can reach. */
        class = CLASS;
        words[0] = ALL_OF(class);
        words[1] = ALL_OF(class);
        free_count = CAPACITY(class);
        owned = true;
        retired = false;
        mine = true }
    :: d_step { !mine && listed && !lock[CLASS] ->
        /* acre_span_own: a span from the list, under the lock of its class. */
        assert(!owned && !retired);
        class = CLASS;
        listed = false;
        owned = true;
        mine = true }
    :: atomic { mine && (words[0] != 0 || words[1] != 0) ->
        /* acre_span_claim: any part of a word's free blocks. */
        if
        :: words[0] & 1 -> i = 0; taken = 1
        :: words[0] & 2 -> i = 0; taken = 2
        :: words[0] == 3 -> i = 0; taken = 3
        :: words[1] & 1 -> i = 1; taken = 1
        :: words[1] & 2 -> i = 1; taken = 2
        :: words[1] == 3 -> i = 1; taken = 3
        fi;
        d_step { /* fetch_and(words[i], ~taken) */
            busy++;
            assert((out[i] & taken) == 0);
            out[i] = out[i] | taken;
            words[i] = words[i] & ~taken;
            i = 0
        } }
        d_step { assert(owned && !retired); free_count = free_count - COUNT(taken); taken = 0; finish() } /* fetch_add */
    :: d_step { mine ->
        /* acre_span_disown: when it is exhausted, but also at any other moment (a thread ends). */
        busy++;
        assert(owned && !retired);
        old_count = free_count; /* fetch_and(state, ~OWNED) */
        owned = false;
        mine = false }
#ifndef NO_CHECK_AFTER_DISOWN
        if
        :: old_count > 0 -> old_count = 0; list_or_retire(class)
        :: else -> d_step { old_count = 0; finish() }
        fi
#else
        d_step { old_count = 0; finish() }
#endif
    :: !mine && retired && life >= LIVES -> break
    od
}

/* acre_span_give_bits and acre_span_give_count, in the right order and, for the variant, in the wrong one. */
inline give_bits() { assert(!retired && (words[i] & mask) == 0); words[i] = words[i] | mask }

inline give_count()
{
    assert(!retired);
    /* What the flusher has to do follows from the value that its fetch_add returns. */
    must_list = (!owned && !listed && free_count <= 0 && free_count + count > 0);
    free_count = free_count + count;
    must_retire = (!owned && listed && free_count == CAPACITY(class));
    my_generation = generation
}

proctype flusher()
{
    byte i, mask, count, class, my_generation;
    bool must_list, must_retire, is_full, same;

    do
    :: atomic { out[0] != 0 || out[1] != 0 ->
        /* The program frees one block, or both blocks of a word. */
        if
        :: out[0] & 1 -> i = 0; mask = 1
        :: out[0] & 2 -> i = 0; mask = 2
        :: out[0] == 3 -> i = 0; mask = 3
        :: out[1] & 1 -> i = 1; mask = 1
        :: out[1] & 2 -> i = 1; mask = 2
        :: out[1] == 3 -> i = 1; mask = 3
        fi;
        d_step {
            busy++;
            out[i] = out[i] & ~mask;
            count = COUNT(mask);
            class = CLASS;
#ifndef COUNT_FIRST
            give_bits();
            mask = 0;
            i = 0
#else
            give_count()
#endif
        } }
        d_step {
#ifndef COUNT_FIRST
            give_count();
#else
            give_bits();
            mask = 0;
            i = 0;
#endif
            count = 0;
            if
            :: must_list || must_retire
            :: else -> class = 0; my_generation = 0; finish()
            fi
        }
        if
        :: must_list ->
            d_step { must_list = false; my_generation = 0 }
            list_or_retire(class);
            class = 0
        :: must_retire ->
            d_step {
                !lock[class];
                must_retire = false;
                /* acre_span_may_retire */
                same = (my_generation == generation && !owned && listed && free_count == CAPACITY(class));
#ifdef NO_STATE_COMPARE
                same = (my_generation == generation && listed);
#endif
                my_generation = 0;
                if
                :: same -> lock[class] = true
                :: else -> class = 0; finish()
                fi
            }
            if
            :: same -> d_step { retire(class); lock[class] = false; same = false; class = 0; finish() }
            :: else
            fi
        :: else
        fi
    :: retired && life >= LIVES && busy == 0 -> break
    od
}

init
{
    atomic {
        run owner();
        run owner();
        run flusher();
        run flusher();
        run flusher()
    }
}
