/* cuda.c - blocks of a CUDA device that are freed in the order of a stream, and an array that grows without being copied. */
#include <acre/cuda.h>
#include <inttypes.h>
#include <stdio.h>

/* The default stream; a program has its own. */
static void *const stream = NULL;

static acre_status use_pool(acre_cuda *cuda)
{
    acre_cuda_pool *pool;
    acre_cuda_block first, second;
    acre_cuda_pool_figures figures;
    acre_status status = acre_cuda_pool_create(cuda, &(acre_cuda_pool_options){.release_threshold_bytes = 64 << 20}, &pool);
    if (status != ACRE_OK) return status;
    status = acre_cuda_pool_alloc(pool, stream, 1 << 20, &first);
    /* ... work on the first one is queued ... */
    if (status == ACRE_OK) status = acre_cuda_pool_free(pool, stream, first.address);
    if (status == ACRE_OK) status = acre_cuda_pool_alloc(pool, stream, 1 << 20, &second);
    if (status == ACRE_OK) {
        printf("the second block is the first one: %s\n", first.address == second.address ? "yes" : "no");
        status = acre_cuda_pool_free(pool, stream, second.address);
    }
    if (status == ACRE_OK) status = acre_cuda_pool_read_figures(pool, &figures);
    if (status == ACRE_OK) printf("%" PRIu64 " blocks of the driver, %" PRIu64 " reused\n", figures.driver_count, figures.same_count);
    const acre_status end = acre_cuda_pool_destroy(pool);
    return status == ACRE_OK ? end : status;
}

static acre_status use_growth(acre_cuda *cuda)
{
    acre_cuda_growth *growth;
    acre_status status = acre_cuda_growth_open(cuda, (uint64_t)1 << 30, 0, &growth);
    if (status != ACRE_OK) return status == ACRE_UNSUPPORTED ? ACRE_OK : status;
    for (uint64_t size_bytes = 1 << 20; size_bytes <= 16 << 20 && status == ACRE_OK; size_bytes *= 2)
        status = acre_cuda_growth_resize(growth, size_bytes);
    printf("%" PRIu64 " bytes at 0x%" PRIx64 "\n", acre_cuda_growth_size(growth), acre_cuda_growth_address(growth));
    const acre_status end = acre_cuda_growth_close(growth);
    return status == ACRE_OK ? end : status;
}

int main(void)
{
    acre_cuda *cuda;
    acre_status status = acre_cuda_open(NULL, &cuda);
    if (status == ACRE_UNSUPPORTED) {
        printf("%s\n", acre_last_error()); /* no device here: that is no failure */
        return 0;
    }
    if (status == ACRE_OK) status = use_pool(cuda);
    if (status == ACRE_OK) status = use_growth(cuda);
    if (status == ACRE_OK) status = acre_cuda_close(cuda);
    if (status != ACRE_OK) printf("%s\n", acre_last_error());
    return status != ACRE_OK;
}
