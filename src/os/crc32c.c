/* crc32c.c - three streams at a time through the processor's instruction, whose result is there three cycles after it began; their
 * checksums are put together by a multiplication modulo the polynomial (as zlib's crc32_combine does). */
#include "os/crc32c.h"

#include <stdbool.h>
#include <string.h>

enum { STREAM_BYTES = 1360, STREAM_COUNT = 3 }; /* three of them are 4080 bytes: a page of 4096 and its 16 last bytes */

/* Half a byte at a time: 64 bytes of table. */
uint32_t acre_crc32c_plain(uint32_t before, const void *bytes, size_t size)
{
    static const uint32_t table[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
                                       0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
    const unsigned char *const from = bytes;
    uint32_t crc = ~before;
    for (size_t i = 0; i < size; i++) {
        crc ^= from[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

#if defined(__x86_64__)

#include <nmmintrin.h>
#include <wmmintrin.h>

/* x^(8 * STREAM_BYTES - 33) modulo the polynomial, and the same for two streams, reflected: a carry-less product with it, taken through
 * the instruction, moves a checksum over as many zeros. Found when first asked for, by moving 1 over the zeros bit by bit. */
static uint32_t power_of_x(unsigned bits)
{
    uint32_t power = 0x80000000u; /* 1 */
    for (unsigned i = 0; i < bits; i++) power = power >> 1 ^ (power & 1 ? 0x82f63b78u : 0);
    return power;
}

__attribute__((target("sse4.2,pclmul"))) static uint32_t shifted(uint32_t crc, uint32_t power)
{
    const __m128i product = _mm_clmulepi64_si128(_mm_cvtsi32_si128((int)crc), _mm_cvtsi32_si128((int)power), 0);
    return (uint32_t)_mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(product));
}

static uint64_t word_at(const unsigned char *from)
{
    uint64_t word;
    memcpy(&word, from, sizeof word);
    return word;
}

__attribute__((target("sse4.2,pclmul"))) static uint32_t crc_fast(uint32_t before, const unsigned char *from, size_t size)
{
    static uint32_t powers[2]; /* for one stream and for two; 0 is no power */
    uint32_t one = __atomic_load_n(&powers[0], __ATOMIC_RELAXED);
    uint32_t two = __atomic_load_n(&powers[1], __ATOMIC_RELAXED);
    if (one == 0 || two == 0) {
        one = power_of_x(8 * STREAM_BYTES - 33);
        two = power_of_x(8 * 2 * STREAM_BYTES - 33);
        __atomic_store_n(&powers[0], one, __ATOMIC_RELAXED);
        __atomic_store_n(&powers[1], two, __ATOMIC_RELAXED);
    }
    uint64_t crc = (uint32_t)~before;
    for (; size >= (size_t)STREAM_COUNT * STREAM_BYTES; size -= (size_t)STREAM_COUNT * STREAM_BYTES) {
        uint64_t second = 0;
        uint64_t third = 0;
        for (size_t i = 0; i < STREAM_BYTES; i += 8) {
            crc = _mm_crc32_u64(crc, word_at(from + i));
            second = _mm_crc32_u64(second, word_at(from + STREAM_BYTES + i));
            third = _mm_crc32_u64(third, word_at(from + 2 * (size_t)STREAM_BYTES + i));
        }
        crc = (uint64_t)(shifted((uint32_t)crc, two) ^ shifted((uint32_t)second, one) ^ (uint32_t)third);
        from += (size_t)STREAM_COUNT * STREAM_BYTES;
    }
    for (; size >= 8; size -= 8, from += 8) crc = _mm_crc32_u64(crc, word_at(from));
    for (; size > 0; size--, from++) crc = _mm_crc32_u8((uint32_t)crc, *from);
    return ~(uint32_t)crc;
}

static bool has_instruction(void) { return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul"); }

#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)

#include <arm_acle.h>

static uint32_t crc_fast(uint32_t before, const unsigned char *from, size_t size)
{
    uint32_t crc = ~before;
    for (; size >= 8; size -= 8, from += 8) {
        uint64_t word;
        memcpy(&word, from, sizeof word);
        crc = __crc32cd(crc, word);
    }
    for (; size > 0; size--, from++) crc = __crc32cb(crc, *from);
    return ~crc;
}

static bool has_instruction(void) { return true; }

#else

static uint32_t crc_fast(uint32_t before, const unsigned char *from, size_t size) { return acre_crc32c_plain(before, from, size); }
static bool has_instruction(void) { return false; }

#endif

uint32_t acre_crc32c(uint32_t before, const void *bytes, size_t size)
{
    return has_instruction() ? crc_fast(before, bytes, size) : acre_crc32c_plain(before, bytes, size);
}
