/* preload.c - installs the page cache in a program that is not to be changed, as ACRE_SQLITE says: words NAME=VALUE with spaces between.
 *
 *     policy=NAME     as acre_policy_name has them
 *     budget=BYTES    for all connections
 *     malloc=off      SQLite keeps its own malloc
 *     record=FILE     which pages are asked for, for `acre cache` */
#include <acre/sqlite.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whether one word of ACRE_SQLITE is understood. */
static bool follow(char *word, acre_sqlite_options *options)
{
    char *value = strchr(word, '=');
    if (value == NULL) return false;
    *value++ = 0;
    if (strcmp(word, "policy") == 0) return acre_policy_named(value, &options->policy) == ACRE_OK;
    if (strcmp(word, "malloc") == 0) {
        options->keeps_malloc = strcmp(value, "off") == 0;
        return options->keeps_malloc || strcmp(value, "on") == 0;
    }
    if (strcmp(word, "record") == 0) {
        options->record_path = value;
        return true;
    }
    char *rest;
    errno = 0;
    options->budget_bytes = strtoull(value, &rest, 10);
    return strcmp(word, "budget") == 0 && errno == 0 && *rest == 0 && rest != value;
}

__attribute__((constructor)) static void install(void)
{
    acre_sqlite_options options = {.policy = ACRE_POLICY_ADAPTIVE};
    const char *given = getenv("ACRE_SQLITE");
    char text[256], *rest = text;
    if (given != NULL && strlen(given) < sizeof text) {
        memcpy(text, given, strlen(given) + 1);
        for (char *word; (word = strsep(&rest, " ")) != NULL;)
            if (*word != 0 && !follow(word, &options)) fprintf(stderr, "acre: ACRE_SQLITE: '%s' is not followed\n", word);
    }
    if (acre_sqlite_install(&options) != ACRE_OK) fprintf(stderr, "acre: %s\n", acre_last_error());
}
