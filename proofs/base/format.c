/* Proofs of base/format.c. The conversions of one format are bounded; the text that it writes into is any. */
#include "../proof.h"
#include "base/format.c"

/* One step of everything that writes: `put` into any output that meets its invariant. */

/* PROOF format_put
 *   property: a character goes to the end if there is room for it and the ending 0, and nowhere else; room for the 0 stays
 *   bound:    unbounded in calls; a buffer of at most 8 bytes
 *   assumes:  length < size
 */
void prove_format_put(void)
{
    char text[8], before[8];
    output out = {.text = text, .length = nondet_size(), .size = nondet_size()};
    assume(out.size <= sizeof text && out.length < out.size);
    for (size_t i = 0; i < sizeof text; i++) before[i] = text[i];
    const size_t length = out.length;
    const char c = nondet_char();

    put(&out, c);
    assert(out.length < out.size && out.text == text);
    assert(out.length == length + (length + 1 < out.size ? 1 : 0));
    if (out.length > length) assert(text[length] == c);
    const size_t other = nondet_size();
    assume(other < sizeof text && (other != length || out.length == length));
    assert(text[other] == before[other]);
}

/* PROOF format_number
 *   property: a number's digits, read back, give the number, without a leading zero, and stay in the buffer
 *   bound:    numbers below 2^32 in base 16
 *   assumes:  an empty buffer that holds them
 *   options:  --unwind 22
 */
void prove_format_number(void)
{
    char text[24];
    output out = {.text = text, .length = 0, .size = sizeof text};
    const uint64_t value = nondet_u32();
    put_number(&out, value, 16);
    assert(out.length >= 1 && out.length <= 8);
    assert(text[0] != '0' || out.length == 1);
    uint64_t read = 0;
    for (size_t i = 0; i < out.length; i++) {
        const char c = text[i];
        assert((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'));
        read = read * 16 + (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    assert(read == value);
}

/* PROOF format_cut
 *   property: whatever the place of the cut, the text ends in 0 inside its buffer and nothing after the buffer is written
 *   bound:    the format "%s%%%c", a string of at most 3 bytes, buffers of at most 6 bytes
 *   assumes:  nothing
 *   options:  --unwind 8
 */
void prove_format_cut(void)
{
    char string[4] = {nondet_char(), nondet_char(), nondet_char(), 0};
    char text[8];
    const size_t size = nondet_size();
    assume(size >= 1 && size <= 6);
    text[size] = 77;

    const size_t length = acre_format(text, size, "%s%%%c", string, nondet_int());
    assert(length < size);
    assert(text[length] == 0);
    assert(text[size] == 77);
}
