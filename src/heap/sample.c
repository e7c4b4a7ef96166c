/* sample.c - see sample.h. Logarithm and exponential by short series: the library has no need for libm otherwise, and
 * one part in a thousand is far below the noise of sampling. */
#include "heap/sample.h"
#include "base/bits.h"

static const double ln2 = 0.69314718055994531;

/* xorshift64*, Vigna 2014. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * 0x2545f4914f6cdd1du;
}

/* ln(value / 2^53), 0 < value <= 2^53. */
static double ln_of_fraction(uint64_t value)
{
    const unsigned exponent = acre_log2_floor(value);
    const double mantissa = (double)value / (double)((uint64_t)1 << exponent); /* in [1, 2) */
    const double t = (mantissa - 1) / (mantissa + 1);                          /* in [0, 1/3) */
    const double tt = t * t;
    return 2 * t * (1 + tt * (1.0 / 3 + tt * (1.0 / 5 + tt / 7))) + ((double)exponent - 53) * ln2;
}

/* e^-x, x >= 0. */
static double exp_minus(double x)
{
    if (x > 40) return 0;
    const unsigned halvings = (unsigned)(x / ln2);
    const double rest = x - halvings * ln2; /* in [0, ln 2] */
    const double series = 1 - rest * (1 - rest / 2 * (1 - rest / 3 * (1 - rest / 4 * (1 - rest / 5))));
    return series / (double)((uint64_t)1 << halvings);
}

int64_t acre_sample_draw(uint64_t *random, uint64_t mean_bytes)
{
    const uint64_t uniform = (next_random(random) >> 11) + 1; /* 1 .. 2^53 */
    const double distance = -ln_of_fraction(uniform) * (double)mean_bytes;
    return distance < (double)(INT64_MAX / 2) ? (int64_t)distance : INT64_MAX / 2;
}

uint64_t acre_sample_weight(uint64_t size, uint64_t counted, uint64_t mean_bytes)
{
    if (size == 0) size = 1; /* a weight of 0 means no sample */
    if (mean_bytes == 0) return size;
    const double x = (double)counted / (double)mean_bytes;
    /* 1 - e^-x loses its digits for small x; there the series x (1 - x / 2 + x^2 / 6) has them. */
    const double probability = x < 0.01 ? x * (1 - x / 2 + x * x / 6) : 1 - exp_minus(x);
    return probability <= 0 ? mean_bytes : (uint64_t)((double)size / probability + 0.5);
}
