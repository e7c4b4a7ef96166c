/* memory.c - blocks of every kind, with a table of those in use, so that what is freed was handed out. */
#include "cuda/device.h"

#include <string.h>

static acre_block_table *table_of(acre_cuda *cuda, acre_cuda_kind kind)
{
    return kind == ACRE_CUDA_PINNED ? &cuda->host_blocks : &cuda->device_blocks;
}
static uint64_t key_of(const acre_cuda_memory *memory)
{
    return memory->kind == ACRE_CUDA_PINNED ? (uint64_t)(uintptr_t)memory->host : memory->address;
}

static acre_status check_kind(const acre_cuda *cuda, acre_cuda_kind kind)
{
    if (kind == ACRE_CUDA_MANAGED && !cuda->facts.has_managed)
        return acre_fail(ACRE_UNSUPPORTED, "cuda: device '%s' has no managed memory", cuda->facts.name);
    if ((kind == ACRE_CUDA_MAPPED || kind == ACRE_CUDA_REGISTERED) && !cuda->facts.maps_host)
        return acre_fail(ACRE_UNSUPPORTED, "cuda: device '%s' cannot map memory of the host", cuda->facts.name);
    if (kind == ACRE_CUDA_IMPORTED && !cuda->facts.has_export)
        return acre_fail(ACRE_UNSUPPORTED, "cuda: the driver has no calls between processes");
    return ACRE_OK;
}

/* ---- calls of the driver ---- */

static acre_status take_host(acre_cuda *cuda, acre_cuda_memory *memory)
{
    const unsigned flags = CU_HOST_ALLOC_PORTABLE | (memory->kind == ACRE_CUDA_MAPPED ? CU_HOST_ALLOC_DEVICE_MAP : 0);
    acre_status status = acre_cuda_status(cuda, "cuMemHostAlloc", cuda->driver.host_alloc(&memory->host, memory->size_bytes, flags));
    if (status != ACRE_OK || memory->kind == ACRE_CUDA_PINNED) return status;
    cu_pointer pointer = 0;
    status = acre_cuda_status(cuda, "cuMemHostGetDevicePointer", cuda->driver.host_device_pointer(&pointer, memory->host, 0));
    if (status != ACRE_OK) (void)cuda->driver.host_free(memory->host);
    memory->address = pointer;
    return status;
}

static acre_status take_registered(acre_cuda *cuda, acre_cuda_memory *memory)
{
    const unsigned flags = CU_HOST_REGISTER_PORTABLE | CU_HOST_REGISTER_DEVICE_MAP;
    acre_status status = acre_cuda_status(cuda, "cuMemHostRegister", cuda->driver.host_register(memory->host, memory->size_bytes, flags));
    if (status != ACRE_OK) return status;
    cu_pointer pointer = 0;
    status = acre_cuda_status(cuda, "cuMemHostGetDevicePointer", cuda->driver.host_device_pointer(&pointer, memory->host, 0));
    if (status != ACRE_OK) (void)cuda->driver.host_unregister(memory->host);
    memory->address = pointer;
    return status;
}

static acre_status take(acre_cuda *cuda, acre_cuda_memory *memory, const cu_ipc_handle *handle)
{
    cu_pointer pointer = 0;
    acre_status status;
    switch (memory->kind) {
    case ACRE_CUDA_PINNED:
    case ACRE_CUDA_MAPPED:
        return take_host(cuda, memory);
    case ACRE_CUDA_REGISTERED:
        return take_registered(cuda, memory);
    case ACRE_CUDA_MANAGED:
        status =
            acre_cuda_status(cuda, "cuMemAllocManaged", cuda->driver.mem_alloc_managed(&pointer, memory->size_bytes, CU_ATTACH_GLOBAL));
        memory->host = (void *)(uintptr_t)pointer;
        break;
    case ACRE_CUDA_IMPORTED:
        status = acre_cuda_status(cuda, "cuIpcOpenMemHandle", cuda->driver.ipc_open(&pointer, *handle, CU_IPC_LAZY_PEER_ACCESS));
        break;
    default:
        status = acre_cuda_status(cuda, "cuMemAlloc", cuda->driver.mem_alloc(&pointer, memory->size_bytes));
        break;
    }
    memory->address = pointer;
    return status;
}

static acre_status give(acre_cuda *cuda, const acre_cuda_memory *memory)
{
    switch (memory->kind) {
    case ACRE_CUDA_PINNED:
    case ACRE_CUDA_MAPPED:
        return acre_cuda_status(cuda, "cuMemFreeHost", cuda->driver.host_free(memory->host));
    case ACRE_CUDA_REGISTERED:
        return acre_cuda_status(cuda, "cuMemHostUnregister", cuda->driver.host_unregister(memory->host));
    case ACRE_CUDA_IMPORTED:
        return acre_cuda_status(cuda, "cuIpcCloseMemHandle", cuda->driver.ipc_close(memory->address));
    default:
        return acre_cuda_status(cuda, "cuMemFree", cuda->driver.mem_free(memory->address));
    }
}

/* ---- blocks in use ---- */

