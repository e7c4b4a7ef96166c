/* A query whose answer is kept until a table that it reads is changed. */
#include <acre/query_cache.h>
#include <stdio.h>
#include <string.h>

enum { TABLE_ORDERS = 1, TABLE_CUSTOMERS = 2 };

static int order_count = 3; /* the database */

static int count_orders(acre_query_cache *cache, int64_t customer)
{
    static const char statement[] = "SELECT count(*) FROM orders JOIN customers USING (customer) WHERE customer = ?";
    const acre_query query = {statement, sizeof statement - 1, &customer, sizeof customer};
    acre_query_answer answer;
    int count = 0;
    (void)acre_query_cache_get(cache, &query, 0, NULL, &answer);
    if (answer.outcome == ACRE_QUERY_HIT) {
        memcpy(&count, answer.value, sizeof count);
        acre_query_cache_release(cache, &answer);
        printf("%d orders, as it was kept\n", count);
        return count;
    }
    static const uint64_t tables[] = {TABLE_ORDERS, TABLE_CUSTOMERS};
    count = order_count; /* the query is run: takes 2 ms */
    const acre_query_result result = {
        .value = &count, .value_bytes = sizeof count, .objects = tables, .object_count = 2, .cost_ns = 2000000};
    if (answer.has_turn) (void)acre_query_cache_fill(cache, &answer, &result, 0);
    printf("%d orders, looked up\n", count);
    return count;
}

int main(void)
{
    const acre_query_cache_options options = {.bytes_max = 1 << 20};
    acre_query_cache *cache;
    if (acre_query_cache_open(&cache, &options) != ACRE_OK) {
        puts(acre_last_error());
        return 1;
    }
    (void)count_orders(cache, 7);
    (void)count_orders(cache, 7);
    order_count++;
    acre_query_cache_invalidate(cache, TABLE_ORDERS);
    const int count = count_orders(cache, 7);
    acre_query_cache_close(cache);
    return count == 4 ? 0 : 1;
}
