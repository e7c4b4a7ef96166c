/* gpu_picture.h - what acre_gpu_write_json wrote, as a picture of every block: part of a document that the page of the tour draws. */
#ifndef ACRE_TOOL_GPU_PICTURE_H
#define ACRE_TOOL_GPU_PICTURE_H

#include <jansson.h>

/* Stops of the page: the heaps, the largest owners, and for each pool that has a block its picture. NULL: it is no such dump; `*why` says
 * what is wrong, to be freed. */
json_t *gpu_picture_stops(const json_t *dump, char **why);

/* The blocks of all pools alone: {title, blocks: [{label, size, pieces: [[offset, size, kind, share in use, text] ...]} ...]}. */
json_t *gpu_picture_of(const json_t *dump, const char *title, char **why);

/* `acre gpu picture FILE`; its arguments begin behind "picture". */
int gpu_picture_command(int argument_count, char **arguments);

#endif