/* Into the table; a place for it is there before the driver is asked. */
static acre_status take_and_note(acre_cuda *cuda, acre_cuda_memory *memory, const cu_ipc_handle *handle)
{
    acre_status status = check_kind(cuda, memory->kind);
    if (status != ACRE_OK) return status;
    acre_block_table *const table = table_of(cuda, memory->kind);
    pthread_mutex_lock(&cuda->lock);
    if (!acre_block_table_grow(table)) status = acre_fail(ACRE_NO_MEMORY, "cuda: no host memory for one more block");
    if (status == ACRE_OK) status = acre_cuda_enter(cuda);
    if (status == ACRE_OK) {
        status = take(cuda, memory, handle);
        acre_cuda_leave(cuda);
        if (status == ACRE_OK)
            acre_block_table_insert(
                table, &(acre_device_block){
                           .address = key_of(memory), .size_bytes = memory->size_bytes, .owner = memory->host, .kind = memory->kind});
    }
    pthread_mutex_unlock(&cuda->lock);
    return status;
}

acre_status acre_cuda_alloc(acre_cuda *cuda, acre_cuda_kind kind, uint64_t size_bytes, acre_cuda_memory *memory)
{
    if (cuda == NULL || memory == NULL) return acre_fail(ACRE_INVALID, "cuda: alloc: NULL");
    if ((unsigned)kind > ACRE_CUDA_MAPPED)
        return acre_fail(ACRE_INVALID, "cuda: alloc: kind %u is none that can be allocated", (unsigned)kind);
    if (size_bytes == 0 || size_bytes > SIZE_MAX / 2)
        return acre_fail(ACRE_INVALID, "cuda: alloc: %llu bytes", (unsigned long long)size_bytes);
    acre_cuda_memory wanted = {.kind = kind, .size_bytes = size_bytes};
    const acre_status status = take_and_note(cuda, &wanted, NULL);
    if (status == ACRE_OK) *memory = wanted;
    return status;
}

acre_status acre_cuda_register(acre_cuda *cuda, void *host, uint64_t size_bytes, acre_cuda_memory *memory)
{
    if (cuda == NULL || memory == NULL || host == NULL) return acre_fail(ACRE_INVALID, "cuda: register: NULL");
    if (size_bytes == 0 || size_bytes > SIZE_MAX / 2)
        return acre_fail(ACRE_INVALID, "cuda: register: %llu bytes", (unsigned long long)size_bytes);
    acre_cuda_memory wanted = {.kind = ACRE_CUDA_REGISTERED, .host = host, .size_bytes = size_bytes};
    const acre_status status = take_and_note(cuda, &wanted, NULL);
    if (status == ACRE_OK) *memory = wanted;
    return status;
}

/* The block in use that this is, or NULL. Under the lock. */
static acre_device_block *block_of(acre_cuda *cuda, const acre_cuda_memory *memory)
{
    if ((unsigned)memory->kind > ACRE_CUDA_IMPORTED) return NULL;
    acre_device_block *const block = acre_block_table_find(table_of(cuda, memory->kind), key_of(memory));
    return block == NULL || block->kind != (uint32_t)memory->kind || block->owner != memory->host ? NULL : block;
}

static acre_status no_such_block(const acre_cuda_memory *memory, const char *verb)
{
    return acre_fail(ACRE_BAD_POINTER, "cuda: %s: no block in use begins at 0x%llx (host %p)", verb, (unsigned long long)memory->address,
                     memory->host);
}

acre_status acre_cuda_free(acre_cuda *cuda, acre_cuda_memory *memory)
{
    if (cuda == NULL || memory == NULL) return acre_fail(ACRE_INVALID, "cuda: free: NULL");
    pthread_mutex_lock(&cuda->lock);
    acre_device_block *const block = block_of(cuda, memory);
    acre_status status = block == NULL ? no_such_block(memory, "free") : acre_cuda_enter(cuda);
    if (status == ACRE_OK) {
        status = give(cuda, memory);
        acre_cuda_leave(cuda);
        if (status == ACRE_OK && block != NULL) acre_block_table_remove(table_of(cuda, memory->kind), block);
    }
    pthread_mutex_unlock(&cuda->lock);
    if (status == ACRE_OK) memset(memory, 0, sizeof *memory);
    return status;
}

/* ---- managed memory ---- */

static acre_status check_managed(acre_cuda *cuda, const acre_cuda_memory *memory, uint64_t offset, uint64_t size_bytes, const char *verb)
{
    if (cuda == NULL || memory == NULL) return acre_fail(ACRE_INVALID, "cuda: %s: NULL", verb);
    if (!cuda->facts.migrates_managed)
        return acre_fail(ACRE_UNSUPPORTED, "cuda: %s: pages do not move on device '%s'", verb, cuda->facts.name);
    pthread_mutex_lock(&cuda->lock);
    const acre_device_block *const block = block_of(cuda, memory);
    const bool is_managed = block != NULL && block->kind == ACRE_CUDA_MANAGED;
    const uint64_t length = block == NULL ? 0 : block->size_bytes;
    pthread_mutex_unlock(&cuda->lock);
    if (block == NULL) return no_such_block(memory, verb);
    if (!is_managed)
        return acre_fail(ACRE_INVALID, "cuda: %s: the memory at 0x%llx is not managed", verb, (unsigned long long)memory->address);
    if (size_bytes == 0 || offset > length || size_bytes > length - offset)
        return acre_fail(ACRE_INVALID, "cuda: %s: %llu bytes from %llu of a block of %llu", verb, (unsigned long long)size_bytes,
                         (unsigned long long)offset, (unsigned long long)length);
    return ACRE_OK;
}

