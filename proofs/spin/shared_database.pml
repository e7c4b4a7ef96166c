/* shared_database.pml - a page of a database in a cache that processes share, with a rollback journal: two programs that use the cache and one
 * that knows nothing of it read, write, roll back, fail and die.
 *
 * The locks are SQLite's: many SHARED, or one EXCLUSIVE; who dies has none any more, and leaves a journal, which the next one to come plays
 * back. A commit counts the header up by one, so two transactions of which one was taken back have the same header. Beside the cached page
 * stand the header that is known, and whether all is settled.
 *
 * Asserted: what is read from the cache is what the file says, for whoever has a lock.
 *
 * PROOF shared_database_protocol
 *   property: no program reads from the shared cache what the database does not say, whoever writes, rolls back, fails or dies
 *   bound:    2 programs with the cache, 1 and 2 rounds, 1 without, 2 rounds, a header, a page; every order of steps, a death at any
 *   assumes:  sequentially consistent memory; locks that end with their process; what the lock of the shared memory guards is one step
 *   code:     acre_shared_pages_change acre_shared_pages_put acre_shared_pages_lock acre_shared_pages_drop
 *   variants: NEVER_UNSETTLED, UNSETTLED_AFTER_TELLING, SETTLED_AT_UNLOCK, SETTLED_EARLY, HEADER_NOT_COMPARED, CHANGES_NOT_TOLD
 *
 * Each variant leaves one rule out and must fail.
 */
#define NONE 255

byte file_header, file_page, next_value = 1;
bool is_hot; /* there is a journal */
byte saved_header, saved_page;

bool has_shared[3];
byte exclusive = NONE;

/* In the memory that programs share. */
byte known_header, cached;
bool is_settled, is_good;

bool is_dead[3];

#define ALONE(me) (!has_shared[(me + 1) % 3] && !has_shared[(me + 2) % 3])

inline unsettle()
{
    if
#ifndef NEVER_UNSETTLED
    :: is_user -> is_settled = false
#endif
    :: else
    fi
}

/* The page has been written. */
inline tell()
{
    d_step {
        if
#ifndef CHANGES_NOT_TOLD
        :: is_user && is_good -> cached = value
#endif
        :: else
        fi
    }
}

inline write_page(content)
{
    value = content;
    file_page = value;
    tell()
}

inline write_header(content)
{
    value = content;
    file_header = value;
    if
    :: is_user -> known_header = value
    :: else
    fi
}

inline roll_back()
{
    unsettle();
    write_page(saved_page);
    write_header(saved_header);
    is_hot = false
}

inline begin_lease()
{
    d_step {
        value = file_header; /* nobody writes it: there is a lock */
        if
#ifdef HEADER_NOT_COMPARED
        :: !is_settled -> is_good = false
#else
        :: !is_settled || known_header != value -> is_good = false
#endif
        :: else
        fi;
        known_header = value;
        is_settled = true
    }
}

/* With a lock. */
inline read_page()
{
    if
    :: is_user ->
        if
        :: atomic { is_good -> assert(cached == file_page) }
        :: !is_good ->
            value = file_page;
            d_step { cached = value; is_good = true }
        fi
    :: else
    fi
}

proctype program(byte me; bool is_user; byte rounds)
{
    byte value;
    {
        do
        :: rounds > 0 ->
            atomic { exclusive == NONE -> has_shared[me] = true; rounds-- }
            if
            :: is_user -> begin_lease()
            :: else
            fi;
            if
            :: is_hot ->
                atomic {
                    if
                    :: ALONE(me) -> exclusive = me
                    :: else -> goto unlock
                    fi
                }
                if
                :: is_hot -> roll_back()
                :: else
                fi;
                exclusive = NONE
            :: !is_hot
            fi;
            if
            :: me > 0 -> read_page() /* the first only writes */
            :: true ->
               atomic {
                   if
                   :: ALONE(me) && !is_hot -> exclusive = me
                   :: else -> goto unlock
                   fi
               }
               d_step { saved_header = file_header; saved_page = file_page; is_hot = true }
#ifndef UNSETTLED_AFTER_TELLING
               unsettle();
#endif
               next_value++;
               write_page(next_value);
#ifdef UNSETTLED_AFTER_TELLING
               unsettle();
#endif
               if
               :: goto unlock /* it fails */
               :: true -> roll_back()
               :: true ->
                  write_header(saved_header + 1);
                  if
                  :: goto unlock
                  :: skip
                  fi;
#ifdef SETTLED_EARLY
                  is_settled = is_settled || is_user;
#endif
                  is_hot = false;
                  is_settled = is_settled || is_user
               fi
            fi;
unlock:
            skip;
            d_step {
#ifdef SETTLED_AT_UNLOCK
                is_settled = is_settled || (is_user && exclusive == me);
#endif
                if
                :: exclusive == me -> exclusive = NONE
                :: else
                fi;
                has_shared[me] = false;
                value = 0
            }
        :: else -> break
        od
    } unless {
        is_dead[me]
    };
    skip
}

/* The kernel, when a process ends. */
proctype death()
{
    byte who;
    atomic {
        if
        :: who = 0
        :: who = 1
        :: who = 2
        :: goto none
        fi;
        is_dead[who] = true;
        has_shared[who] = false;
        if
        :: exclusive == who -> exclusive = NONE
        :: else
        fi;
        who = 0
    }
none:
    skip
}

init
{
    atomic {
        run program(0, true, 1);
        run program(1, true, 2);
        run program(2, false, 2);
        run death()
    }
}
