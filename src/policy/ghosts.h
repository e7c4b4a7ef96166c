/* ghosts.h - keys that were in the cache, as nodes of the same lists as its slots: node capacity_max and up, each with a fingerprint.
 *
 * For policies that have to move or drop any of them. One that forgets in the order of its remembering and need not be exact takes a
 * ghost_table, which has a fifth of the size. 20 bytes a ghost. */
#ifndef ACRE_POLICY_GHOSTS_H
#define ACRE_POLICY_GHOSTS_H

#include "policy/index.h"
#include "policy/list.h"

typedef struct acre_ghosts {
    acre_link *links;                  /* of slots, ghosts and heads alike */
    acre_index index;                  /* by node - first */
    acre_policy_slot first, count_max; /* nodes */
    acre_policy_slot free_head;        /* list of those that stand for no key */
    acre_policy_slot count;
} acre_ghosts;

/* Lays out links for `first` slots, `count_max` ghosts, and `list_count` heads, which are the nodes from first + count_max + 1 on. */
static inline void acre_ghosts_lay_out(acre_ghosts *ghosts, acre_carver *carver, acre_policy_slot first, acre_policy_slot count_max,
                                       unsigned list_count)
{
    ghosts->first = first;
    ghosts->count_max = count_max;
    ghosts->free_head = (acre_policy_slot)(first + count_max);
    ghosts->links = acre_carve(carver, (size_t)first + count_max + 1 + list_count, sizeof *ghosts->links);
    acre_index_lay_out(&ghosts->index, carver, count_max, count_max);
}

static inline acre_policy_slot acre_ghosts_head(const acre_ghosts *ghosts, unsigned list)
{
    return (acre_policy_slot)(ghosts->free_head + 1 + list);
}

static inline void acre_ghosts_init(acre_ghosts *ghosts, unsigned list_count)
{
    for (unsigned list = 0; list < list_count; list++) acre_list_init(ghosts->links, acre_ghosts_head(ghosts, list));
    acre_list_init(ghosts->links, ghosts->free_head);
    for (acre_policy_slot i = 0; i < ghosts->count_max; i++)
        acre_list_push_last(ghosts->links, ghosts->free_head, (acre_policy_slot)(ghosts->first + i));
}

static inline bool acre_ghosts_is_ghost(const acre_ghosts *ghosts, acre_policy_slot node)
{
    return node >= ghosts->first && node < ghosts->free_head;
}

/* The node of a key, or ACRE_POLICY_NO_SLOT. */
static inline acre_policy_slot acre_ghosts_find(const acre_ghosts *ghosts, uint32_t fingerprint)
{
    acre_policy_slot number = acre_index_find(&ghosts->index, fingerprint);
    return number == ACRE_POLICY_NO_SLOT ? number : (acre_policy_slot)(ghosts->first + number);
}

/* A node for a key, which is put in no list yet; there is a free one. */
static inline acre_policy_slot acre_ghosts_take(acre_ghosts *ghosts, uint32_t fingerprint)
{
    acre_policy_slot node = acre_list_last(ghosts->links, ghosts->free_head);
    assert(node != ghosts->free_head);
    acre_list_remove(ghosts->links, node);
    acre_index_insert(&ghosts->index, (acre_policy_slot)(node - ghosts->first), fingerprint);
    ghosts->count++;
    return node;
}

/* Forgets the key of a node, which is in a list. */
static inline void acre_ghosts_drop(acre_ghosts *ghosts, acre_policy_slot node)
{
    acre_index_remove(&ghosts->index, (acre_policy_slot)(node - ghosts->first));
    acre_list_remove(ghosts->links, node);
    acre_list_push_last(ghosts->links, ghosts->free_head, node);
    ghosts->count--;
}

/* For is_valid: the free ones and the others are all of them. */
static inline bool acre_ghosts_are_valid(const acre_ghosts *ghosts)
{
    size_t free_count = acre_list_count(ghosts->links, ghosts->free_head, ghosts->count_max);
    return free_count + ghosts->count == ghosts->count_max;
}

#endif
