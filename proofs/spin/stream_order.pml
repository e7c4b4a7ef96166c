/* stream_order.pml - blocks that are freed in the order of streams (src/gpu/stream_order.c): the vector clocks, beside a device that runs
 * what is queued.
 *
 * A host queues work in three streams, in any order: it takes a free block for a stream by the rules and queues a use of it, frees it behind
 * that, and makes streams wait for others. The device does what is queued, stream by stream in order, one stream as far ahead of
 * another as it likes. Whole calls are one step each, since the owner's lock orders them.
 *
 * Asserted: when the device uses a block, whoever had the block before is done with it; and clocks never tell of frees that were not made.
 *
 * PROOF stream_order_protocol
 *   property: no use of a block overtakes a use by the stream that freed it before, whether the block was given since it is the same stream,
 *             since the taker waits for the freeing one (directly or through others), or since the device was seen to have got that far
 *   bound:    3 streams, 3 calls each, 1 block; every order of calls and of the device's steps
 *   assumes:  a device that runs a stream in order and keeps waits
 *   code:     acre_stream_order_take acre_stream_order_free acre_stream_order_wait acre_stream_order_record
 *   variants: TIME_BEFORE, WAITS_FOR_NOTHING, PASSED_EARLY, MIXED_CLOCKS
 *
 * Each variant leaves one rule out and must fail. Four calls each, over several blocks, tests/gpu/test_stream_order_model.c does with the code
 * itself.
 */
#define STREAMS 3
#define CALLS 3
#define NOBODY 3
#define ITEMS 9 /* STREAMS * CALLS: item i of stream s is items[s * CALLS + i] */
#define KNOWN(s, t) known[(s) * STREAMS + (t)]

byte known[9];
byte items[ITEMS];  /* a use of the block: 1; a wait: 16 * (stream + 1) + how many of its items */
byte queued[STREAMS], done[STREAMS], calls[STREAMS];
byte owner = NOBODY;       /* a stream */
byte freed_in = NOBODY;    /* NOBODY: never freed */
byte freed_time, freed_behind; /* clock and number of items of that stream when it was freed */
byte before[ITEMS];       /* of a use: the stream that had the block before, and ... */
byte before_behind[ITEMS]; /* ... what of it has to be done by then */

inline raise(s, t, to)
{
    if
    :: KNOWN(s, t) < (to) -> KNOWN(s, t) = to
    :: else
    fi
}

inline queue(s, what)
{
    items[(s) * CALLS + queued[s]] = what;
    queued[s]++
}

/* The block is free for what `s` does hence. */
#define FOLLOWS(s) (freed_time <= KNOWN(s, freed_in))
#ifdef PASSED_EARLY
#define HAS_PASSED (done[freed_in] + 1 >= freed_behind)
#else
#define HAS_PASSED (done[freed_in] >= freed_behind)
#endif
#define IS_FREE_FOR(s) (owner == NOBODY && (freed_in == NOBODY || freed_in == s || FOLLOWS(s) || HAS_PASSED))

inline take(s)
{
    owner = s;
    before[(s) * CALLS + queued[s]] = freed_in;
    before_behind[(s) * CALLS + queued[s]] = freed_behind;
    queue(s, 1);
    freed_in = NOBODY; /* what does not matter any more is made the same, so that fewer states differ */
    freed_time = 0;
    freed_behind = 0
}

inline free(s)
{
#ifdef TIME_BEFORE
    freed_time = KNOWN(s, s);
    KNOWN(s, s)++;
#else
    KNOWN(s, s)++;
    freed_time = KNOWN(s, s);
#endif
    owner = NOBODY;
    freed_in = s;
    freed_behind = queued[s]
}

/* `s` waits for an event that is recorded in `t` now. */
inline wait(s, t)
{
#ifdef WAITS_FOR_NOTHING
    queue(s, 16 * ((t) + 1));
#else
    queue(s, 16 * ((t) + 1) + queued[t]);
#endif
#ifdef MIXED_CLOCKS
    raise(s, 0, KNOWN(t, t));
    raise(s, 1, KNOWN(t, t));
    raise(s, 2, KNOWN(t, t))
#else
    raise(s, 0, KNOWN(t, 0));
    raise(s, 1, KNOWN(t, 1));
    raise(s, 2, KNOWN(t, 2))
#endif
}

#define ITEM(s) items[(s) * CALLS + done[s]]
#define CAN_RUN(s) (done[s] < queued[s] && (ITEM(s) < 16 || done[ITEM(s) / 16 - 1] >= ITEM(s) % 16))

inline run_one(s)
{
    assert(ITEM(s) >= 16 || before[(s) * CALLS + done[s]] == NOBODY || before[(s) * CALLS + done[s]] == s ||
           done[before[(s) * CALLS + done[s]]] >= before_behind[(s) * CALLS + done[s]]);
    ITEM(s) = 0;
    before[(s) * CALLS + done[s]] = 0;
    before_behind[(s) * CALLS + done[s]] = 0;
    done[s]++
}

active proctype host_and_device()
{
    byte s, t;
    do
    :: atomic {
        select(s : 0 .. 2);
        if
        :: calls[s] < CALLS ->
            if
            :: IS_FREE_FOR(s) -> d_step { take(s); calls[s]++ }
            :: owner == s -> d_step { free(s); calls[s]++ }
            :: queued[(s + 1) % 3] > 0 -> d_step { t = (s + 1) % 3; wait(s, t); calls[s]++ }
            :: queued[(s + 2) % 3] > 0 -> d_step { t = (s + 2) % 3; wait(s, t); calls[s]++ }
            :: CAN_RUN(s) -> d_step { run_one(s) }
            :: else
            fi
        :: calls[s] == CALLS && CAN_RUN(s) -> d_step { run_one(s) }
        :: else
        fi;
        d_step {
            s = 0;
            t = 0;
            assert(KNOWN(0, 1) <= KNOWN(1, 1) && KNOWN(0, 2) <= KNOWN(2, 2) && KNOWN(1, 0) <= KNOWN(0, 0));
            assert(KNOWN(1, 2) <= KNOWN(2, 2) && KNOWN(2, 0) <= KNOWN(0, 0) && KNOWN(2, 1) <= KNOWN(1, 1))
        }
       }
    :: break
    od
}
