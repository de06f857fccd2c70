#include "cli/shardy/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>

namespace datashard::cli::shardy {

void Session::Pin(std::optional<std::string> ref) {
  if (config_.reader.pinned_ref == ref) return;
  config_.reader.pinned_ref = std::move(ref);
  reader_.reset();
}

Result<ManifestStore*> Session::Manifests() {
  if (manifests_ == nullptr) {
    if (config_.postgres_dsn) {
      DS_ASSIGN_OR_RETURN(manifests_, OpenPostgresManifestStore(*config_.postgres_dsn, config_.postgres));
    } else {
      DS_ASSIGN_OR_RETURN(manifests_, OpenManifestStore(config_.prefix, config_.reader.s3, "manifest", config_.current_key));
    }
  }
  return manifests_.get();
}

Result<ShardedReader*> Session::Reader() {
  if (reader_ == nullptr) {
    DS_ASSIGN_OR_RETURN(ManifestStore* const manifests, Manifests());
    DS_ASSIGN_OR_RETURN(reader_, ShardedReader::Open(config_.reader, manifests));
  }
  return reader_.get();
}

Result<ManifestRef> Session::AtOffset(int64_t offset) {
  DS_ASSIGN_OR_RETURN(ManifestStore* const manifests, Manifests());
  const int64_t limit = std::min(offset, std::numeric_limits<int64_t>::max() - 1) + 1;
  DS_ASSIGN_OR_RETURN(const std::vector<ManifestRef> listed, manifests->ListManifests(limit));
  if (static_cast<int64_t>(listed.size()) <= offset) {
    return Error(ErrorKind::kNotFound, fmt::format("offset {} is out of range: there are {} manifests; `shardy history` lists them", offset,
                                                   listed.size()));
  }
  return listed[static_cast<size_t>(offset)];
}

Result<KeyView> KeyOf(const std::string& text, KeyEncoding encoding) {
  if (encoding == KeyEncoding::kUtf8) return KeyView::Text(text);
  if (encoding == KeyEncoding::kRaw) return KeyView::Bytes(text);
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size()) return KeyView::Unsigned(number);
  return Error(ErrorKind::kInvalidArgument, fmt::format("{} is no key of this snapshot: its keys are whole numbers ({})", text, ToString(encoding)));
}

}  // namespace datashard::cli::shardy
