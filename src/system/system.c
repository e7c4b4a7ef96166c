/* system.c - see acre/system.h. */
#include <acre/system.h>

#include "base/status.h"
#include "os/os.h"

#include <assert.h>
#include <string.h>

/* The committed bytes belong to the picture that a contract judges, so they are told before every look. */
static void tell_committed(acre_system *system)
{
    acre_allocator_figures figures;
    if (acre_allocator_read_figures(system->allocator, &figures) == ACRE_OK) {
        acre_meter_set_committed(&system->meter, figures.committed_bytes);
    }
}

static acre_job_result check_contract(void *context, uint64_t budget_ns)
{
    (void)budget_ns;
    (void)acre_system_check(context); /* a breach is reported by the contract's own callback */
    return ACRE_JOB_IDLE;
}

static acre_status make_heap(acre_system *system)
{
    const acre_system_options *const options = &system->options;
    const acre_heap_options heap = {.space = options->space, .meta_space = options->meta_space, .name = options->name,
                                    .guard = options->guard, .guard_limits = options->guard_limits};
    const acre_status status = acre_heap_create(&heap, &system->heap);
    if (status == ACRE_OK) acre_heap_allocator(system->heap, &system->heap_allocator);
    return status;
}

acre_status acre_system_create(const acre_system_options *options, acre_system *system)
{
    if (options == NULL || system == NULL) return acre_fail(ACRE_INVALID, "system: the options or the system are NULL");
    const char *const name = options->name != NULL ? options->name : "system";
    if ((unsigned)options->guard > ACRE_GUARD_L3 || (options->guard != ACRE_GUARD_L0 && options->allocator != NULL)) {
        return acre_fail(ACRE_INVALID, "system '%s': guard level %u is unknown, or over an allocator that has none", name,
                         (unsigned)options->guard);
    }
    if (options->contract.limits != 0 && !options->is_metered) {
        return acre_fail(ACRE_INVALID, "system '%s': its contract can be checked only when it is metered", name);
    }
    if (options->allocator != NULL && (options->space != NULL || options->meta_space != NULL || options->allocator->ops == NULL)) {
        return acre_fail(ACRE_INVALID, "system '%s': an allocator without a table, or one beside a space", name);
    }
    memset(system, 0, sizeof *system);
    system->options = *options;
    system->options.name = name;
    acre_status status = options->allocator != NULL ? ACRE_OK : make_heap(system);
    if (status != ACRE_OK) return status;

    system->allocator = options->allocator != NULL ? options->allocator : &system->heap_allocator;
    acre_meter_init(&system->meter, name);
    status = acre_meter_join(&system->meter, &system->counted);
    assert(status == ACRE_OK); /* it refuses only one that has joined */
    (void)acre_scheduler_init(&system->scheduler);
    if (system->heap != NULL) {
        acre_heap_purge_job(system->heap, &system->purge_job);
        (void)acre_scheduler_add(&system->scheduler, &system->purge_job);
    }
    if (options->contract.limits != 0 && options->contract_period_ns != 0) {
        system->contract_job =
            (acre_job){.name = "contract", .step = check_contract, .context = system, .period_ns = options->contract_period_ns};
        (void)acre_scheduler_add(&system->scheduler, &system->contract_job);
    }
    if (options->uses_thread) status = acre_scheduler_use_thread(&system->scheduler, true);
    if (status != ACRE_OK) acre_system_destroy(system);
    return status;
}

void acre_system_destroy(acre_system *system)
{
    if (system == NULL || system->allocator == NULL) return;
    (void)acre_scheduler_use_thread(&system->scheduler, false);
    acre_heap_destroy(system->heap);
    system->heap = NULL;
    system->allocator = NULL;
}

static uint64_t start_ns(const acre_system *system) { return system->options.is_metered ? acre_os_now_ns() : 0; }

acre_addr acre_system_alloc(acre_system *system, uint64_t size, uint64_t alignment, const acre_hints *hints)
{
    const uint64_t start = start_ns(system);
    const acre_addr block = system->heap != NULL ? acre_heap_alloc_address(system->heap, size, alignment, hints)
                                                 : acre_allocator_alloc(system->allocator, size, alignment, hints);
    if (!system->options.is_metered) return block;
    const uint64_t taken_ns = acre_os_now_ns() - start;
    const uint64_t known = block != 0 ? acre_allocator_usable_size(system->allocator, block) : 0;
    const uint64_t room = known != 0 ? known : size;
    acre_lock_take((acre_lock *)&system->lock);
    if (block != 0)
        acre_meter_count_alloc(&system->counted, room, taken_ns);
    else
        acre_meter_count_failure(&system->counted);
    acre_lock_drop((acre_lock *)&system->lock);
    return block;
}

void acre_system_free(acre_system *system, acre_addr block)
{
    if (block == 0) return;
    const uint64_t room = system->options.is_metered ? acre_allocator_usable_size(system->allocator, block) : 0;
    const uint64_t start = start_ns(system);
    acre_allocator_free(system->allocator, block);
    if (!system->options.is_metered || room == 0) return;
    const uint64_t taken_ns = acre_os_now_ns() - start;
    acre_lock_take((acre_lock *)&system->lock);
    acre_meter_count_free(&system->counted, room, taken_ns);
    acre_lock_drop((acre_lock *)&system->lock);
}

uint64_t acre_system_step(acre_system *system, uint64_t budget_ns) { return acre_scheduler_step(&system->scheduler, budget_ns); }

acre_status acre_system_check(acre_system *system)
{
    if (system == NULL || system->allocator == NULL) return acre_fail(ACRE_INVALID, "system: NULL or not made");
    tell_committed(system);
    return acre_contract_check(&system->options.contract, &system->meter);
}

void acre_system_read_meter(acre_system *system, acre_meter_figures *figures)
{
    tell_committed(system);
    acre_meter_read(&system->meter, figures);
}
