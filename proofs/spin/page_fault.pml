/* page_fault.pml - page faults that a program serves itself, as unified memory does behind userfaultfd: two threads that read and write two
 * pages, a handler that has one frame, and the kernel between them.
 *
 * A thread that finds a page missing, or wants to write one that is protected, leaves a message and sleeps until it is woken; then it tries
 * again. The handler takes one message after the other. What comes is copied in and mapped in one step, which fails where the page is there
 * already; for it the other page goes: it is protected against writes, copied home, taken out of the address space, and who waits for it is
 * woken. The handler dies at any moment, or never: the kernel then wakes all who wait, and who would have to wait gets an error.
 *
 * Asserted: a read sees what was last written; no more pages are there than there are frames; who is woken with a page finds it, unless it had
 * to go since; and in the end nobody waits.
 *
 * PROOF page_fault_protocol
 *   property: no write is lost, also not over an eviction and the page's return; no thread waits for ever; nobody is woken in vain; when the
 *             handler dies each wait ends, with an error where the page is not there
 *   bound:    2 threads, 3 accesses each, 2 pages, 1 frame; every order of steps, and a death at any of them
 *   assumes:  sequentially consistent memory; not that the kernel looks again once a message is queued: the page may have come meanwhile
 *   code:     acre_um_serve acre_um_evict_pages acre_um_copy_pages acre_page_faults_fill acre_page_faults_protect acre_page_faults_wake
 *   variants: NO_PROTECTION, REMOVED_FIRST, NO_WAKE_WHEN_THERE, WOKEN_FIRST, NO_WAKE_AT_DEATH, ALLOWED_EARLY
 *
 * Each variant leaves one rule out and must fail. Not asked: whether a thread may lose its page each time before it gets to run (it may, with
 * fewer frames than threads and a scheduler that is not fair).
 */
#define ACCESSES 3
#define GONE 255

byte home[2], memory[2];
bool is_there[2], is_writable[2]; /* in the page table */
byte last[2];                     /* ghost: what was written last */

bool waits[2], has_message[2]; /* of a thread */
byte wanted[2];                /* the page that it waits for */
bool wants_write[2];
bool was_served[2]; /* ghost: it was woken with the page, which has not gone since */
bool is_dead;
byte running = 2; /* threads */

#define OTHER(page) (1 - (page))

inline wake(page)
{
    d_step {
        if
        :: waits[0] && wanted[0] == page -> waits[0] = false; has_message[0] = false
        :: else
        fi;
        if
        :: waits[1] && wanted[1] == page -> waits[1] = false; has_message[1] = false
        :: else
        fi
    }
}

/* The page is not as it was for whoever was woken with it. */
inline take_back(page)
{
    was_served[0] = was_served[0] && wanted[0] != page;
    was_served[1] = was_served[1] && wanted[1] != page
}

proctype worker(byte me)
{
    byte page, count;
    bool is_write;
    do
    :: count < ACCESSES ->
        atomic {
            if
            :: page = 0
            :: page = 1
            fi;
            if
            :: is_write = false
            :: is_write = true
            fi;
            count++
        }
again:
        atomic {
            if
            :: is_there[page] && !is_write ->
                assert(memory[page] == last[page]);
                was_served[me] = false
            :: is_there[page] && is_write && is_writable[page] ->
                last[page]++;
                memory[page] = last[page];
                was_served[me] = false
            :: else ->
                assert(!was_served[me]);
                goto faulted
            fi
        }
        goto next;
faulted:
        atomic {
            if
            :: is_dead -> goto failed
            :: else
            fi;
            wanted[me] = page;
            wants_write[me] = is_write;
            waits[me] = true;
            has_message[me] = true
        }
        !waits[me];
        goto again;
next:
        skip
    :: else -> break
    od;
failed:
    running--
}

/* `page` has the frame, and goes. */
inline evict(page)
{
    if
    :: is_writable[page] -> /* home's copy may be old */
#ifndef NO_PROTECTION
        d_step { is_writable[page] = false; take_back(page) }
#endif
#ifdef REMOVED_FIRST
        d_step { is_there[page] = false; is_writable[page] = false; memory[page] = GONE; take_back(page) }
#endif
        home[page] = memory[page];
#ifdef ALLOWED_EARLY
        is_writable[page] = true;
        wake(page)
#endif
    :: else
    fi;
    d_step { is_there[page] = false; is_writable[page] = false; memory[page] = GONE; take_back(page) }
    wake(page)
}

inline bring(page)
{
#ifdef WOKEN_FIRST
    d_step { wake(page); was_served[thread] = true }
#endif
    d_step {
        assert(!is_there[OTHER(page)]);
        memory[page] = home[page];
        is_there[page] = true;
        is_writable[page] = wants_write[thread]
    }
#ifndef WOKEN_FIRST
    d_step { wake(page); was_served[thread] = true }
#endif
}

inline take_message()
{
    atomic {
        if
        :: has_message[0] -> thread = 0
        :: has_message[1] -> thread = 1
        fi;
        has_message[thread] = false
    }
}

proctype handler()
{
    byte thread;
    {
        do
        :: has_message[0] || has_message[1] ->
            take_message();
            if
            :: is_there[wanted[thread]] && wants_write[thread] && !is_writable[wanted[thread]] ->
                is_writable[wanted[thread]] = true; /* dirty from now on */
                d_step { wake(wanted[thread]); was_served[thread] = true }
            :: is_there[wanted[thread]] && (!wants_write[thread] || is_writable[wanted[thread]]) ->
#ifdef NO_WAKE_WHEN_THERE
                skip
#else
                d_step { wake(wanted[thread]); was_served[thread] = true }
#endif
            :: !is_there[wanted[thread]] ->
                if
                :: is_there[OTHER(wanted[thread])] -> evict(OTHER(wanted[thread]))
                :: else
                fi;
                bring(wanted[thread])
            fi
        :: running == 0 -> break
        od
    } unless {
        is_dead
    };
    skip
}

/* The kernel, when the handler's descriptor is closed. */
proctype death()
{
    if
    :: atomic {
        running > 0 -> is_dead = true;
#ifndef NO_WAKE_AT_DEATH
        wake(0);
        wake(1)
#endif
       }
    :: true
    fi
}

init
{
    atomic {
        run worker(0);
        run worker(1);
        run handler();
        run death()
    }
}
