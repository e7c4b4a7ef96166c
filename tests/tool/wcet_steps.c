/* wcet_steps.c - what acre wcet takes instructions for: reads addresses, and prints of each address, size, target and kind; see wcet.py. */
#include "wcet_code.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argument_count, char **arguments)
{
    static const char *const kinds[] = {"plain",         "branch", "jump", "call",   "return", "switch", "indirect jump",
                                        "indirect call", "repeat", "stop", "unknown"};
    char problem[512];
    char line[64];
    if (argument_count != 2) return 2;
    code_image *const image = code_image_open(arguments[1], problem, sizeof problem);
    if (image == NULL) {
        (void)fprintf(stderr, "%s\n", problem);
        return 1;
    }
    while (fgets(line, sizeof line, stdin) != NULL) {
        const uint64_t address = strtoull(line, NULL, 16);
        uint8_t condition = 0;
        step found;
        const bool is_code = code_step(image, address, NULL, 0, &condition, &found);
        printf("%" PRIx64 " %u %" PRIx64 " %s\n", address, found.size_bytes, found.target, is_code ? kinds[found.kind] : "none");
    }
    code_image_close(image);
    return 0;
}
