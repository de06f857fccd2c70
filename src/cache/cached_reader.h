// An opened object of which parts are kept on disk: its end, and blocks of what was read before that.
#pragma once

#include <memory>
#include <string>

#include "cache/disk_cache.h"
#include "datashard/result.h"
#include "storage/object_store.h"

namespace datashard::cache {

/// Where a reader's object lies, for the names of its entries.
struct CachedObject {
  ObjectStore& base;
  DiskCache& cache;
  std::string place;
  std::string key;
  /// "place\nkey\nkind". Neither place nor key has a line break.
  std::string EntryName(std::string_view kind) const;
};

/// Of an object whose end is kept; null where it is not.
std::unique_ptr<ObjectReader> ReaderFromCache(const CachedObject& object);
/// Opens the object itself and keeps its end. Errors: those of OpenReader.
Result<std::unique_ptr<ObjectReader>> ReaderFromStore(const CachedObject& object);
/// Removes what is kept of an object: its end and all blocks.
void ForgetParts(const CachedObject& object);
/// Of a body in memory.
std::unique_ptr<ObjectReader> ReaderOf(const CachedObject& object, Bytes body);

}  // namespace datashard::cache
