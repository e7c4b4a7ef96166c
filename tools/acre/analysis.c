/* analysis.c - see analysis.h.
 *
 * Live bytes at the peak, per stack, need no second pass: every new peak has a number (epoch). A stack's live bytes at the
 * last peak are its live bytes unless it has changed since; so before a change, a stack that has not seen the last peak
 * notes its live bytes.
 */
#include "analysis.h"
#include "command.h"

#include <stdlib.h>
#include <string.h>

typedef struct block {
    uint64_t address; /* 0: the slot is free */
    uint64_t size, time_ns;
    double weight; /* bytes that it stands for */
    uint32_t stack;
    bool is_leaked; /* nothing pointed to it when the process ended */
} block;

typedef struct block_table {
    block *slots;
    size_t slot_count, used_count;
} block_table;

typedef struct pass {
    analysis *out;
    block_table live;
    double live_bytes;
    uint64_t epoch;
} pass;

/* --- live blocks: open addressing, removal by shifting back --- */

/* Neighbours in memory are neighbours in the table, 512 bytes of them: programs free what lies together together, and a look-up
 * costs a miss of the cache and little more. */
static size_t home_of(const block_table *table, uint64_t address)
{
    const uint64_t group = (address >> 9) * UINT64_C(0x9E3779B97F4A7C15) >> 20;
    return (size_t)(group + (address >> 4) % 32) & (table->slot_count - 1);
}

static block *find_block(const block_table *table, uint64_t address)
{
    if (table->slot_count == 0) return NULL;
    size_t at = home_of(table, address);
    while (table->slots[at].address != 0) {
        if (table->slots[at].address == address) return &table->slots[at];
        at = (at + 1) & (table->slot_count - 1);
    }
    return NULL;
}

static void put_block(block_table *table, const block *added)
{
    if (table->used_count >= table->slot_count / 2) {
        const block_table old = *table;
        table->slot_count = old.slot_count == 0 ? 1024 : old.slot_count * 2;
        table->used_count = 0;
        table->slots = must_calloc(table->slot_count, sizeof *table->slots);
        for (size_t i = 0; i < old.slot_count; i++)
            if (old.slots[i].address != 0) put_block(table, &old.slots[i]);
        free(old.slots);
    }
    size_t at = home_of(table, added->address);
    while (table->slots[at].address != 0) at = (at + 1) & (table->slot_count - 1);
    table->slots[at] = *added;
    table->used_count++;
}

static void remove_block(block_table *table, block *removed)
{
    const size_t mask = table->slot_count - 1;
    size_t hole = (size_t)(removed - table->slots);
    for (size_t at = (hole + 1) & mask; table->slots[at].address != 0; at = (at + 1) & mask) {
        const size_t home = home_of(table, table->slots[at].address);
        if (((at - home) & mask) >= ((at - hole) & mask)) { /* its way from home leads over the hole */
            table->slots[hole] = table->slots[at];
            hole = at;
        }
    }
    table->slots[hole].address = 0;
    table->used_count--;
}

/* --- figures --- */

static unsigned log2_of(uint64_t value) { return value == 0 ? 0 : 63u - (unsigned)__builtin_clzll(value); }

static size_bucket *size_bucket_of(analysis *out, uint64_t size)
{
    const unsigned bucket = size <= 1 ? 0 : log2_of(size - 1) + 1;
    return &out->sizes[bucket < ANALYSIS_SIZE_BUCKETS ? bucket : ANALYSIS_SIZE_BUCKETS - 1];
}

static double count_of(const block *of) { return of->size > 0 ? of->weight / (double)of->size : 1; }
static double variance_of(const block *of) { return of->weight * (of->weight - (double)of->size); }

static stack_figures *stack_of(pass *run, uint32_t stack)
{
    stack_figures *const figures = &run->out->stacks[stack < run->out->stack_count ? stack : 0];
    if (figures->peak_epoch != run->epoch) {
        figures->peak_epoch = run->epoch;
        figures->peak_bytes = figures->live_bytes;
    }
    return figures;
}

