/* size_class.c - the two tables. tests/alloc checks them against the rule in size_class.h. */
#include "alloc/size_class.h"

#define CLASS(bytes, units)                                                                                            \
    {                                                                                                                  \
        .block_bytes = (bytes), .unit_count = (units), .capacity = (units) * ACRE_UNIT_BYTES / (bytes),                \
        .reciprocal = (((uint64_t)1 << 40) + (bytes) - 1) / (bytes),                                                   \
    }

const acre_size_class acre_size_classes[ACRE_CLASS_COUNT + 1] = {
    {.block_bytes = 0},
    CLASS(16, 1), CLASS(32, 1), CLASS(48, 1), CLASS(64, 1), CLASS(80, 1), CLASS(96, 1), CLASS(112, 1), CLASS(128, 1),
    CLASS(144, 1), CLASS(160, 1), CLASS(176, 1), CLASS(192, 1), CLASS(208, 1), CLASS(224, 1), CLASS(240, 1),
    CLASS(256, 1), CLASS(288, 1), CLASS(320, 1), CLASS(352, 1), CLASS(384, 1), CLASS(416, 1), CLASS(448, 1),
    CLASS(480, 1), CLASS(512, 1), CLASS(576, 1), CLASS(640, 2), CLASS(704, 1), CLASS(768, 1), CLASS(832, 2),
    CLASS(896, 1), CLASS(960, 1), CLASS(1024, 1), CLASS(1040, 2), CLASS(1152, 1), CLASS(1280, 3), CLASS(1408, 2),
    CLASS(1536, 2), CLASS(1664, 3), CLASS(1792, 1), CLASS(1920, 2), CLASS(2048, 1), CLASS(2064, 5), CLASS(2304, 2),
    CLASS(2560, 3), CLASS(2816, 4), CLASS(3072, 3), CLASS(3328, 5), CLASS(3584, 2), CLASS(3840, 4), CLASS(4096, 2),
    CLASS(4112, 5), CLASS(4608, 4), CLASS(5120, 5), CLASS(5632, 5), CLASS(6144, 3), CLASS(6656, 5), CLASS(7168, 4),
    CLASS(7680, 4), CLASS(8192, 4),
};

#define CLASS_ALONE(class) class
const uint8_t acre_class_table[ACRE_TABLE_BYTES_MAX / 16 + 1] = {ACRE_CLASS_TABLE(CLASS_ALONE)};

unsigned acre_class_of_aligned(size_t size, size_t alignment)
{
    assert(acre_is_power_of_two(alignment) && alignment <= ACRE_UNIT_BYTES);
    if (size > ACRE_SMALL_BYTES_MAX) return ACRE_CLASS_LARGE;
    for (unsigned class = acre_class_of_size(size); class <= ACRE_CLASS_COUNT; class++) {
        if ((acre_size_classes[class].block_bytes & (alignment - 1)) == 0) return class;
    }
    return ACRE_CLASS_LARGE;
}
