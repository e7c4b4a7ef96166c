/* rocks_cache.cpp - RocksDB's LRUCache and HyperClockCache behind three functions of C. */
#include "rocks_cache.h"

#include <cstring>
#include <memory>
#include <rocksdb/cache.h>

struct rocks_cache {
    std::shared_ptr<rocksdb::Cache> cache;
};

static const size_t ENTRY_BYTES = 4096;

static void nothing_to_delete(const rocksdb::Slice &, void *) {}

extern "C" rocks_cache *rocks_cache_open(bool is_hyper_clock, uint64_t entry_count)
{
    rocks_cache *const made = new rocks_cache;
    const size_t bytes = static_cast<size_t>(entry_count) * ENTRY_BYTES;
    if (is_hyper_clock) {
        rocksdb::HyperClockCacheOptions options(bytes, ENTRY_BYTES, 0);
        options.metadata_charge_policy = rocksdb::kDontChargeCacheMetadata;
        made->cache = options.MakeSharedCache();
    } else {
        rocksdb::LRUCacheOptions options(bytes, 0, false, 0);
        options.metadata_charge_policy = rocksdb::kDontChargeCacheMetadata;
        made->cache = rocksdb::NewLRUCache(options);
    }
    if (made->cache != nullptr) return made;
    delete made;
    return nullptr;
}

extern "C" bool rocks_cache_ask(rocks_cache *cache, uint64_t number)
{
    /* A key of 16 bytes, as HyperClockCache wants it. */
    char key[16];
    const uint64_t halves[2] = {number * 0x9e3779b97f4a7c15u, (number + 1) * 0xbf58476d1ce4e5b9u};
    std::memcpy(key, halves, sizeof halves);
    const rocksdb::Slice slice(key, sizeof key);
    rocksdb::Cache::Handle *const handle = cache->cache->Lookup(slice);
    if (handle != nullptr) {
        cache->cache->Release(handle);
        return true;
    }
    (void)cache->cache->Insert(slice, cache, ENTRY_BYTES, nothing_to_delete);
    return false;
}

extern "C" void rocks_cache_close(rocks_cache *cache) { delete cache; }
