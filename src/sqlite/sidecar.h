// The sidecar of a database: the pages every lookup passes and the chains of large rows, for readers that fetch pages one by one. Our own
// reader does not use it. Bytes: docs/formats/sqlite_shard.md.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "datashard/result.h"
#include "kv/output.h"

namespace datashard::sqlite {

inline constexpr std::string_view kSidecarName = "shard.sidecar";

/// All but what ties it to one uploaded object.
struct SidecarFrame {
  Bytes frame;  ///< zstd
  uint64_t body_bytes = 0;  ///< of what is in the frame
  uint32_t page_size = 0;
};

struct Sidecar {
  struct Page {
    uint32_t number = 0;
    Bytes bytes;  ///< all of it; zeros where nothing is stored
    bool operator==(const Page&) const = default;
  };
  Bytes tag;
  uint32_t page_size = 0;
  std::vector<Page> pages;                    ///< by ascending numbers
  std::vector<std::vector<uint32_t>> chains;  ///< page numbers from a chain's head on; by ascending heads
  bool operator==(const Sidecar&) const = default;
};

/// The tag is not part of a frame. Errors: kUnsupported beyond 4 GiB of pages.
Result<SidecarFrame> EncodeSidecarFrame(const Sidecar& sidecar);
/// Of a database that kv's writer built or that is like one. Cost: reads all of it once for each level of its tree.
/// Errors: as OpenSqliteShard; kUnsupported where bytes of its pages are reserved.
Result<SidecarFrame> BuildSidecarFrame(const kv::Output& database);
Result<SidecarFrame> BuildSidecarFrame(ByteView database);
/// The object: `frame` behind its prefix. `tag` is the ETag of the uploaded database with its quotes; one of more than 255 bytes is left
/// out, and then readers decline the sidecar.
Bytes FrameToSidecar(const SidecarFrame& frame, std::string_view tag);
Result<Bytes> BuildSidecar(const kv::Output& database, std::string_view tag);

/// Errors: kCorruption; kUnsupported for another version.
Result<Sidecar> ParseSidecar(ByteView bytes);

}  // namespace datashard::sqlite
