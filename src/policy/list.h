/* list.h - doubly linked rings of slot numbers: any number of lists over one array of links.
 *
 * A node is a number. Each list has a node of its own, its head, so that no operation asks whether a list is empty; a node that is in no
 * list has no meaning in its links. The links of a head lead to the first and the last node. Invariant: next and previous are inverse to
 * each other on every ring. Every operation is O(1) and touches at most the nodes beside. */
#ifndef ACRE_POLICY_LIST_H
#define ACRE_POLICY_LIST_H

#include <acre/policy.h>
#include <assert.h>

typedef struct acre_link {
    acre_policy_slot next, previous;
} acre_link;

static inline void acre_list_init(acre_link *links, acre_policy_slot head) { links[head] = (acre_link){head, head}; }

static inline bool acre_list_is_empty(const acre_link *links, acre_policy_slot head) { return links[head].next == head; }
static inline acre_policy_slot acre_list_first(const acre_link *links, acre_policy_slot head) { return links[head].next; }
static inline acre_policy_slot acre_list_last(const acre_link *links, acre_policy_slot head) { return links[head].previous; }

/* Puts `node`, which is in no list, before `place`, which is in one or a head. */
static inline void acre_list_insert_before(acre_link *links, acre_policy_slot place, acre_policy_slot node)
{
    acre_policy_slot previous = links[place].previous;
    assert(links[previous].next == place && node != place);
    links[node] = (acre_link){place, previous};
    links[previous].next = node;
    links[place].previous = node;
}

static inline void acre_list_push_first(acre_link *links, acre_policy_slot head, acre_policy_slot node)
{
    acre_list_insert_before(links, links[head].next, node);
}

static inline void acre_list_push_last(acre_link *links, acre_policy_slot head, acre_policy_slot node)
{
    acre_list_insert_before(links, head, node);
}

static inline void acre_list_remove(acre_link *links, acre_policy_slot node)
{
    acre_link link = links[node];
    assert(links[link.previous].next == node && links[link.next].previous == node);
    links[link.previous].next = link.next;
    links[link.next].previous = link.previous;
}

/* Moves a node to the beginning of a list; one that is there is left alone. */
static inline void acre_list_move_first(acre_link *links, acre_policy_slot head, acre_policy_slot node)
{
    if (links[head].next == node) return;
    acre_list_remove(links, node);
    acre_list_push_first(links, head, node);
}

/* How many nodes a ring has without its head; more than `count_max`, or SIZE_MAX, if it is not well formed. For is_valid. */
static inline size_t acre_list_count(const acre_link *links, acre_policy_slot head, size_t count_max)
{
    size_t count = 0;
    for (acre_policy_slot node = links[head].next, before = head; node != head; before = node, node = links[node].next) {
        if (links[node].previous != before || count++ > count_max) return SIZE_MAX;
    }
    return count;
}

#endif
