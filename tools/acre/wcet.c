/* wcet.c - `acre wcet`: the longest path, in instructions, through functions of a linked program.
 *
 * Each function's graph of instructions is followed from where it begins; a call counts as the longest path of what it calls, so functions
 * are done callees first. Only what lies on a way to a return counts: a way into a function that never returns, into an instruction that
 * faults, or into an endless loop is listed and not counted. What is left must be without a cycle; then one pass gives the longest path.
 *
 * Refused, because nothing in the machine code bounds it: a loop, recursion, a jump or call to what a register holds (unless the
 * instructions in front of it set the register to a constant). One kind of loop is no such loop: it goes round again only when a
 * store-exclusive was refused, and on one core that takes an exception between the load and the store. It counts once, and what each
 * further round costs is told.
 *
 * What the figure is not: cycles; the time of interrupts that come in between; a bound for code that does not keep the calling convention
 * (a call comes back behind itself, a return goes to the caller).
 */
#include "command.h"
#include "wcet_code.h"

#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX
enum { STEP_COUNT_MAX = 1 << 20 }; /* instructions of one function */

typedef enum refusal_kind { ACCEPTED, LOOP, RECURSION, INDIRECT, UNKNOWN, NO_RETURN } refusal_kind;

static const char *const refusal_texts[] = {"", "LOOP", "RECURSION", "INDIRECT", "UNKNOWN", "NO RETURN"};

typedef struct refusal {
    refusal_kind kind;
    uint64_t address; /* of what is refused */
    uint64_t detail;  /* LOOP: the branch that goes back; RECURSION: what is called */
} refusal;

typedef struct path_piece { /* a block on the longest path */
    uint64_t begin, last;   /* addresses of its first and last instruction */
    uint64_t count;
    uint32_t callee; /* that its last instruction calls, or NONE */
} path_piece;

typedef enum progress { UNSEEN, ACTIVE, DONE } progress;

typedef struct function {
    uint64_t address;
    char *name;
    progress progress;
    bool is_assumed;
    refusal refusal;
    uint32_t refused_in;    /* the callee from which the refusal comes, or NONE */
    uint64_t bound;         /* instructions */
    uint64_t retry_count;   /* instructions of one more round, after a store-exclusive was refused */
    uint64_t masked_count;  /* instructions in a row with interrupts off */
    path_piece *path;
    size_t path_count, path_capacity;
    uint64_t *dead_ends; /* where ways begin that do not return */
    size_t dead_end_count, dead_end_capacity;
} function;

typedef struct node {
    step step;
    uint32_t before; /* from which control falls through to it, or NONE */
    uint32_t way_count; /* into it */
    uint32_t first_edge, edge_count;
    uint32_t callee; /* or NONE */
    uint32_t best;   /* the next one on the longest path */
    uint8_t condition;
    uint8_t color; /* of the search for cycles: 0 white, 1 grey, 2 black */
    bool is_exit, is_live;
    refusal refusal;
    uint32_t refused_in;
    uint64_t call_count, longest, longest_masked;
} node;

typedef struct edge {
    uint32_t to;
    bool is_retry; /* taken when a store-exclusive was refused */
    bool is_cut;   /* goes back after a store-exclusive was refused: left out of the graph */
} edge;

typedef struct analysis {
    code_image *image;
    function *functions;
    size_t function_count, function_capacity;
    /* the graph of the function at work */
    node *nodes;
    size_t node_count, node_capacity;
    edge *edges;
    size_t edge_count, edge_capacity;
    uint32_t *slots; /* of a hash table: node + 1 by address */
    size_t slot_count;
    uint32_t *work;
    size_t work_count, work_capacity;
} analysis;

/* ---- functions ---- */

static uint32_t function_at(analysis *self, uint64_t address)
{
    for (size_t i = 0; i < self->function_count; i++) {
        if (self->functions[i].address == address) return (uint32_t)i;
    }
    self->functions = grow_array(self->functions, self->function_count, &self->function_capacity, sizeof *self->functions);
    self->functions[self->function_count] =
        (function){.address = address, .name = code_place_text(self->image, address), .refused_in = NONE};
    return (uint32_t)self->function_count++;
}