acre_status acre_cuda_advise(acre_cuda *cuda, const acre_cuda_memory *memory, uint64_t offset, uint64_t size_bytes, acre_cuda_advice advice)
{
    static const struct {
        int advice;
        bool is_host;
    } table[] = {
        [ACRE_CUDA_READ_MOSTLY] = {CU_ADVISE_SET_READ_MOSTLY, false},
        [ACRE_CUDA_NOT_READ_MOSTLY] = {CU_ADVISE_UNSET_READ_MOSTLY, false},
        [ACRE_CUDA_PREFER_DEVICE] = {CU_ADVISE_SET_PREFERRED_LOCATION, false},
        [ACRE_CUDA_PREFER_HOST] = {CU_ADVISE_SET_PREFERRED_LOCATION, true},
        [ACRE_CUDA_PREFER_NONE] = {CU_ADVISE_UNSET_PREFERRED_LOCATION, false},
        [ACRE_CUDA_DEVICE_USES] = {CU_ADVISE_SET_ACCESSED_BY, false},
        [ACRE_CUDA_DEVICE_USES_NOT] = {CU_ADVISE_UNSET_ACCESSED_BY, false},
    };
    if ((unsigned)advice >= sizeof table / sizeof table[0])
        return acre_fail(ACRE_INVALID, "cuda: advise: %u is no advice", (unsigned)advice);
    acre_status status = check_managed(cuda, memory, offset, size_bytes, "advise");
    if (status == ACRE_OK) status = acre_cuda_enter(cuda);
    if (status != ACRE_OK) return status;
    const cu_device device = table[advice].is_host ? CU_DEVICE_CPU : cuda->device;
    status = acre_cuda_status(cuda, "cuMemAdvise", cuda->driver.advise(memory->address + offset, size_bytes, table[advice].advice, device));
    acre_cuda_leave(cuda);
    return status;
}

acre_status acre_cuda_prefetch(acre_cuda *cuda, const acre_cuda_memory *memory, uint64_t offset, uint64_t size_bytes, bool to_host,
                               void *stream)
{
    acre_status status = check_managed(cuda, memory, offset, size_bytes, "prefetch");
    if (status == ACRE_OK) status = acre_cuda_enter(cuda);
    if (status != ACRE_OK) return status;
    const cu_device device = to_host ? CU_DEVICE_CPU : cuda->device;
    status = acre_cuda_status(cuda, "cuMemPrefetchAsync", cuda->driver.prefetch(memory->address + offset, size_bytes, device, stream));
    acre_cuda_leave(cuda);
    return status;
}

/* ---- between processes ---- */

acre_status acre_cuda_export(acre_cuda *cuda, const acre_cuda_memory *memory, unsigned char bytes[ACRE_CUDA_EXPORT_BYTES])
{
    if (cuda == NULL || memory == NULL || bytes == NULL) return acre_fail(ACRE_INVALID, "cuda: export: NULL");
    if (!cuda->facts.has_export) return acre_fail(ACRE_UNSUPPORTED, "cuda: the driver has no calls between processes");
    if (memory->kind != ACRE_CUDA_DEVICE)
        return acre_fail(ACRE_INVALID, "cuda: export: kind %u is not device memory", (unsigned)memory->kind);
    cu_ipc_handle handle;
    _Static_assert(sizeof handle == ACRE_CUDA_EXPORT_BYTES, "the driver's layout");
    pthread_mutex_lock(&cuda->lock);
    acre_status status = block_of(cuda, memory) == NULL ? no_such_block(memory, "export") : acre_cuda_enter(cuda);
    if (status == ACRE_OK) {
        status = acre_cuda_status(cuda, "cuIpcGetMemHandle", cuda->driver.ipc_get(&handle, memory->address));
        acre_cuda_leave(cuda);
    }
    pthread_mutex_unlock(&cuda->lock);
    if (status == ACRE_OK) memcpy(bytes, &handle, sizeof handle);
    return status;
}

acre_status acre_cuda_import(acre_cuda *cuda, const unsigned char bytes[ACRE_CUDA_EXPORT_BYTES], acre_cuda_memory *memory)
{
    if (cuda == NULL || memory == NULL || bytes == NULL) return acre_fail(ACRE_INVALID, "cuda: import: NULL");
    cu_ipc_handle handle;
    memcpy(&handle, bytes, sizeof handle);
    acre_cuda_memory wanted = {.kind = ACRE_CUDA_IMPORTED};
    const acre_status status = take_and_note(cuda, &wanted, &handle);
    if (status == ACRE_OK) *memory = wanted;
    return status;
}
