/* shared_wal.pml - a page of a database in a cache that processes share, with a WAL: two programs that use the cache and one that knows nothing
 * of it read, write, checkpoint, begin the WAL anew, close and die.
 *
 * Of SQLite: a reader's snapshot says whether the page is in the WAL; what is in the database is written by a checkpoint only when no reader
 * needs what was there; a WAL whose frames are all in the database begins anew when no reader uses it; the last one to close writes all back
 * and removes it; an index that nobody has is made anew from the WAL. The index tells salts and how many frames are in the database: the mark.
 *
 * Asserted: what is read from the cache is what the database says, for the reader's snapshot.
 *
 * PROOF shared_wal_protocol
 *   property: no program reads from the shared cache what the database does not say for its snapshot, whoever checkpoints, closes or dies
 *   bound:    a user of the cache that reads, writes and checkpoints and may die, one that reads twice, a stranger that writes and checkpoints;
 *             each opens and closes, the stranger up to twice; a page and its neighbour of a block; every order of steps, the death at any
 *   assumes:  sequentially consistent memory; locks that end with their process; salts that never repeat, but for those of an empty WAL
 *   code:     acre_shared_pages_others acre_shared_pages_mark acre_shared_pages_put acre_shared_pages_change
 *   variants: DEAD_HOLDERS_COUNT, DEAD_ADOPTERS_COUNT, NO_TICKETS, NOT_LOOKED_AT_FIRST, MARKED_TOO_LONG, CHANGES_NOT_TOLD
 *
 * Each variant leaves one rule out and must fail.
 */
#define NONE 255

/* The WAL and the database. */
byte db_page, wal_page, next_value = 1;
bool is_in_wal;
byte frames, backfilled, salts, next_salts = 1;
#define MARK (1 + salts * 8 + backfilled)

/* Locks. */
bool has_shared[3], has_index[3], uses_wal[3], lacks_frame[3], is_reading[3];
byte exclusive = NONE, writer = NONE, checkpointer = NONE;

/* In the memory that programs share. */
byte cached, known_mark;
bool is_good, is_holder[3], is_adopter[3], has_ticket[3];

bool is_dead[3];

#define OTHERS(what, me) (what[(me + 1) % 3] || what[(me + 2) % 3])
#define LIVING(what, me) ((what[(me + 1) % 3] && !is_dead[(me + 1) % 3]) || (what[(me + 2) % 3] && !is_dead[(me + 2) % 3]))
#define ANY(what) (what[0] || what[1] || what[2])

inline drop()
{
    is_good = false;
    has_ticket[0] = false;
    has_ticket[1] = false
}

inline adopt()
{
    d_step {
        if
#ifdef DEAD_ADOPTERS_COUNT
        :: MARK != known_mark && !is_adopter[me] && !OTHERS(is_adopter, me) -> drop()
#else
        :: MARK != known_mark && !is_adopter[me] && !LIVING(is_adopter, me) -> drop()
#endif
        :: else
        fi;
        known_mark = MARK
    }
}

inline begin_adopting()
{
    if
    :: is_user ->
#ifndef NOT_LOOKED_AT_FIRST
        adopt();
#endif
        is_adopter[me] = true
    :: else
    fi
}

inline end_adopting()
{
    if
    :: is_user ->
        known_mark = MARK; /* it is one's own */
#ifndef MARKED_TOO_LONG
        is_adopter[me] = false
#endif
    :: else
    fi
}

/* The database's page has been written. */
inline tell()
{
    d_step {
        if
#ifndef CHANGES_NOT_TOLD
        :: is_user ->
            if
            :: is_good -> cached = value
            :: else
            fi;
            has_ticket[0] = false;
            has_ticket[1] = false
#endif
        :: else
        fi
    }
}

inline begin_lease()
{
    d_step {
        if
#ifdef DEAD_HOLDERS_COUNT
        :: known_mark != 0 && !OTHERS(is_holder, me) -> drop(); known_mark = 0
#else
        :: known_mark != 0 && !LIVING(is_holder, me) -> drop(); known_mark = 0
#endif
        :: else
        fi;
        is_holder[me] = true
    }
}

/* An index that nobody has is made from the WAL. */
inline open_index()
{
    atomic {
        if
        :: !ANY(has_index) ->
            backfilled = 0;
            if
            :: frames == 0 -> salts = 0
            :: else
            fi;
            if
            :: is_user -> drop()
            :: else
            fi
        :: else
        fi;
        has_index[me] = true
    }
}

