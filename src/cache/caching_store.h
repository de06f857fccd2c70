// A store whose immutable objects are read from copies on this machine's disk where there are some.
#pragma once

#include <memory>
#include <string>

#include "cache/disk_cache.h"
#include "storage/object_store.h"

namespace datashard::cache {

/// Reads of keys that `is_immutable` accepts are answered from `cache` and fill it; all else goes to `base`. Such a key must never
/// get another body: it is not asked for again. `place` tells the store from all others that use the cache. Get keeps whole objects;
/// an OpenReader's end and blocks of 256 KiB of what is read from it are kept apart, under the object's identity.
/// Costs in requests: none for what is there; else those of `base`.
std::unique_ptr<ObjectStore> CachingStore(std::shared_ptr<ObjectStore> base, std::shared_ptr<DiskCache> cache, std::string place,
                                          NameFilter is_immutable);

}  // namespace datashard::cache