static time_bin *bin_at(analysis *out, uint64_t ns)
{
    const uint64_t span = out->end_ns - out->begin_ns;
    if (ns <= out->begin_ns || span == 0) return &out->bins[0];
    const uint64_t index = (uint64_t)((double)(ns - out->begin_ns) / (double)span * ANALYSIS_BIN_COUNT);
    return &out->bins[index < ANALYSIS_BIN_COUNT ? index : ANALYSIS_BIN_COUNT - 1];
}

static void note_live_in(const pass *run, time_bin *bin)
{
    if (run->live_bytes > bin->live_bytes) bin->live_bytes = run->live_bytes;
}

static void note_live(pass *run, uint64_t ns)
{
    note_live_in(run, bin_at(run->out, ns));
    if (run->live_bytes > run->out->peak_live_bytes) {
        run->out->peak_live_bytes = run->live_bytes;
        if (!run->out->has_gauge[ACRE_GAUGE_LIVE_BYTES] || !run->out->is_sampled) run->out->peak_ns = ns;
        run->epoch++;
    }
}

static void end_block(pass *run, block *ended, uint64_t ns)
{
    analysis *const out = run->out;
    const double count = count_of(ended);
    const uint64_t life_ns = ns > ended->time_ns ? ns - ended->time_ns : 0;
    const unsigned bucket = log2_of(life_ns);
    life_bucket *const life = &out->lives[bucket < ANALYSIS_LIFE_BUCKETS ? bucket : ANALYSIS_LIFE_BUCKETS - 1];
    stack_figures *const stack = stack_of(run, ended->stack);

    life->count += count;
    life->bytes += ended->weight;
    stack->live_bytes -= ended->weight;
    stack->live_count -= count;
    stack->freed_count += count;
    stack->life_sum_ns += count * (double)life_ns;
    out->freed_count += count;
    run->live_bytes -= ended->weight;
    remove_block(&run->live, ended);
}

static void begin_block(pass *run, const acre_event *event)
{
    analysis *const out = run->out;
    block *const present = find_block(&run->live, event->address);
    if (present != NULL) {
        out->doubled_count++;
        end_block(run, present, event->time);
    }
    const block added = {
        .address = event->address,
        .size = event->size,
        .time_ns = event->time,
        .weight = (double)(event->weight_bytes > event->size ? event->weight_bytes : event->size),
        .stack = event->stack,
    };
    const double count = count_of(&added), variance = variance_of(&added);
    size_bucket *const bucket = size_bucket_of(out, event->size);
    stack_figures *const stack = stack_of(run, event->stack);
    put_block(&run->live, &added);
    if (stack->allocated_count <= 0) stack->first_ns = event->time;
    stack->allocated_count += count;
    stack->allocated_bytes += added.weight;
    stack->variance_allocated += variance;
    stack->live_count += count;
    stack->live_bytes += added.weight;
    bucket->allocated_count += count;
    bucket->allocated_bytes += added.weight;
    out->allocated_count += count;
    out->allocated_bytes += added.weight;
    out->variance_allocated += variance;
    run->live_bytes += added.weight;
    note_live(run, event->time);
}

static void take_free(pass *run, uint64_t address, uint64_t ns)
{
    if (address == 0) return;
    block *const ended = find_block(&run->live, address);
    if (ended != NULL) end_block(run, ended, ns);
    else run->out->unknown_free_count++;
}

static void take_gauge(pass *run, const acre_event *event)
{
    analysis *const out = run->out;
    if (event->kind >= ACRE_GAUGE_COUNT) return;
    time_bin *const bin = bin_at(out, event->time);
    if (event->size > bin->gauges[event->kind]) bin->gauges[event->kind] = event->size;
    if (event->size > 0) out->has_gauge[event->kind] = true;
    if (event->size > out->gauge_peaks[event->kind]) {
        out->gauge_peaks[event->kind] = event->size;
        if (event->kind == ACRE_GAUGE_LIVE_BYTES && out->is_sampled) out->peak_ns = event->time;
    }
    out->gauge_lasts[event->kind] = event->size;
}

