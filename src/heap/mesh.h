/* mesh.h - spans that show the memory of others: acre_heap_mesh in acre/heap.h.
 *
 * Two spans of one class whose blocks lie at different places fit into the memory of one. The blocks of the second are copied into the
 * first, and its addresses are made to show the first's memory: no pointer changes. From then on
 *
 *   - new blocks come at the first span's addresses alone, and a block that is out at either's is out in its words;
 *   - a block that is out at the second's addresses is out in the words of the second, too. When it goes back, both are told, first the
 *     second; the first counts it;
 *   - when the last block of all goes back, every span has its own memory again.
 */
#ifndef ACRE_HEAP_MESH_H
#define ACRE_HEAP_MESH_H

#include "heap/heap.h"

/* The spans that show the memory of a span that is retired get their own again, and go back to the arena. */
void acre_mesh_part(acre_heap *heap, acre_span *span);

/* All addresses of the heap show their own memory again, whatever is in it: the heap is going. */
void acre_mesh_part_all(acre_heap *heap);

/* Of the blocks that are out in a word of a span, those that are out at the addresses of the spans that show its memory. O(these spans). */
acre_word acre_mesh_out(const acre_heap *heap, const acre_span *span, size_t word);

#endif
