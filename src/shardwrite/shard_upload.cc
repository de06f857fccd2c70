#include "shardwrite/shard_upload.h"

#include <memory>

#include "base/interrupt.h"
#include "kv/object_digest.h"
#include "sqlite/sidecar.h"

namespace datashard::shardwrite {
namespace {

constexpr int64_t kWholeBytesMax = int64_t{8} << 20;  // larger objects go piece by piece
constexpr int64_t kPieceBytes = int64_t{1} << 20;     // what was read for the checksum is near still when it is written

Status WriteInPieces(WriteGroup& group, const std::string& key, const kv::Output& bytes, kv::ObjectDigest& digest) {
  DS_ASSIGN_OR_RETURN(const std::unique_ptr<ObjectWriter> writer, group.Open(key));
  DS_RETURN_IF_ERROR(bytes.ForEachPiece(kPieceBytes, [&](ByteView piece) -> Status {
    DS_RETURN_IF_ERROR(AskInterrupted());
    digest.Append(piece);
    return writer->Append(piece);
  }));
  return writer->Finish();
}

Result<ShardObject> Write(WriteGroup& group, const std::string& key, const std::string& name, const kv::Output& bytes) {
  kv::ObjectDigest digest;
  const std::optional<ByteView> body = bytes.in_memory();
  if (body && body->size() <= static_cast<size_t>(kWholeBytesMax)) {
    digest.Append(*body);
    DS_RETURN_IF_ERROR(group.Put(key, *body));
  } else {
    DS_RETURN_IF_ERROR(WriteInPieces(group, key, bytes, digest));
  }
  return ShardObject{name, bytes.size_bytes(), digest.xxh3_64()};
}

}  // namespace

Result<std::vector<ShardObject>> UploadObjects(ObjectStore& store, const std::string& directory_key, const std::vector<kv::BuiltObject>& objects) {
  const std::unique_ptr<WriteGroup> group = store.NewWriteGroup();
  std::vector<ShardObject> written;
  for (const kv::BuiltObject& object : objects) {
    DS_ASSIGN_OR_RETURN(ShardObject one, Write(*group, directory_key + "/" + object.name, object.name, *object.bytes));
    written.push_back(std::move(one));
  }
  DS_RETURN_IF_ERROR(group->Sync());
  return written;
}

Result<ShardObject> UploadSidecar(ObjectStore& store, const std::string& directory_key, const kv::Output& database) {
  DS_ASSIGN_OR_RETURN(const std::unique_ptr<ObjectReader> uploaded, store.OpenReader(directory_key + "/shard.db"));
  DS_ASSIGN_OR_RETURN(const Bytes body, sqlite::BuildSidecar(database, uploaded->identity()));
  const std::string name(sqlite::kSidecarName);
  const std::unique_ptr<WriteGroup> group = store.NewWriteGroup();
  DS_RETURN_IF_ERROR(group->Put(directory_key + "/" + name, body));
  DS_RETURN_IF_ERROR(group->Sync());
  kv::ObjectDigest digest;
  digest.Append(body);
  return ShardObject{name, static_cast<int64_t>(body.size()), digest.xxh3_64()};
}

}  // namespace datashard::shardwrite
