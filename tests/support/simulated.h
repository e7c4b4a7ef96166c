/* simulated.h - a device in memory that behaves as badly as a device may: requests come to an end in any order, what was not flushed is
 * lost in pieces of 512 bytes when the power fails, and any request can be made to fail.
 *
 * Several devices share a world: its power, its random numbers, its faults. One event is one request that comes to an end. */
#ifndef ACRE_TESTS_SIMULATED_H
#define ACRE_TESTS_SIMULATED_H

#include <acre/device.h>
#include <pthread.h>

enum { SIMULATED_SECTOR_BYTES = 512 };

typedef struct simulated_world {
    uint64_t random;
    uint64_t event_count;
    uint64_t cut_at; /* the power fails at this event, 0: never */
    bool is_off;
    uint64_t fault_count; /* that were injected */
    /* How many of 1000 requests fail, and how: */
    unsigned read_error, write_error, write_short, write_full, flush_lost;
    bool is_lying; /* flushes say they are done and do nothing */
    pthread_mutex_t lock;
} simulated_world;

typedef struct simulated_write {
    uint64_t offset;
    size_t size_bytes;
    unsigned char *bytes;
} simulated_write;

typedef struct simulated_device {
    acre_device device;
    simulated_world *world;
    unsigned char *durable, *seen; /* what survives, and what reads find; capacity_bytes each */
    uint64_t capacity_bytes, size_bytes;
    simulated_write *writes; /* done since the last flush, in order */
    size_t write_count, write_room;
    acre_device_request **waiting;
    size_t waiting_count, waiting_room;
} simulated_device;

void simulated_world_init(simulated_world *world, uint64_t seed);
void simulated_open(simulated_device *device, simulated_world *world, uint64_t capacity_bytes);
void simulated_close(simulated_device *device);

/* The power comes back: of what was not durable, any pieces are there. Nothing is in flight. */
void simulated_restart(simulated_device *device);

#endif