static void push_work(analysis *self, uint32_t item)
{
    self->work = grow_array(self->work, self->work_count, &self->work_capacity, sizeof *self->work);
    self->work[self->work_count++] = item;
}

/* ---- the graph of one function ---- */

static void reset_graph(analysis *self)
{
    self->node_count = self->edge_count = self->work_count = 0;
    if (self->slots != NULL) memset(self->slots, 0, self->slot_count * sizeof *self->slots);
}

static size_t slot_of(const analysis *self, uint64_t address)
{
    size_t slot = (size_t)(address * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (self->slot_count - 1);
    while (self->slots[slot] != 0 && self->nodes[self->slots[slot] - 1].step.address != address) slot = (slot + 1) & (self->slot_count - 1);
    return slot;
}

/* The node of an address; one that is new is left to be decoded. */
static uint32_t node_at(analysis *self, uint64_t address, uint32_t before, uint8_t condition)
{
    if (2 * self->node_count >= self->slot_count) {
        free(self->slots);
        self->slot_count = self->slot_count == 0 ? 256 : 2 * self->slot_count;
        self->slots = must_calloc(self->slot_count, sizeof *self->slots);
        for (size_t i = 0; i < self->node_count; i++) self->slots[slot_of(self, self->nodes[i].step.address)] = (uint32_t)i + 1;
    }
    const size_t slot = slot_of(self, address);
    if (self->slots[slot] == 0) {
        self->nodes = grow_array(self->nodes, self->node_count, &self->node_capacity, sizeof *self->nodes);
        self->nodes[self->node_count] = (node){
            .step.address = address, .before = before, .condition = condition, .callee = NONE, .best = NONE, .refused_in = NONE};
        self->slots[slot] = (uint32_t)++self->node_count;
        push_work(self, self->slots[slot] - 1);
    }
    return self->slots[slot] - 1;
}

/* Edges of one node are added one after the other. */
static void add_edge(analysis *self, uint32_t from, uint32_t to, bool is_retry)
{
    self->edges = grow_array(self->edges, self->edge_count, &self->edge_capacity, sizeof *self->edges);
    if (self->nodes[from].edge_count++ == 0) self->nodes[from].first_edge = (uint32_t)self->edge_count;
    self->edges[self->edge_count++] = (edge){.to = to, .is_retry = is_retry};
    self->nodes[to].way_count++;
}

static void refuse(node *n, refusal_kind kind, uint64_t detail)
{
    if (n->refusal.kind != ACCEPTED) return;
    n->refusal = (refusal){.kind = kind, .address = n->step.address, .detail = detail};
}

/* What the call of a function adds. False: the callee is not done, and has to be first. */
static bool add_call(analysis *self, uint32_t at, uint64_t target, bool is_tail, uint32_t *wanted)
{
    static const char table_jump[] = "__gnu_thumb1_case_"; /* of gcc's library: returns elsewhere, by a table behind the call */
    const uint32_t callee = function_at(self, target);
    const function *const f = &self->functions[callee];
    node *const n = &self->nodes[at];
    if (f->progress == UNSEEN && !f->is_assumed) {
        *wanted = callee;
        return false;
    }
    n->callee = callee;
    n->call_count = f->bound; /* 0 of one that has none */
    const bool returns = f->is_assumed || f->refusal.kind != NO_RETURN;
    if (f->is_assumed) {
        /* it is not looked at */
    } else if (strncmp(f->name, table_jump, sizeof table_jump - 1) == 0) {
        refuse(n, INDIRECT, target);
    } else if (f->progress == ACTIVE) {
        refuse(n, RECURSION, target);
    } else if (returns && f->refusal.kind != ACCEPTED) {
        n->refusal = f->refusal;
        n->refused_in = callee;
    }
    if (is_tail) n->is_exit = returns;
    return returns || is_tail;
}

/* Decodes a node and adds its edges; those that were not there yet are left to be decoded, what lies behind first. False: the function
 * `wanted` has to be done first. */
static bool expand(analysis *self, uint32_t at, uint64_t entry, uint32_t *wanted)
{
    const step *before[CODE_TRUSTED_MAX];
    size_t before_count = 0;
    for (uint32_t b = self->nodes[at].before; b != NONE && before_count < CODE_TRUSTED_MAX; b = self->nodes[b].before) {
        before[before_count++] = &self->nodes[b].step;
    }
    uint8_t condition = self->nodes[at].condition;
    step s;
    *wanted = NONE;
    if (!code_step(self->image, self->nodes[at].step.address, before, before_count, &condition, &s)) {
        self->nodes[at].step = s;
        refuse(&self->nodes[at], UNKNOWN, 0);
        self->nodes[at].is_exit = true; /* nobody knows */
        return true;
    }
    self->nodes[at].step = s;
    bool goes_on = s.is_conditional, goes_to_target = false;
    switch (s.kind) {
    case STEP_PLAIN: goes_on = true; break;
    case STEP_BRANCH: goes_on = goes_to_target = true; break;
    case STEP_JUMP: goes_to_target = true; break;
    case STEP_CALL:
        if (add_call(self, at, s.target, false, wanted)) goes_on = true;
        break;
    case STEP_RETURN: self->nodes[at].is_exit = true; break;
    case STEP_SWITCH:
        for (uint32_t i = 0; i < s.table_count; i++) {
            uint64_t target;
            if (code_switch_target(self->image, &s, i, &target)) add_edge(self, at, node_at(self, target, NONE, 0), false);
            else refuse(&self->nodes[at], UNKNOWN, 0);
        }
        break;
    case STEP_INDIRECT_JUMP:
        self->nodes[at].is_exit = true;
        refuse(&self->nodes[at], INDIRECT, 0);
        break;
    case STEP_INDIRECT_CALL:
        refuse(&self->nodes[at], INDIRECT, 0);
        goes_on = true;
        break;
    case STEP_REPEAT:
        refuse(&self->nodes[at], LOOP, s.address);
        goes_on = true;
        break;
    case STEP_STOP: break;
    case STEP_UNKNOWN:
        refuse(&self->nodes[at], UNKNOWN, 0);
        self->nodes[at].is_exit = true;
        break;
    }
    if (goes_to_target && s.target != entry && code_function_at(self->image, s.target) != NULL) {
        goes_to_target = false; /* a call whose return is that of this function */
        (void)add_call(self, at, s.target, true, wanted);
    }
    if (*wanted != NONE) return false;
    if (goes_to_target) add_edge(self, at, node_at(self, s.target, NONE, 0), s.is_retry_at_target);
    if (goes_on) add_edge(self, at, node_at(self, s.address + s.size_bytes, at, condition), s.is_retry_behind);
    return true;
}

/* What an instruction was taken for because of those in front of it holds only if there is no other way to it. */
static void check_trust(analysis *self, uint32_t at)
{
    node *const n = &self->nodes[at];
    uint32_t line = at;
    for (unsigned i = 0; i < n->step.trusts; i++) {
        if (self->nodes[line].way_count == 1 && line != 0) {
            line = self->nodes[line].before;
            continue;
        }
        if (n->step.kind != STEP_BRANCH) refuse(n, INDIRECT, 0);
        for (uint32_t e = 0; e < n->edge_count; e++) self->edges[n->first_edge + e].is_retry = false;
        return;
    }
}

static bool build_graph(analysis *self, uint64_t entry, uint32_t *wanted)
{
    reset_graph(self);
    (void)node_at(self, entry, NONE, 0);
    while (self->work_count > 0) {
        const uint32_t at = self->work[--self->work_count];
        if (!expand(self, at, entry, wanted)) return false;
        if (self->node_count <= STEP_COUNT_MAX) continue;
        refuse(&self->nodes[0], UNKNOWN, 0);
        break;
    }
    for (uint32_t i = 0; i < self->node_count; i++) check_trust(self, i);
    return true;
}

/* Marks what lies on a way to an exit. */
static void find_live(analysis *self)
{
    for (bool is_changed = true; is_changed;) {
        is_changed = false;
        for (size_t i = self->node_count; i-- > 0;) {
            node *const n = &self->nodes[i];
            bool is_live = n->is_exit;
            for (uint32_t e = 0; e < n->edge_count && !is_live; e++) is_live = self->nodes[self->edges[n->first_edge + e].to].is_live;
            is_changed |= is_live != n->is_live;
            n->is_live = is_live;
        }
    }
}

static void note_dead_ends(analysis *self, function *f)
{
    for (size_t i = 0; i < self->node_count; i++) {
        const node *const n = &self->nodes[i];
        bool is_end = n->is_live && n->callee != NONE && self->functions[n->callee].refusal.kind == NO_RETURN;
        for (uint32_t e = 0; e < n->edge_count && n->is_live; e++) is_end |= !self->nodes[self->edges[n->first_edge + e].to].is_live;
        if (!is_end) continue;
        f->dead_ends = grow_array(f->dead_ends, f->dead_end_count, &f->dead_end_capacity, sizeof *f->dead_ends);
        f->dead_ends[f->dead_end_count++] = n->step.address;
    }
}

/* All successors are known: the longest way from here to an exit, and with interrupts off until they are on. */
static void finish(const analysis *self, node *n, function *f)
{
    uint64_t rest = 0, masked = 0;
    for (uint32_t e = 0; e < n->edge_count; e++) {
        const edge *const way = &self->edges[n->first_edge + e];
        const node *const to = &self->nodes[way->to];
        if (way->is_cut || !to->is_live) continue;
        if (n->best == NONE || to->longest > rest) {
            n->best = way->to;
            rest = to->longest;
        }
        if (to->longest_masked > masked) masked = to->longest_masked;
    }
    /* A tail call or a conditional return leaves from here; it may be the longer way. */
    if (n->is_exit && n->best != NONE && n->callee != NONE) {
        if (n->call_count >= rest) n->best = NONE;
        n->longest = 1 + (n->call_count >= rest ? n->call_count : rest);
    } else {
        n->longest = 1 + n->call_count + rest;
    }
    n->longest_masked = n->step.unmasks && !n->step.is_conditional ? 1 : 1 + n->call_count + masked;
    if (n->step.masks && masked > f->masked_count) f->masked_count = masked;
}

/* Instructions of one round of the cycle that `back` closes from the end of the stack; 0 unless it is a straight line of one load-exclusive
 * and its store that goes round only when the store was refused. `next` tells which way each node on the stack was left. */
static uint64_t retry_cost(const analysis *self, const uint32_t *stack, size_t count, const uint32_t *next, const edge *back)
{
    uint64_t cost = 0;
    unsigned loads = 0, stores = 0;
    bool is_retry = back->is_retry;
    for (size_t at = count - 1;; at--) {
        const node *const n = &self->nodes[stack[at]];
        cost++;
        loads += n->step.is_exclusive_load;
        stores += n->step.is_exclusive_store;
        if (n->callee != NONE || n->step.kind == STEP_SWITCH) return 0;
        if (stack[at] == back->to) break;
        if (at == 0 || n->way_count != 1) return 0;
        const uint32_t below = stack[at - 1];
        is_retry |= self->edges[self->nodes[below].first_edge + next[below] - 1].is_retry;
    }
    return loads == 1 && stores == 1 && is_retry ? cost : 0;
}

/* Depth first over what is live: refuses a cycle, and finishes each node behind its successors. */
static refusal search(analysis *self, function *f)
{
    uint32_t *const stack = must_calloc(self->node_count + 1, sizeof *stack);
    uint32_t *const next = must_calloc(self->node_count + 1, sizeof *next);
    size_t count = 0;
    refusal found = {.kind = ACCEPTED};
    stack[count++] = 0;
    self->nodes[0].color = 1;
    while (count > 0 && found.kind == ACCEPTED) {
        const uint32_t at = stack[count - 1];
        node *const n = &self->nodes[at];
        if (next[at] == n->edge_count) {
            finish(self, n, f);
            n->color = 2;
            count--;
            continue;
        }
        edge *const way = &self->edges[n->first_edge + next[at]++];
        node *const to = &self->nodes[way->to];
        if (!to->is_live || to->color == 2) continue;
        if (to->color == 0) {
            to->color = 1;
            stack[count++] = way->to;
            continue;
        }
        const uint64_t cost = retry_cost(self, stack, count, next, way);
        if (cost == 0) {
            found = (refusal){.kind = LOOP, .address = to->step.address, .detail = n->step.address};
        } else {
            way->is_cut = true;
            if (cost > f->retry_count) f->retry_count = cost;
        }
    }
    free(stack);
    free(next);
    return found;
}

static void keep_path(const analysis *self, function *f)
{
    bool is_first = true;
    uint64_t behind = 0;
    for (uint32_t at = 0; at != NONE; at = self->nodes[at].best) {
        const node *const n = &self->nodes[at];
        if (is_first || n->step.address != behind || n->way_count > 1) {
            f->path = grow_array(f->path, f->path_count, &f->path_capacity, sizeof *f->path);
            f->path[f->path_count++] = (path_piece){.begin = n->step.address, .callee = NONE};
        }
        path_piece *const piece = &f->path[f->path_count - 1];
        /* A conditional tail call that is not the longer way is not taken. */
        const bool is_called = n->callee != NONE && !(n->is_exit && n->best != NONE);
        piece->last = n->step.address;
        piece->count++;
        piece->callee = is_called ? n->callee : NONE;
        is_first = is_called || n->step.kind != STEP_PLAIN;
        behind = n->step.address + n->step.size_bytes;
    }
}

/* False: `wanted` has to be done first. */
static bool analyse(analysis *self, uint32_t number, uint32_t *wanted)
{
    if (!build_graph(self, self->functions[number].address, wanted)) return false;
    function *const f = &self->functions[number]; /* calls have added functions */
    find_live(self);
    f->progress = DONE;
    if (!self->nodes[0].is_live) {
        f->refusal = (refusal){.kind = NO_RETURN, .address = f->address};
        return true;
    }
    for (size_t i = 0; i < self->node_count; i++) {
        const node *const n = &self->nodes[i];
        if (!n->is_live || n->refusal.kind == ACCEPTED) continue;
        f->refusal = n->refusal;
        f->refused_in = n->refused_in;
        return true;
    }
    f->refusal = search(self, f);
    if (f->refusal.kind != ACCEPTED) return true;
    f->bound = self->nodes[0].longest;
    for (size_t i = 0; i < self->node_count; i++) {
        const node *const n = &self->nodes[i];
        if (!n->is_live || n->callee == NONE) continue;
        const function *const callee = &self->functions[n->callee];
        if (callee->retry_count > f->retry_count) f->retry_count = callee->retry_count;
        if (callee->masked_count > f->masked_count) f->masked_count = callee->masked_count;
    }
    note_dead_ends(self, f);
    keep_path(self, f);
    return true;
}

/* The function and all that it calls, callees first. */
static void analyse_with_callees(analysis *self, uint32_t number)
{
    uint32_t *stack = NULL;
    size_t count = 0, capacity = 0;
    if (self->functions[number].progress == DONE || self->functions[number].is_assumed) return;
    stack = grow_array(stack, count, &capacity, sizeof *stack);
    stack[count++] = number;
    self->functions[number].progress = ACTIVE;
    while (count > 0) {
        uint32_t wanted = NONE;
        if (analyse(self, stack[count - 1], &wanted)) {
            count--;
            continue;
        }
        self->functions[wanted].progress = ACTIVE;
        stack = grow_array(stack, count, &capacity, sizeof *stack);
        stack[count++] = wanted;
    }
    free(stack);
}

/* ---- as text ---- */

/* What is refused, where, and why, to be freed. */
static char *refusal_text(const analysis *self, const refusal *r)
{
    char *const place = code_place_text(self->image, r->address);
    char *const other = code_place_text(self->image, r->detail);
    char *text = NULL;
    switch (r->kind) {
    case LOOP:
        text = must_print("LOOP in %s at 0x%" PRIx64 ": 0x%" PRIx64 " goes back there, and no constant bounds how often", place, r->address,
                          r->detail);
        break;
    case RECURSION:
        text = must_print("RECURSION in %s at 0x%" PRIx64 ": it calls %s, which is on its way already", place, r->address, other);
        break;
    case INDIRECT:
        text = must_print("INDIRECT in %s at 0x%" PRIx64 ": where it goes is no constant of the program", place, r->address);
        break;
    case NO_RETURN: text = must_print("NO RETURN: no way through %s comes back", place); break;
    case UNKNOWN:
    case ACCEPTED: text = must_print("UNKNOWN in %s at 0x%" PRIx64 ": no code that is understood is there", place, r->address); break;
    }
    free(place);
    free(other);
    return text;
}

/* "a > b > c" from a function to where its refusal is, to be freed. */
static char *way_text(const analysis *self, const function *f)
{
    char *text = must_copy(f->name);
    for (; f->refused_in != NONE; f = &self->functions[f->refused_in]) {
        char *const longer = must_print("%s > %s", text, self->functions[f->refused_in].name);
        free(text);
        text = longer;
    }
    return text;
}

static void print_path(const analysis *self, const function *f)
{
    printf("path of %s, %" PRIu64 " instructions\n", f->name, f->bound);
    for (size_t i = 0; i < f->path_count; i++) {
        const path_piece *const piece = &f->path[i];
        printf("  0x%08" PRIx64 " .. 0x%08" PRIx64 " %6" PRIu64, piece->begin, piece->last, piece->count);
        if (piece->callee != NONE) {
            const function *const callee = &self->functions[piece->callee];
            printf("  + %" PRIu64 " of %s%s", callee->bound, callee->name, callee->is_assumed ? " (assumed)" : "");
        }
        putchar('\n');
    }
    for (size_t i = 0; i < f->dead_end_count; i++) {
        printf("  not counted: the way from 0x%08" PRIx64 " that does not return\n", f->dead_ends[i]);
    }
}

static void print_function(const analysis *self, const function *f)
{
    if (f->refusal.kind != ACCEPTED) {
        char *const text = refusal_text(self, &f->refusal);
        char *const way = way_text(self, f);
        printf("%s: refused: %s\n", f->name, text);
        if (f->refused_in != NONE) printf("  called: %s\n", way);
        free(text);
        free(way);
        return;
    }
    printf("%s: at most %" PRIu64 " instructions\n", f->name, f->bound);
    if (f->retry_count > 0) {
        printf("  and %" PRIu64 " more each time that an exception comes between a load-\n  exclusive and its store\n", f->retry_count);
    }
    if (f->masked_count > 0) printf("  of these at most %" PRIu64 " in a row with interrupts off\n", f->masked_count);
}

/* The paths of a function and of all that are called on them, each once. */
static void print_paths(const analysis *self, uint32_t number)
{
    bool *const is_listed = must_calloc(self->function_count, sizeof *is_listed);
    uint32_t *const list = must_calloc(self->function_count, sizeof *list);
    size_t count = 0;
    list[count++] = number;
    is_listed[number] = true;
    for (size_t i = 0; i < count; i++) {
        const function *const f = &self->functions[list[i]];
        if (f->is_assumed || f->refusal.kind != ACCEPTED) continue;
        print_path(self, f);
        for (size_t p = 0; p < f->path_count; p++) {
            const uint32_t callee = f->path[p].callee;
            if (callee == NONE || is_listed[callee]) continue;
            is_listed[callee] = true;
            list[count++] = callee;
        }
    }
    free(is_listed);
    free(list);
}

/* ---- as JSON ---- */

static json_t *address_json(uint64_t address)
{
    char *const text = must_print("0x%" PRIx64, address);
    json_t *const json = json_string(text);
    free(text);
    return json;
}

static json_t *function_json(const analysis *self, const function *f)
{
    json_t *const json = json_pack("{s:s, s:o}", "function", f->name, "address", address_json(f->address));
    if (f->is_assumed) {
        json_object_set_new(json, "bound", json_integer((json_int_t)f->bound));
        json_object_set_new(json, "is_assumed", json_true());
        return json;
    }
    if (f->refusal.kind != ACCEPTED) {
        char *const text = refusal_text(self, &f->refusal);
        char *const place = code_place_text(self->image, f->refusal.address);
        char *const way = way_text(self, f);
        json_object_set_new(json, "bound", json_null());
        json_object_set_new(json, "refused",
                            json_pack("{s:s, s:s, s:o, s:s, s:s}", "kind", refusal_texts[f->refusal.kind], "place", place, "address",
                                      address_json(f->refusal.address), "called", way, "text", text));
        free(text);
        free(place);
        free(way);
        return json;
    }
    json_t *const path = json_array();
    for (size_t i = 0; i < f->path_count; i++) {
        const path_piece *const piece = &f->path[i];
        json_t *const block = json_pack("{s:o, s:o, s:I}", "begin", address_json(piece->begin), "last", address_json(piece->last),
                                        "instructions", (json_int_t)piece->count);
        if (piece->callee != NONE) {
            json_object_set_new(block, "calls", json_string(self->functions[piece->callee].name));
            json_object_set_new(block, "called_instructions", json_integer((json_int_t)self->functions[piece->callee].bound));
        }
        json_array_append_new(path, block);
    }
    json_t *const dead_ends = json_array();
    for (size_t i = 0; i < f->dead_end_count; i++) json_array_append_new(dead_ends, address_json(f->dead_ends[i]));
    json_object_set_new(json, "bound", json_integer((json_int_t)f->bound));
    json_object_set_new(json, "retry", json_integer((json_int_t)f->retry_count));
    json_object_set_new(json, "interrupts_off", json_integer((json_int_t)f->masked_count));
    json_object_set_new(json, "path", path);
    json_object_set_new(json, "not_counted", dead_ends);
    return json;
}

/* ---- the command ---- */

static const char help[] =
    "Usage: acre wcet [OPTIONS] IMAGE\n"
    "\n"
    "The longest path, in instructions, through each function of a linked program and\n"
    "what it calls: Thumb (Cortex-M), RISC-V, x86-64. Loops, recursion and jumps to\n"
    "what a register holds are refused: LOOP, RECURSION, INDIRECT. A loop that goes\n"
    "round only when a store-exclusive was refused counts once, and what each round\n"
    "more costs is told.\n"
    "\n"
    "  --function NAME   this function, with its path; may be given again. Without\n"
    "                    it: a line for every function\n"
    "  --assume NAME=N   take N instructions for a call of NAME (memcpy), and do not\n"
    "                    look into it; may be given again\n"
    "  --json            print JSON\n"
    "  -h, --help        print this\n"
    "\n"
    "The exit status is 0 when all that was asked for has a bound, 1 when something\n"
    "is refused, 2 for a mistake in the call.\n";

/* "NAME=N" */
static bool assume(analysis *self, const char *text)
{
    const char *const equals = strrchr(text, '=');
    uint64_t count;
    if (equals == NULL || equals == text || !parse_number(equals + 1, 0, UINT32_MAX, &count)) {
        (void)complain_usage("wcet", "--assume wants NAME=INSTRUCTIONS, not '%s'", text);
        return false;
    }
    char *const name = must_copy_part(text, (size_t)(equals - text));
    const code_function *const found = code_function_named(self->image, name);
    if (found == NULL) (void)complain_usage("wcet", "--assume: the image has no function '%s'", name);
    else {
        const uint32_t number = function_at(self, found->address); /* may move the functions */
        function *const f = &self->functions[number];
        f->is_assumed = true;
        f->bound = count;
    }
    free(name);
    return found != NULL;
}

static void close_analysis(analysis *self)
{
    for (size_t i = 0; i < self->function_count; i++) {
        free(self->functions[i].name);
        free(self->functions[i].path);
        free(self->functions[i].dead_ends);
    }
    free(self->functions);
    free(self->nodes);
    free(self->edges);
    free(self->slots);
    free(self->work);
    code_image_close(self->image);
}

/* Every function that was asked for, or that there is. */
static int report(analysis *self, const char *path, char *const *names, size_t name_count, bool is_json)
{
    size_t all_count = 0;
    const code_function *const all = code_functions(self->image, &all_count);
    const size_t count = name_count > 0 ? name_count : all_count;
    json_t *const list = json_array();
    int status = EXIT_SUCCESS;
    for (size_t i = 0; i < count; i++) {
        const code_function *const wanted = name_count > 0 ? code_function_named(self->image, names[i]) : &all[i];
        if (wanted == NULL) {
            json_decref(list);
            return complain_usage("wcet", "%s has no function '%s'", path, names[i]);
        }
        if (name_count == 0 && !wanted->is_typed) continue;
        const uint32_t number = function_at(self, wanted->address);
        analyse_with_callees(self, number);
        const function *const f = &self->functions[number];
        if (f->refusal.kind != ACCEPTED) status = EXIT_FAILED;
        if (is_json) json_array_append_new(list, function_json(self, f));
        else {
            print_function(self, f);
            if (name_count > 0) print_paths(self, number);
        }
    }
    if (is_json) {
        json_t *const json = json_pack("{s:s, s:s, s:O}", "image", path, "machine", code_machine_text(self->image), "functions", list);
        if (json == NULL || json_dumpf(json, stdout, JSON_INDENT(2)) != 0) status = EXIT_TOOL;
        else putchar('\n');
        json_decref(json);
    }
    json_decref(list);
    return status;
}

int command_wcet(int argument_count, char **arguments)
{
    static const struct option options[] = {{"function", required_argument, NULL, 'f'}, {"assume", required_argument, NULL, 'a'},
                                            {"json", no_argument, NULL, 'j'},           {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    char **const names = must_calloc((size_t)argument_count, sizeof *names);
    char **const assumed = must_calloc((size_t)argument_count, sizeof *assumed);
    size_t name_count = 0, assumed_count = 0;
    bool is_json = false;
    int status = -1;
    opterr = 0;
    for (int option; status < 0 && (option = getopt_long(argument_count, arguments, "h", options, NULL)) != -1;) {
        switch (option) {
        case 'f': names[name_count++] = optarg; break;
        case 'a': assumed[assumed_count++] = optarg; break;
        case 'j': is_json = true; break;
        case 'h':
            fputs(help, stdout);
            status = EXIT_SUCCESS;
            break;
        default: status = complain_usage("wcet", "'%s': no such option, or its argument is missing", arguments[optind - 1]);
        }
    }
    if (status < 0 && argument_count - optind != 1) status = complain_usage("wcet", "one image is wanted, not %d", argument_count - optind);
    if (status < 0) {
        char problem[512];
        analysis self = {.image = code_image_open(arguments[optind], problem, sizeof problem)};
        if (self.image == NULL) {
            complain("wcet", "%s", problem);
            status = EXIT_USAGE;
        } else {
            for (size_t i = 0; i < assumed_count && status < 0; i++) {
                if (!assume(&self, assumed[i])) status = EXIT_USAGE;
            }
            if (status < 0) status = report(&self, arguments[optind], names, name_count, is_json);
            close_analysis(&self);
        }
    }
    free(names);
    free(assumed);
    return status;
}
