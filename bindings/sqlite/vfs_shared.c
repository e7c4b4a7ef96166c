/* vfs_shared.c - the blocks of a database in pages that processes share: read by calls, since what a process has under way when it is
 * killed must not end up there. What is known of the database lies beside them; the rules are those of vfs.h, with processes for threads:
 *
 * - With a rollback journal nobody writes while a process has its SHARED lock, so what it puts is right for the header that is known. A
 *   writer says that nothing is settled before its first write, and that it is when SQLite tells that the journal is no more; a process
 * that ends in between, or rolls back, leaves it unsettled, and the next lease makes all blocks old.
 * - With a WAL the mark of the wal-index is known to all. It means something as long as some process has had a SHARED lock ever since,
 * which only one can show that surely runs. Who checkpoints tells so beforehand, and of all that it writes: so the others keep their
 * blocks.
 * - A block that was read while another process told of a write does not count: tickets see to that. */
#include "vfs.h"

#include <assert.h>
#include <string.h>

_Static_assert(sizeof(vfs_known) <= ACRE_SHARED_FACTS_BYTES, "what is known is the facts of a set");

bool acre_vfs_shared_open(vfs_file *file)
{
    const uint64_t identity[2] = {file->identity.device, file->identity.inode};
    if (acre_shared_pages_join(acre_vfs.shared, identity, &file->set) != ACRE_OK) return false;
    file->block_count = UINT32_MAX;
    file->is_shared = true;
    file->is_pooled = true;
    return true;
}

void acre_vfs_shared_close(vfs_file *file)
{
    acre_shared_pages_leave(acre_vfs.shared, file->set);
    file->is_pooled = false;
}

static bool read_run(vfs_file *file, uint64_t block, size_t count, unsigned char *to)
{
    const acre_device_part part = {.bytes = to, .size_bytes = count << acre_vfs.block_shift};
    acre_device_request read = {.verb = ACRE_DEVICE_READ, .parts = &part, .part_count = 1, .offset = block << acre_vfs.block_shift};
    vfs_count(&acre_vfs.counts.shared_request, 1);
    return acre_device_do(&file->calls, &read) == ACRE_OK;
}

static bool has_buffer(vfs_ahead *ahead)
{
    if (ahead->buffer == NULL) ahead->buffer = sqlite3_malloc64(RUN_BYTES);
    return ahead->buffer != NULL;
}

bool acre_vfs_shared_copy(vfs_file *file, vfs_ahead *ahead, uint64_t block, size_t begin, size_t bytes, unsigned char *to, bool *was_ahead,
                          bool *was_missing)
{
    acre_shared_pages *const shared = acre_vfs.shared;
    const uint32_t number = (uint32_t)block;
    if (acre_shared_pages_read(shared, file->set, number, begin, to, bytes, was_ahead)) {
        if (*was_ahead) vfs_count(&acre_vfs.counts.prefetch_used, 1);
        return true;
    }
    const bool is_whole = bytes == (size_t)1 << acre_vfs.block_shift;
    if (!is_whole && !has_buffer(ahead)) return false;
    unsigned char *const place = is_whole ? to : ahead->buffer;
    const acre_shared_ticket ticket = acre_shared_pages_begin(shared, file->set);
    if (!read_run(file, block, 1, place)) return false;
    /* One that does not count is what SQLite would have read all the same. */
    (void)acre_shared_pages_put(shared, file->set, number, place, &ticket, false);
    if (!is_whole) memcpy(to, place + begin, bytes);
    *was_missing = true;
    return true;
}

size_t acre_vfs_shared_bring(vfs_file *file, vfs_ahead *ahead, const uint32_t *blocks, size_t count, bool is_ahead)
{
    acre_shared_pages *const shared = acre_vfs.shared;
    const size_t run_max = (size_t)RUN_BYTES >> acre_vfs.block_shift;
    size_t brought = 0;
    for (size_t i = 0, run; i < count; i += run) {
        run = 1;
        if (acre_shared_pages_has(shared, file->set, blocks[i])) continue;
        while (i + run < count && run < run_max && blocks[i + run] == blocks[i] + run &&
               !acre_shared_pages_has(shared, file->set, blocks[i + run]))
            run++;
        const acre_shared_ticket ticket = acre_shared_pages_begin(shared, file->set);
        if (!has_buffer(ahead) || !read_run(file, blocks[i], run, ahead->buffer)) return brought;
        for (size_t k = 0; k < run; k++)
            brought +=
                acre_shared_pages_put(shared, file->set, blocks[i + k], ahead->buffer + (k << acre_vfs.block_shift), &ticket, is_ahead);
        if (is_ahead) vfs_count(&acre_vfs.counts.prefetch, run);
    }
    return brought;
}

void acre_vfs_shared_wrote(vfs_file *file, uint64_t block, size_t begin, const unsigned char *from, size_t bytes)
{
    if (__atomic_load_n(&file->is_out, __ATOMIC_RELAXED))
        acre_vfs_blocks_drop(file);
    else
        acre_shared_pages_change(acre_vfs.shared, file->set, (uint32_t)block, begin, from, bytes);
}
