/* mover.c - defragmentation as a job: a piece is recorded and submitted in one step, and ended in a later one, when the device is through.
 */
#include "runner.h"

#include <stdlib.h>

enum { LOOK_AGAIN_NS = 500000 };

struct acre_vulkan_mover {
    acre_vulkan *vulkan;
    acre_vulkan_moves_options options;
    acre_vulkan_owner owner;
    acre_vulkan_runner runner;
    acre_vulkan_moves *moves; /* that the device is at; NULL: none */
    acre_vulkan_mover_figures figures;
    acre_job job;
};

static void end_piece(acre_vulkan_mover *self)
{
    self->figures.moved_bytes += acre_vulkan_end_moves(self->moves);
    self->figures.piece_count++;
    self->moves = NULL;
}

/* ACRE_JOB_DONE: nothing to gain, or it failed. */
static acre_job_result begin_piece(acre_vulkan_mover *self)
{
    acre_vulkan *const v = self->vulkan;
    acre_status status = acre_vulkan_begin_commands(v, &self->runner);
    if (status == ACRE_OK) status = acre_vulkan_begin_moves(v, &self->options, &self->owner, self->runner.commands, &self->moves, NULL);
    if (status == ACRE_OK && self->moves != NULL) status = acre_vulkan_submit_commands(v, &self->runner);
    self->figures.status = status;
    if (status == ACRE_OK && self->moves != NULL) return ACRE_JOB_IDLE;
    acre_vulkan_cancel_moves(self->moves);
    self->moves = NULL;
    return ACRE_JOB_DONE;
}

static acre_job_result step(void *context, uint64_t budget_ns)
{
    (void)budget_ns; /* a piece is as long as options.bytes_max allows */
    acre_vulkan_mover *const self = context;
    if (self->moves == NULL) return begin_piece(self);
    const acre_status status = acre_vulkan_wait_for_commands(self->vulkan, &self->runner, 0);
    if (status == ACRE_BUSY) return ACRE_JOB_IDLE;
    if (status == ACRE_OK) {
        end_piece(self);
        return ACRE_JOB_MORE;
    }
    self->figures.status = status; /* the device is lost, and what it was at with it */
    acre_vulkan_cancel_moves(self->moves);
    self->moves = NULL;
    return ACRE_JOB_DONE;
}

acre_status acre_vulkan_open_mover(acre_vulkan *vulkan, const acre_vulkan_moves_options *options, const acre_vulkan_owner *owner,
                                   acre_vulkan_mover **mover)
{
    if (vulkan == NULL || options == NULL || owner == NULL || owner->describe == NULL || owner->moved == NULL || mover == NULL)
        return acre_fail(ACRE_INVALID, "vulkan: an argument is NULL");
    if (vulkan->queue == NULL) return acre_fail(ACRE_UNSUPPORTED, "vulkan: opened without a queue");
    acre_vulkan_mover *const self = calloc(1, sizeof *self);
    if (self == NULL) return acre_fail(ACRE_NO_MEMORY, "vulkan: no host memory for a mover");
    self->vulkan = vulkan;
    self->options = *options;
    self->owner = *owner;
    self->job = (acre_job){.name = "vulkan moves", .step = step, .context = self, .period_ns = LOOK_AGAIN_NS};
    const acre_status status = acre_vulkan_open_runner(vulkan, &self->runner);
    if (status != ACRE_OK) {
        free(self);
        return status;
    }
    *mover = self;
    return ACRE_OK;
}

acre_job *acre_vulkan_mover_job(acre_vulkan_mover *mover) { return &mover->job; }

void acre_vulkan_read_mover(const acre_vulkan_mover *mover, acre_vulkan_mover_figures *figures) { *figures = mover->figures; }

void acre_vulkan_close_mover(acre_vulkan_mover *mover)
{
    if (mover == NULL) return;
    if (mover->moves != NULL) {
        if (acre_vulkan_wait_for_commands(mover->vulkan, &mover->runner, UINT64_MAX) == ACRE_OK)
            end_piece(mover);
        else
            acre_vulkan_cancel_moves(mover->moves);
    }
    acre_vulkan_close_runner(mover->vulkan, &mover->runner);
    free(mover);
}