static void take_mark(analysis *out, const acre_event *event)
{
    enum { MARK_COUNT_MAX = 1000 };
    if (out->mark_count == MARK_COUNT_MAX || event->payload_bytes == 0) return;
    out->marks = must_realloc(out->marks, (out->mark_count + 1) * sizeof *out->marks);
    out->marks[out->mark_count++] = (struct mark){event->time, must_copy_part(event->payload, event->payload_bytes)};
}

static void take_unreachable(pass *run, uint64_t address)
{
    block *const found = find_block(&run->live, address);
    if (found != NULL) found->is_leaked = true; /* else it is from before the recording */
}

static void take_scan(analysis *out, const acre_event *event)
{
    free(out->scan_failure);
    out->has_scan = event->payload_bytes == 0;
    out->scan_failure = out->has_scan ? NULL : must_copy_part(event->payload, event->payload_bytes);
    out->scan_root_bytes = event->size;
    out->knows_all_leaks = out->has_scan && event->kind == 1;
    out->all_leaked_count = event->alignment;
    out->all_leaked_bytes = event->old_address;
}

static void take_event(void *context, const acre_event *event)
{
    pass *const run = context;
    switch (event->op) {
    case ACRE_EVENT_REALLOC:
        take_free(run, event->old_address, event->time);
        if (event->address != 0) begin_block(run, event);
        break;
    case ACRE_EVENT_ALLOC:
    case ACRE_EVENT_CALLOC:
    case ACRE_EVENT_ALIGNED:
    case ACRE_EVENT_NEW:
        if (event->address != 0) begin_block(run, event);
        break;
    case ACRE_EVENT_FREE: take_free(run, event->address, event->time); break;
    case ACRE_EVENT_GAUGE: take_gauge(run, event); return; /* made by the observer */
    case ACRE_EVENT_UNREACHABLE: take_unreachable(run, event->address); return;
    case ACRE_EVENT_SCAN: take_scan(run->out, event); return;
    case ACRE_EVENT_MARK: take_mark(run->out, event); break;
    default: return;
    }
    run->out->event_count++;
}

/* What is live at the end was never freed. */
static void count_remaining(pass *run)
{
    analysis *const out = run->out;
    for (size_t i = 0; i < run->live.slot_count; i++) {
        const block *const left = &run->live.slots[i];
        if (left->address == 0) continue;
        stack_figures *const stack = stack_of(run, left->stack);
        const double count = count_of(left);
        if (left->time_ns - stack->first_ns >= (out->end_ns - stack->first_ns) / 2) stack->late_live_bytes += left->weight;
        stack->variance_live += variance_of(left);
        out->variance_live += variance_of(left);
        if (left->is_leaked && out->has_scan) {
            stack->leaked_count += count;
            stack->leaked_bytes += left->weight;
            stack->variance_leaked += variance_of(left);
            out->leaked_count += count;
            out->leaked_bytes += left->weight;
            out->variance_leaked += variance_of(left);
        }
        out->live_count += count;
        out->live_bytes += left->weight;
        size_bucket_of(out, left->size)->live_bytes += left->weight;
    }
    out->never_freed_count = out->live_count;
    out->never_freed_bytes = out->live_bytes;
    for (uint32_t i = 0; i < out->stack_count; i++) (void)stack_of(run, i);
}

/* An exact trace tells of every block that the program asked for, with the size that it asked for. */
static void trust_the_events(analysis *out)
{
    out->knows_all_leaks = out->has_scan;
    out->all_leaked_count = (uint64_t)out->leaked_count;
    out->all_leaked_bytes = (uint64_t)out->leaked_bytes;
}

/* A bin without an event shows what was there before. Live bytes are those of the events before it. */
typedef struct carry {
    analysis *out;
    double live_bytes;
    uint64_t gauges[ACRE_GAUGE_COUNT];
} carry;

static void fill_empty_bins(analysis *out, const double *live_after, const bool *is_touched)
{
    carry last = {.out = out};
    for (size_t i = 0; i < ANALYSIS_BIN_COUNT; i++) {
        time_bin *const bin = &out->bins[i];
        if (!is_touched[i]) bin->live_bytes = last.live_bytes;
        else last.live_bytes = live_after[i];
        for (unsigned g = 0; g < ACRE_GAUGE_COUNT; g++) {
            if (bin->gauges[g] == 0) bin->gauges[g] = last.gauges[g];
            else last.gauges[g] = bin->gauges[g];
        }
    }
}

