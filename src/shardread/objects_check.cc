#include "shardread/objects_check.h"

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "base/uri.h"
#include "routing/router.h"

namespace datashard::shardread {

const ShardObject* FindObject(const ShardMeta& shard, std::string_view name) {
  const auto found = std::ranges::find(shard.objects, name, &ShardObject::name);
  return found == shard.objects.end() ? nullptr : &*found;
}

Status CheckObject(const ShardObject& expected, ByteView found, const std::string& uri) {
  if (static_cast<int64_t>(found.size()) != expected.size_bytes) {
    return Corruption("{}: {} bytes are expected by the manifest, {} were found; publish the snapshot again, or restore the object", uri,
                      expected.size_bytes, found.size());
  }
  DS_ASSIGN_OR_RETURN(const uint64_t hash, routing::HashOf(KeyView::Bytes(found)));
  if (hash != expected.xxh3_64) {
    return Corruption("{}: checksum xxh3_64 {:016x} is expected by the manifest, {:016x} was found; publish the snapshot again, or restore the object",
                      uri, expected.xxh3_64, hash);
  }
  return {};
}

Status CheckMappedObjects(const ShardMeta& shard, const kv::ShardDirectory& directory) {
  for (const ShardObject& object : shard.objects) {
    if (!CheckKey(object.name).ok()) return Corruption("{}: the manifest names an object \"{}\" of it, which is no name", directory.uri(), object.name);
    DS_ASSIGN_OR_RETURN(const std::unique_ptr<kv::ShardFile> file, directory.Open(object.name));
    DS_RETURN_IF_ERROR(CheckObject(object, file->mapped().value_or(ByteView()), file->uri()));
  }
  return {};
}

}  // namespace datashard::shardread
