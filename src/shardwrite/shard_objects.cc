// include/datashard/shard_objects.h.
#include "datashard/shard_objects.h"

#include "generation/snapshot_place.h"
#include "shardwrite/shard_build.h"
#include "sqlite/sidecar.h"

namespace datashard {
namespace {

constexpr int64_t kPieceBytes = int64_t{1} << 20;

Result<ShardObjectBytes> InMemory(const kv::BuiltObject& object) {
  ShardObjectBytes read{.name = object.name, .content_type = object.content_type, .bytes = {}};
  DS_RETURN_IF_ERROR(object.bytes->ForEachPiece(kPieceBytes, [&](ByteView piece) -> Status {
    read.bytes.append(piece);
    return {};
  }));
  return read;
}

}  // namespace

Result<std::vector<ShardObjectBytes>> BuildShardObjects(const ShardFormatOptions& format,
                                                        std::span<const std::pair<std::string_view, std::string_view>> pairs) {
  ShardFormatOptions chosen = format;
  if (chosen.sqlite_page_size == 0) {
    shardwrite::PageSizeSample sample;
    for (const auto& [key, value] : pairs) {
      sample.Add(static_cast<int64_t>(key.size()), static_cast<int64_t>(value.size()), generation::ProcessOutside().random);
    }
    DS_ASSIGN_OR_RETURN(chosen.sqlite_page_size, sample.Recommend());
  }
  const kv::OutputFactory outputs = [] { return std::make_unique<kv::Output>(INT64_MAX, std::string()); };
  DS_ASSIGN_OR_RETURN(const std::unique_ptr<kv::DatabaseWriter> writer, shardwrite::NewDatabase(chosen, outputs, generation::ProcessOutside()));
  for (const auto& [key, value] : pairs) DS_RETURN_IF_ERROR(writer->Add(key, value));
  DS_ASSIGN_OR_RETURN(const std::vector<kv::BuiltObject> built, writer->Finish());
  std::vector<ShardObjectBytes> objects;
  for (const kv::BuiltObject& object : built) {
    DS_ASSIGN_OR_RETURN(ShardObjectBytes read, InMemory(object));
    objects.push_back(std::move(read));
  }
  return objects;
}

Result<SidecarFrameBytes> BuildSqliteSidecarFrame(std::string_view database) {
  DS_ASSIGN_OR_RETURN(sqlite::SidecarFrame built, sqlite::BuildSidecarFrame(database));
  return SidecarFrameBytes{.frame = std::move(built.frame), .body_bytes = built.body_bytes, .page_size = built.page_size};
}

std::string SqliteSidecarOf(const SidecarFrameBytes& frame, std::string_view tag) {
  return sqlite::FrameToSidecar({.frame = frame.frame, .body_bytes = frame.body_bytes, .page_size = frame.page_size}, tag);
}

}  // namespace datashard
