// The newest base, in two buffers used in turn. Two leaders may write into one of them at a time, or one that was stopped may
// go on much later: then the checksum is wrong, and there is no base until the next one.
#include "ring/view.h"

namespace datashard::ring {
namespace {

// The buffer a reader copies is written to again only after two more groups; more attempts would not help.
constexpr int kReadAttempts = 3;

struct BaseHead {
  uint64_t generation;
  int64_t version;
  uint64_t length;
  uint32_t blob_crc;
};

/// None where the head is not that of `generation`.
std::optional<BaseHead> ReadHead(const Shared& shared, uint64_t generation) {
  const BaseHeader& header = shared.bases[generation % 2];
  const BaseHead head = {header.generation.load(), header.version.load(), header.length.load(), header.blob_crc.load()};
  if (generation == 0 || head.generation != generation || head.length > static_cast<uint64_t>(kBaseBytesMax) ||
      header.crc.load() != BaseHeaderCrc(head.generation, head.version, head.length, head.blob_crc))
    return std::nullopt;
  return head;
}

}  // namespace

std::optional<RingBase> Ring::base() const {
  const Shared& shared = view_->shared;
  uint64_t generation = shared.header.base_generation.load();
  for (int attempt = 0; attempt < kReadAttempts; ++attempt) {
    if (const std::optional<BaseHead> head = ReadHead(shared, generation); head.has_value()) {
      RingBase base = {head->version, CopyOut(shared.blobs[generation % 2].data(), head->length)};
      if (BlobCrc(base.blob) == head->blob_crc) return base;
    }
    const uint64_t newer = shared.header.base_generation.load();
    if (newer == generation) break;
    generation = newer;
  }
  return std::nullopt;
}

std::optional<int64_t> Ring::base_version() const {
  const std::optional<BaseHead> head = ReadHead(view_->shared, view_->shared.header.base_generation.load());
  return head.has_value() ? std::optional(head->version) : std::nullopt;
}

void Ring::SetBase(int64_t version, ByteView blob) {
  if (blob.size() > static_cast<size_t>(kBaseBytesMax)) return;
  Shared& shared = view_->shared;
  uint64_t now = shared.header.base_generation.load();
  const std::optional<BaseHead> newest = ReadHead(shared, now);
  if (newest.has_value() && newest->version > version) return;
  const uint64_t next = now + 1 == 0 ? 2 : now + 1;  // only garbage comes near
  BaseHeader& header = shared.bases[next % 2];
  const uint32_t blob_crc = BlobCrc(blob);
  header.generation.store(0);
  CopyIn(blob, shared.blobs[next % 2].data());
  header.version.store(version);
  header.length.store(blob.size());
  header.blob_crc.store(blob_crc);
  header.crc.store(BaseHeaderCrc(next, version, blob.size(), blob_crc));
  header.generation.store(next);
  (void)shared.header.base_generation.compare_exchange_strong(now, next);  // false: another leader was faster, and is newer
}

}  // namespace datashard::ring