typedef struct tracking {
    pass *run;
    double live_after[ANALYSIS_BIN_COUNT];
    bool is_touched[ANALYSIS_BIN_COUNT];
} tracking;

static void track_event(void *context, const acre_event *event)
{
    tracking *const track = context;
    time_bin *const at = bin_at(track->run->out, event->time);
    const size_t bin = (size_t)(at - track->run->out->bins);
    /* What was live before the bin is live at its beginning, whatever the event. */
    if (!track->is_touched[bin]) note_live_in(track->run, at);
    track->is_touched[bin] = true;
    take_event(track->run, event);
    track->live_after[bin] = track->run->live_bytes;
}

analysis *analysis_of_process(trace_reader *reader, uint32_t index)
{
    analysis *const out = must_calloc(1, sizeof *out);
    out->info = trace_process_at(reader, index);
    out->is_sampled = trace_header_of(reader)->sample_bytes > 0;
    out->begin_ns = out->peak_ns = out->info->start_ns;
    out->end_ns = out->info->end_ns;
    out->stack_count = out->info->stack_count > 0 ? out->info->stack_count : 1;
    out->stacks = must_calloc(out->stack_count, sizeof *out->stacks);

    pass run = {.out = out};
    tracking *const track = must_calloc(1, sizeof *track);
    track->run = &run;
    trace_for_each_event(reader, index, track_event, track);
    count_remaining(&run);
    if (!out->is_sampled) trust_the_events(out);
    fill_empty_bins(out, track->live_after, track->is_touched);
    if (out->info->has_end) {
        for (unsigned g = 0; g < ACRE_GAUGE_COUNT; g++) {
            const uint64_t value = out->info->end.gauges[g];
            if (value > 0) out->has_gauge[g] = true;
            if (value > out->gauge_peaks[g]) out->gauge_peaks[g] = value;
        }
    }
    free(track);
    free(run.live.slots);
    return out;
}

void analysis_free(analysis *result)
{
    for (uint32_t i = 0; i < result->mark_count; i++) free(result->marks[i].text);
    free(result->marks);
    free(result->scan_failure);
    free(result->stacks);
    free(result);
}

uint64_t analysis_peak_of(const analysis *figures, acre_gauge gauge)
{
    uint64_t peak = figures->gauge_peaks[gauge];
    acre_gauge with_peak = gauge;
    if (gauge == ACRE_GAUGE_LIVE_BYTES) with_peak = ACRE_GAUGE_LIVE_PEAK_BYTES;
    if (gauge == ACRE_GAUGE_COMMITTED_BYTES) with_peak = ACRE_GAUGE_COMMITTED_PEAK_BYTES;
    if (gauge == ACRE_GAUGE_RSS_BYTES) with_peak = ACRE_GAUGE_RSS_PEAK_BYTES;
    if (figures->gauge_peaks[with_peak] > peak) peak = figures->gauge_peaks[with_peak];
    return peak;
}

static bool uses_live_gauge(const analysis *figures)
{
    return figures->is_sampled && figures->has_gauge[ACRE_GAUGE_LIVE_BYTES];
}

bool analysis_is_empty(const analysis *figures)
{
    return figures->is_sampled && figures->event_count == 0;
}

double analysis_peak_live(const analysis *figures)
{
    return uses_live_gauge(figures) ? (double)analysis_peak_of(figures, ACRE_GAUGE_LIVE_BYTES) : figures->peak_live_bytes;
}

double analysis_live_in(const analysis *figures, const time_bin *bin)
{
    return uses_live_gauge(figures) ? (double)bin->gauges[ACRE_GAUGE_LIVE_BYTES] : bin->live_bytes;
}

double analysis_fragmentation(const analysis *figures, const time_bin *bin)
{
    const double committed = (double)bin->gauges[ACRE_GAUGE_COMMITTED_BYTES];
    const double live = analysis_live_in(figures, bin);
    if (committed <= 0) return -1;
    return live >= committed ? 0 : 1 - live / committed;
}
