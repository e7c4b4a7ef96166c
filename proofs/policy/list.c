/* Proofs of policy/list.h: from any rings over a few nodes, one operation leaves rings, with the node where it belongs. */
#include "../proof.h"
#include "policy/list.h"

enum { NODE_COUNT = 6 };

static acre_link links[NODE_COUNT];
static acre_link before[NODE_COUNT];
static bool is_in[NODE_COUNT]; /* in a ring, heads included */

static acre_policy_slot any_node(void)
{
    acre_policy_slot node = nondet_u32();
    assume(node < NODE_COUNT);
    return node;
}

/* Next and previous are inverse to each other among the nodes that are in rings. */
static bool are_rings(void)
{
    for (unsigned i = 0; i < NODE_COUNT; i++) {
        if (!is_in[i]) continue;
        if (links[i].next >= NODE_COUNT || links[i].previous >= NODE_COUNT || !is_in[links[i].next] || !is_in[links[i].previous])
            return false;
        if (links[links[i].next].previous != i || links[links[i].previous].next != i) return false;
    }
    return true;
}

static void any_rings(void)
{
    for (unsigned i = 0; i < NODE_COUNT; i++) {
        links[i] = (acre_link){nondet_u32(), nondet_u32()};
        is_in[i] = nondet_bool();
    }
    assume(are_rings());
    for (unsigned i = 0; i < NODE_COUNT; i++) before[i] = links[i];
}

/* Links of nodes other than these are as before. */
static void assert_others(acre_policy_slot a, acre_policy_slot b, acre_policy_slot c)
{
    for (unsigned i = 0; i < NODE_COUNT; i++)
        assert(i == a || i == b || i == c || (links[i].next == before[i].next && links[i].previous == before[i].previous));
}

/* PROOF list_insert
 *   property: a node put before a place, first or last leaves rings, lies there, and touches the nodes beside alone
 *   bound:    6 nodes in any number of rings
 *   assumes:  the place is in a ring, the node in none
 *   options:  --unwind 7
 */
void prove_list_insert(void)
{
    any_rings();
    const acre_policy_slot place = any_node(), node = any_node(), previous = links[place].previous, first = links[place].next;
    assume(is_in[place] && !is_in[node]);
    is_in[node] = true;
    if (nondet_bool()) {
        acre_list_push_first(links, place, node);
        assert(acre_list_first(links, place) == node && links[node].next == first);
        assert_others(place, first, node);
    } else {
        acre_list_push_last(links, place, node);
        assert(acre_list_last(links, place) == node && links[node].previous == previous);
        assert_others(place, previous, node);
    }
    assert(are_rings());
}

/* PROOF list_remove
 *   property: a node taken out leaves rings without it, and touches the nodes beside alone
 *   bound:    6 nodes in any number of rings
 *   assumes:  the node is in a ring
 *   options:  --unwind 7
 */
void prove_list_remove(void)
{
    any_rings();
    const acre_policy_slot node = any_node(), next = links[node].next, previous = links[node].previous;
    assume(is_in[node] && next != node);
    acre_list_remove(links, node);
    is_in[node] = false;
    assert(are_rings());
    assert(links[previous].next == next);
    assert_others(next, previous, node);
}

/* PROOF list_move
 *   property: a node moved to the beginning is first, and what was in rings is in rings
 *   bound:    6 nodes in any number of rings
 *   assumes:  the head and the node are in rings and not the same
 *   options:  --unwind 7
 */
void prove_list_move(void)
{
    any_rings();
    const acre_policy_slot head = any_node(), node = any_node();
    assume(is_in[head] && is_in[node] && head != node);
    acre_list_move_first(links, head, node);
    assert(are_rings());
    assert(acre_list_first(links, head) == node);
}
