/* fuzz_um.c - libFuzzer: no sequence of calls and no rules lose contents of unified memory, or count wrongly. */
#include "random_use.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 2 && size < 4096) (void)use_um_at_random(data + 1, size - 1, data[0]);
    return 0;
}
