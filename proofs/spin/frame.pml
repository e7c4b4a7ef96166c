/* frame.pml - a page of the buffer pool between those who change it, the one who writes it back and the one who gives its frame to another
 * page (src/database/).
 *
 * The page's word has a latch, a version and whether it is in memory; its frame has the flags DIRTY and WRITING. Contents are numbers: how many
 * changes they have. Two contexts change the page, twice each, and bring it in when it is not there; one evicts; one writes back, which
 * may fail, and frees the page after it. Every interleaving of their atomic steps is visited.
 *
 * Asserted: whoever holds the page exclusively finds all changes in it, and in the end they are in memory or on the device.
 *
 * PROOF page_protocol
 *   property: no change of a page is lost between change, write-back, eviction and reading it again
 *   bound:    2 contexts with 2 changes each, 2 evictions, 2 write-backs that may fail; every interleaving
 *   assumes:  sequential consistency, a device that reads what was written last
 *   code:     acre_buffer_pool_fix acre_buffer_pool_unfix note_change look evict_some stage give_back finish_batch claim_clean
 *   variants: FLAGS_FIRST, CLEAN_FIRST, NO_WRITING, NO_VERSION, DIRTY_LAST, WRITTEN_FIRST
 *
 * Each variant leaves one rule out and must fail.
 */
#define CHANGES 2
#define EXCLUSIVE 9

byte latch;           /* the word: how many share it, or EXCLUSIVE */
byte version;
bool resident;
bool dirty, writing;  /* the frame */
byte memory, device;  /* contents */
byte change_count;    /* that were made */
byte over_count;      /* contexts that have ended */

/* The word after an exclusive holder: one atomic exchange. */
inline publish(is_resident)
{
    d_step {
#ifndef NO_VERSION
        version++;
#endif
        latch = 0;
        resident = is_resident
    }
}

proctype changer()
{
    byte round;
    do
    :: round == CHANGES -> break
    :: else ->
        if
        :: d_step { resident && latch == 0 -> latch = EXCLUSIVE };
            assert(memory == change_count);
            d_step { memory++; change_count++ };
#ifdef DIRTY_LAST
            publish(true);
            dirty = true;
#else
            dirty = true;
            publish(true);
#endif
            round++
        :: d_step { !resident && latch == 0 -> latch = EXCLUSIVE };
            d_step { dirty = false; writing = false; memory = device };
            publish(true)
        fi
    od;
    over_count++
}

/* Takes the page out of memory if it is clean and nobody has it: look and evict_some, or claim_clean, and let_go. */
inline take_out()
{
#ifdef FLAGS_FIRST
    d_step { seen_dirty = dirty; seen_writing = writing };
    d_step { seen_version = version; is_free = (resident && latch == 0) };
#else
    d_step { seen_version = version; is_free = (resident && latch == 0) };
    d_step { seen_dirty = dirty; seen_writing = writing };
#endif
#ifdef NO_WRITING
    seen_writing = false;
#endif
    if
    :: is_free && !seen_dirty && !seen_writing ->
        if
        :: d_step { resident && latch == 0 && version == seen_version -> latch = EXCLUSIVE }; publish(false)
        :: else
        fi
    :: else
    fi
}

proctype evictor()
{
    byte round, seen_version;
    bool seen_dirty, seen_writing, is_free;
    do
    :: round == 2 -> break
    :: else -> take_out(); round++
    od;
    over_count++
}

proctype writer()
{
    byte round, copy, seen_version;
    bool seen_dirty, seen_writing, is_free;
    do
    :: round == 2 -> break
    :: else ->
        if
        :: d_step { resident && latch != EXCLUSIVE -> latch++ };
            if
            :: dirty && !writing ->
#ifdef CLEAN_FIRST
                dirty = false;
                latch--;
                d_step { copy = memory; writing = true };
#else
                writing = true;
                dirty = false;
                copy = memory;
                latch--;
#endif
                if
                :: device = copy; /* written */
                    writing = false
                :: skip; /* failed */
#ifdef WRITTEN_FIRST
                    writing = false;
                    dirty = true
#else
                    dirty = true;
                    writing = false
#endif
                fi
            :: else -> latch--
            fi;
            take_out()
        :: else
        fi;
        round++
    od;
    over_count++
}

init
{
    atomic { run changer(); run changer(); run evictor(); run writer() };
    over_count == 4;
    assert((resident && memory == change_count) || (!resident && device == change_count));
    assert(latch == 0 && !writing)
}
