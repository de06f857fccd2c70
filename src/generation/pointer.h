// The object that says which manifest is current, and the names of manifests. Source: docs/formats/sharded_manifest.md.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "datashard/sharded_manifest.h"

namespace datashard::generation {

struct Pointer {
  std::string manifest_ref, run_id;
  UtcTime updated_at;
  bool operator==(const Pointer&) const = default;
};
std::string PointerText(const Pointer& pointer);
/// Errors: kCorruption; kUnsupported: another format version.
Result<Pointer> ReadPointer(std::string_view text);

/// "2026-11-21T07:38:13.884350Z_run_id=0f3c", which sorts by time.
std::string DirectoryName(UtcTime time, std::string_view run_id);
struct NamedRun {
  UtcTime time;
  std::string run_id;
};
/// None for a name that is none of these.
std::optional<NamedRun> ReadDirectoryName(std::string_view name);
/// Of the last segment of `ref` but one, which a manifest's object lies in.
std::optional<NamedRun> RunOfRef(std::string_view ref);

}  // namespace datashard::generation
