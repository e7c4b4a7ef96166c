/* cache_keys.c - see cache_keys.h. */
#include "cache_keys.h"

#include "command.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS_MIN = 1024 };

#define WHOLE ((uint64_t)1 << 32)

/* Every bit of the key reaches every bit of it (splitmix64's finish; Steele, Lea, Flood 2014). */
static uint64_t mixed(uint64_t key)
{
    key = (key ^ key >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    key = (key ^ key >> 27) * UINT64_C(0x94d049bb133111eb);
    return key ^ key >> 31;
}

static cache_keys_slot *slot_of(const cache_keys *self, uint64_t key, uint64_t hash)
{
    size_t at = (size_t)hash & (self->slot_count - 1);
    while (self->slots[at].object != 0 && self->slots[at].key != key) at = (at + 1) & (self->slot_count - 1);
    return &self->slots[at];
}

static void make_slots(cache_keys *self, size_t slot_count)
{
    free(self->slots);
    self->slot_count = slot_count;
    self->slots = must_calloc(slot_count, sizeof *self->slots);
    for (uint32_t i = 0; i < self->object_count; i++)
        *slot_of(self, self->keys[i], mixed(self->keys[i])) = (cache_keys_slot){self->keys[i], i + 1};
}

/* Lets the threshold come down until three quarters of the objects that are wanted at most are left. */
static void thin_out(cache_keys *self)
{
    uint32_t *const renumbered = must_calloc(self->object_count, sizeof *renumbered); /* number + 1, 0: not in the sample any more */
    uint32_t left = self->object_count;
    while (left > self->object_max / 4 * 3 && self->threshold > 1) {
        self->threshold -= (self->threshold + 7) / 8;
        left = 0;
        for (uint32_t i = 0; i < self->object_count; i++) left += mixed(self->keys[i]) >> 32 < self->threshold;
    }
    left = 0;
    for (uint32_t i = 0; i < self->object_count; i++) {
        if (mixed(self->keys[i]) >> 32 >= self->threshold) continue;
        self->keys[left] = self->keys[i];
        renumbered[i] = ++left;
    }
    size_t count = 0;
    for (size_t i = 0; i < self->count; i++)
        if (renumbered[self->objects[i]] != 0) self->objects[count++] = renumbered[self->objects[i]] - 1;
    self->count = count;
    self->object_count = left;
    free(renumbered);
    make_slots(self, self->slot_count);
}

void cache_keys_begin(cache_keys *keys, double rate, uint32_t object_max)
{
    *keys = (cache_keys){.threshold = (uint64_t)llround(rate * (double)WHOLE), .object_max = object_max};
    if (keys->threshold == 0) keys->threshold = 1;
    make_slots(keys, SLOTS_MIN);
}

bool cache_keys_take(void *context, uint64_t key)
{
    cache_keys *const self = context;
    const uint64_t hash = mixed(key);
    self->request_count++;
    if (hash >> 32 >= self->threshold) return true;
    if (self->count == CACHE_KEYS_MAX) {
        self->is_too_long = true;
        return false;
    }
    cache_keys_slot *const slot = slot_of(self, key, hash);
    uint32_t object = slot->object - 1;
    if (slot->object == 0) {
        object = self->object_count++;
        self->keys = grow_array(self->keys, object, &self->keys_capacity, sizeof *self->keys);
        self->keys[object] = key;
        *slot = (cache_keys_slot){key, object + 1};
        if (self->object_count > self->slot_count / 2) make_slots(self, self->slot_count * 2);
    }
    self->objects = grow_array(self->objects, self->count, &self->capacity, sizeof *self->objects);
    self->objects[self->count++] = object;
    if (self->object_max != 0 && self->object_count > self->object_max) thin_out(self);
    return true;
}

uint32_t cache_keys_object(const cache_keys *keys, uint64_t key) { return slot_of(keys, key, mixed(key))->object - 1; }

void cache_keys_end(cache_keys *keys)
{
    free(keys->objects);
    free(keys->keys);
    free(keys->slots);
    *keys = (cache_keys){0};
}

double cache_keys_rate(const cache_keys *keys) { return (double)keys->threshold / (double)WHOLE; }
