/* crc32c.h - the checksum of Castagnoli's polynomial (iSCSI, RFC 3720), by the processor's instruction where it has one. */
#ifndef ACRE_OS_CRC32C_H
#define ACRE_OS_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of `size` bytes that follow what `before` is the checksum of; 0 for a beginning. Any thread. O(size): about 0.1 ns a byte
 * with the instruction, 3 ns without. */
uint32_t acre_crc32c(uint32_t before, const void *bytes, size_t size);

/* The same without the instruction. */
uint32_t acre_crc32c_plain(uint32_t before, const void *bytes, size_t size);

#endif
