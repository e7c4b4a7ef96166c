/* level.c - see level.h. */
#include "guard/level.h"

#include <string.h>

enum { ONE_IN_DEFAULT = 1000 };

/* `1/N`; 0: it is not. */
static uint32_t read_one_in(const char *text)
{
    uint32_t value = 0;
    if (text[0] != '1' || text[1] != '/') return 0;
    const char *c = text + 2;
    for (; *c >= '0' && *c <= '9' && value <= ACRE_PAGES_ONE_IN_MAX; c++) value = value * 10 + (uint32_t)(*c - '0');
    return *c == 0 && value <= ACRE_PAGES_ONE_IN_MAX ? value : 0;
}

bool acre_guard_read(const char *text, acre_guard_level *level, acre_guard_limits *limits)
{
    static const acre_guard_level levels[] = {ACRE_GUARD_L0, ACRE_GUARD_L1, ACRE_GUARD_L2, ACRE_GUARD_L3};
    if (text[0] != 'L' || text[1] < '0' || text[1] > '3') return false;
    acre_guard_level read = levels[text[1] - '0'];
    uint32_t one_in = 0;
    text += 2;
    const bool has_both = *text == '+' && (read == ACRE_GUARD_L1 || read == ACRE_GUARD_L2);
    if (has_both) {
        if (strncmp(text, "+L3", 3) != 0) return false;
        text += 3;
    }
    if (has_both || read == ACRE_GUARD_L3) {
        one_in = *text == ':' ? read_one_in(text + 1) : ONE_IN_DEFAULT;
        if (one_in == 0) return false;
        if (*text == ':') text += strlen(text);
    }
    if (*text != 0) return false;
    *level = read;
    limits->pages_one_in = one_in;
    return true;
}
