/* leaky.c - a program with a planted leak, to see how a report shows it: acre run -- build/examples/leaky */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct message {
    char *text;
    size_t length;
} message;

__attribute__((noinline)) static message *read_message(int number)
{
    message *const m = malloc(sizeof *m);
    if (m == NULL) abort();
    m->length = 200 + (size_t)(number % 800);
    m->text = malloc(m->length);
    if (m->text == NULL) abort();
    memset(m->text, 'x', m->length);
    return m;
}

/* The leak: the message goes, its text stays. */
static void forget_message(message *m) { free(m); }

__attribute__((noinline)) static size_t build_index(int count)
{
    size_t size = 64;
    size_t *index = malloc(size * sizeof *index);
    if (index == NULL) abort();
    for (size_t i = 0; i < (size_t)count; i++) {
        if (i == size) {
            size_t *const longer = realloc(index, 2 * size * sizeof *index);
            if (longer == NULL) abort();
            index = longer;
            size *= 2;
        }
        index[i] = i;
    }
    const size_t last = index[count - 1];
    free(index);
    return last;
}

int main(void)
{
    size_t sum = 0;
    for (int round = 0; round < 200; round++) {
        for (int i = 0; i < 300; i++) forget_message(read_message(i));
        sum += build_index(200000);
    }
    printf("%zu\n", sum);
    return 0;
}