inline read_page()
{
    atomic { /* the snapshot */
        is_reading[me] = true;
        uses_wal[me] = frames != backfilled;
        lacks_frame[me] = false;
        /* What is in the WAL for it is read there. But the page's neighbour of the same block may be read in the database. */
        needs_page = !(is_in_wal && frames != backfilled);
        value = db_page
    }
    if
    :: MARK != known_mark -> adopt()
    :: else
    fi;
    if
    :: atomic { is_good -> assert(cached == value || !needs_page) }
    :: !is_good ->
        has_ticket[me] = true;
        assert(db_page == value || !needs_page); /* SQLite is modelled well */
        value = db_page;
        d_step {
            if
#ifdef NO_TICKETS
            :: true -> cached = value; is_good = true
#else
            :: has_ticket[me] -> cached = value; is_good = true
            :: else
#endif
            fi;
            has_ticket[me] = false
        }
    fi;
    d_step { needs_page = false; is_reading[me] = false; uses_wal[me] = false; lacks_frame[me] = false }
}

inline append()
{
    d_step {
        if
        :: frames == 0 && salts == 0 -> salts = next_salts; next_salts++
        :: else
        fi;
        frames++;
        wal_page = next_value;
        next_value++;
        is_in_wal = true;
        lacks_frame[0] = is_reading[0];
        lacks_frame[1] = is_reading[1];
        lacks_frame[2] = is_reading[2]
    }
}

inline begin_wal_anew()
{
    begin_adopting();
    atomic {
        if
        :: frames == backfilled && !ANY(uses_wal) -> salts = next_salts; next_salts++; frames = 0; backfilled = 0; is_in_wal = false
        :: else
        fi
    }
    end_adopting()
}

inline write_page()
{
    atomic { writer == NONE -> writer = me }
    if
    :: frames > 0 && frames == backfilled -> begin_wal_anew()
    :: else
    fi;
    append();
    writer = NONE
}

/* What was in the WAL at the beginning. */
inline write_back()
{
    if
    :: atomic { frames > backfilled && !ANY(lacks_frame) -> value = wal_page; until = frames }
        db_page = value;
        tell();
        backfilled = until
    :: else
    fi
}

inline checkpoint()
{
    atomic { checkpointer == NONE -> checkpointer = me }
    begin_adopting();
    write_back();
    end_adopting();
    checkpointer = NONE
#ifdef MARKED_TOO_LONG
    ;
    is_adopter[me] = false
#endif
}

/* The last one to close writes all back, and removes the WAL. */
inline close_wal()
{
    if
    :: atomic { !OTHERS(has_shared, me) -> exclusive = me }
        if
        :: frames > 0 -> begin_adopting(); write_back(); end_adopting(); is_adopter[me] = false
        :: else
        fi;
        d_step { frames = 0; backfilled = 0; salts = 0; is_in_wal = false; exclusive = NONE }
    :: else
    fi;
    is_holder[me] = false;
    d_step { has_index[me] = false; has_shared[me] = false; value = 0; until = 0 }
}

/* One that works reads first, if it is a user, writes, and checkpoints or not; the stranger may come again then. The other reads twice. */
proctype program(byte me; bool is_user; byte rounds; byte reads; bool works)
{
    byte value, until;
    bool needs_page;
    {
        do
        :: rounds > 0 ->
            atomic { exclusive == NONE -> has_shared[me] = true; rounds-- }
            if
            :: is_user -> begin_lease()
            :: else
            fi;
            open_index();
            do
            :: reads > 0 ->
                reads--;
                read_page()
            :: else -> break
            od;
            if
            :: works ->
                works = false;
                write_page();
                if
                :: true -> checkpoint()
                :: true
                fi
            :: else
            fi;
            close_wal()
        :: rounds == 0 || !works -> break
        od
    } unless {
        is_dead[me]
    };
    skip
}

/* The kernel, when a process ends. */
proctype death()
{
    atomic {
        if
        :: true
        :: goto none
        fi;
        is_dead[0] = true;
        has_shared[0] = false;
        has_index[0] = false;
        uses_wal[0] = false;
        lacks_frame[0] = false;
        is_reading[0] = false;
        if
        :: exclusive == 0 -> exclusive = NONE
        :: else
        fi;
        if
        :: writer == 0 -> writer = NONE
        :: else
        fi;
        if
        :: checkpointer == 0 -> checkpointer = NONE
        :: else
        fi
    }
none:
    skip
}

init
{
    atomic {
        run program(0, true, 1, 1, true);
        run program(1, true, 1, 2, false);
        run program(2, false, 2, 0, true);
        run death()
    }
}
