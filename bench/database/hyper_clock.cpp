/* hyper_clock.cpp - RocksDB's HyperClockCache behind three functions of C. */
#include "hyper_clock.h"

#include <cstring>
#include <memory>
#include <rocksdb/cache.h>

struct hyper_clock {
    std::shared_ptr<rocksdb::Cache> cache;
};

/* A key of 16 bytes, as the cache wants it. */
static void make_key(uint64_t page, char *key)
{
    const uint64_t halves[2] = {page * 0x9e3779b97f4a7c15u, (page + 1) * 0xbf58476d1ce4e5b9u};
    std::memcpy(key, halves, sizeof halves);
}

static void nothing_to_delete(const rocksdb::Slice &, void *) {}

extern "C" hyper_clock *hyper_clock_open(uint64_t entry_count)
{
    hyper_clock *const made = new hyper_clock;
    rocksdb::HyperClockCacheOptions options(static_cast<size_t>(entry_count) * 2 * 4096, 4096);
    options.metadata_charge_policy = rocksdb::kDontChargeCacheMetadata;
    made->cache = options.MakeSharedCache();
    for (uint64_t page = 0; page < entry_count; page++) {
        char key[16];
        make_key(page, key);
        if (!made->cache->Insert(rocksdb::Slice(key, sizeof key), made, 4096, nothing_to_delete).ok()) return nullptr;
    }
    return made;
}

extern "C" int hyper_clock_touch(hyper_clock *cache, uint64_t page)
{
    char key[16];
    make_key(page, key);
    rocksdb::Cache::Handle *const handle = cache->cache->Lookup(rocksdb::Slice(key, sizeof key));
    if (handle == nullptr) return 0;
    cache->cache->Release(handle);
    return 1;
}

extern "C" void hyper_clock_close(hyper_clock *cache) { delete cache; }
