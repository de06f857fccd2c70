#include "generation/pointer.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "generation/manifest_json.h"
#include "generation/utc_text.h"

namespace datashard::generation {
namespace {

constexpr size_t kTimeLength = std::string_view("2026-11-21T07:38:13.884350Z").size();
constexpr std::string_view kBeforeRun = "_run_id=";

Result<std::string> TextOf(const Json& pointer, std::string_view name) {
  const Json* const member = Member(pointer, name);
  if (member != nullptr && member->is_string()) return member->get<std::string>();
  return Corruption("the pointer lacks the text '{}'", name);
}

}  // namespace

std::string PointerText(const Pointer& pointer) {
  return JsonText({{"format_version", 1},
                   {"manifest_content_type", "application/x-sqlite3"},
                   {"manifest_ref", pointer.manifest_ref},
                   {"run_id", pointer.run_id},
                   {"updated_at", UtcText(pointer.updated_at)}});
}

Result<Pointer> ReadPointer(std::string_view text) {
  DS_ASSIGN_OR_RETURN(const Json json, ParseObject(text, "the pointer"));
  const Json* const version = Member(json, "format_version");
  if (version != nullptr && *version != 1)
    return Unsupported("the pointer has format_version {}; this release reads version 1", JsonText(*version));
  Pointer pointer;
  DS_ASSIGN_OR_RETURN(pointer.manifest_ref, TextOf(json, "manifest_ref"));
  DS_ASSIGN_OR_RETURN(pointer.run_id, TextOf(json, "run_id"));
  DS_ASSIGN_OR_RETURN(const std::string updated, TextOf(json, "updated_at"));
  DS_RETURN_IF_ERROR(TextOf(json, "manifest_content_type"));
  const std::optional<UtcTime> time = ReadUtcText(updated);
  if (!time) return Corruption("the pointer's updated_at is '{}'; expected a time like 2026-11-21T07:38:13.893210Z", updated);
  pointer.updated_at = *time;
  return pointer;
}

std::string DirectoryName(UtcTime time, std::string_view run_id) { return fmt::format("{}{}{}", UtcText(time), kBeforeRun, run_id); }

std::optional<NamedRun> ReadDirectoryName(std::string_view name) {
  if (name.size() <= kTimeLength + kBeforeRun.size() || name.substr(kTimeLength, kBeforeRun.size()) != kBeforeRun) return std::nullopt;
  const std::optional<UtcTime> time = ReadUtcText(name.substr(0, kTimeLength));
  // Only this spelling of the time sorts with the others.
  if (!time || UtcText(*time) != name.substr(0, kTimeLength)) return std::nullopt;
  const std::string_view run_id = name.substr(kTimeLength + kBeforeRun.size());
  if (run_id.find('/') != std::string_view::npos) return std::nullopt;
  return NamedRun{.time = *time, .run_id = std::string(run_id)};
}

std::optional<NamedRun> RunOfRef(std::string_view ref) {
  const size_t last = ref.rfind('/');
  if (last == std::string_view::npos || last == 0) return std::nullopt;
  const size_t before = ref.rfind('/', last - 1);
  if (before == std::string_view::npos) return std::nullopt;
  return ReadDirectoryName(ref.substr(before + 1, last - before - 1));
}

}  // namespace datashard::generation
