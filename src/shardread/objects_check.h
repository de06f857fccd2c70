// The checksums a manifest has of a shard's objects, against what is there.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "datashard/sharded_manifest.h"
#include "kv/shard_directory.h"

namespace datashard::shardread {

/// What the manifest says about the object `name`; null where it says nothing.
const ShardObject* FindObject(const ShardMeta& shard, std::string_view name);
/// Errors: kCorruption with size or checksum, expected and found.
Status CheckObject(const ShardObject& expected, ByteView found, const std::string& uri);
/// All objects of `shard`, which are mapped. Errors: kNotFound where one is missing; kCorruption.
Status CheckMappedObjects(const ShardMeta& shard, const kv::ShardDirectory& directory);

}  // namespace datashard::shardread
