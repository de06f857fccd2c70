#include "generation/snapshot_place.h"

#include <filesystem>
#include <utility>

#include "base/error.h"
#include "base/uri.h"
#include "generation/snapshot_s3.h"
#include "s3/settings.h"
#include "storage/metered_store.h"

namespace datashard::generation {
namespace {

constexpr std::string_view kS3Scheme = "s3://";

std::string WithoutSlashes(std::string_view url) {
  while (url.size() > 1 && url.ends_with('/')) url.remove_suffix(1);
  return std::string(url);
}

/// A mistyped or foreign URI must not become a directory.
Result<std::string> UrlOf(const std::string& prefix) {
  if (prefix.empty()) return InvalidArgument("the prefix of a snapshot is empty; expected s3://bucket/path, file:///directory or a path");
  if (s3::IsS3Uri(prefix)) {
    std::string url = "s3" + WithoutSlashes(prefix).substr(prefix.find(':'));
    if (url.size() > kS3Scheme.size() && url[kS3Scheme.size()] != '/') return url;
    return InvalidArgument("'{}' names no bucket; expected s3://bucket/path", prefix);
  }
  const std::string path(SnapshotPlace::DirectoryOf(prefix).value_or(""));
  if (path.empty() || path.find('\0') != std::string::npos)
    return InvalidArgument("the prefix of a snapshot is s3://bucket/path, file:///directory or a path, not {}", prefix);
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error).lexically_normal();
  if (error) return InvalidArgument("{} is no directory: {}", prefix, error.message());
  return FileUri(WithoutSlashes(absolute.string()));
}

/// What a store for `url` is rooted at: its bucket, or the directory it lies in.
std::string RootOf(std::string_view url) {
  if (s3::IsS3Uri(url)) return std::string(url.substr(0, url.find('/', url.find("://") + 3)));
  const size_t slash = url.rfind('/');
  return std::string(url.substr(0, slash == url.find("://") + 2 ? slash + 1 : slash));
}

}  // namespace

struct SnapshotPlace::Opening {
  SnapshotS3Options options;
  const Environment& environment;
  Outside outside;
  std::optional<BucketAccess> bucket;  ///< none: a directory
};

SnapshotPlace::SnapshotPlace(std::string url, std::shared_ptr<ObjectStore> store) : url_(WithoutSlashes(url)), given_(std::move(store)) {}
SnapshotPlace::SnapshotPlace(std::string url, std::unique_ptr<const Opening> opening) : url_(std::move(url)), opening_(std::move(opening)) {}
SnapshotPlace::~SnapshotPlace() = default;

Result<std::shared_ptr<SnapshotPlace>> SnapshotPlace::Open(const std::string& prefix, const SnapshotS3Options& options,
                                                           const Environment& environment, const Outside& outside) {
  DS_ASSIGN_OR_RETURN(std::string url, UrlOf(prefix));
  auto opening = std::make_unique<Opening>(Opening{.options = options, .environment = environment, .outside = outside});
  if (s3::IsS3Uri(url)) {
    DS_ASSIGN_OR_RETURN(opening->bucket, BucketAccessOf(url, options, environment, outside.log));
  }
  return std::shared_ptr<SnapshotPlace>(new SnapshotPlace(std::move(url), std::move(opening)));
}

Result<std::shared_ptr<ObjectStore>> SnapshotPlace::ToRead() { return Opened(/*create=*/false); }
Result<std::shared_ptr<ObjectStore>> SnapshotPlace::ToWrite() { return Opened(/*create=*/true); }

Result<std::shared_ptr<ObjectStore>> SnapshotPlace::Opened(bool create) {
  if (given_ != nullptr) return given_;
  const auto opened = store_.Lock();
  if (*opened != nullptr) return *opened;
  std::shared_ptr<ObjectStore> store;
  if (opening_->bucket) {
    DS_ASSIGN_OR_RETURN(store, OpenBucket(*opening_->bucket, opening_->environment, opening_->outside));
  } else {
    DS_ASSIGN_OR_RETURN(store, OpenLocalStore(DirectoryOf(url_).value_or(""), create));
  }
  *opened = MeteredStore(std::move(store), opening_->outside);
  return *opened;
}

std::optional<std::string> SnapshotPlace::KeyOf(std::string_view url) const {
  const std::optional<std::string> path = DirectoryOf(url);
  const std::string same_form = path ? FileUri(*path) : std::string(url);
  Result<std::string> key = KeyBelow(url_, WithoutSlashes(same_form));
  return key.ok() ? std::optional(*std::move(key)) : std::nullopt;
}

Result<Located> SnapshotPlace::Locate(const std::string& url) {
  if (std::optional<std::string> key = KeyOf(url)) {
    DS_ASSIGN_OR_RETURN(std::shared_ptr<ObjectStore> store, ToRead());
    return Located{.store = std::move(store), .key = *std::move(key)};
  }
  if (opening_ == nullptr) return Unsupported("{} does not lie below {}", url, url_);
  DS_ASSIGN_OR_RETURN(const std::string whole, UrlOf(url));
  std::shared_ptr<SnapshotPlace> other;
  {
    const auto others = others_.Lock();
    std::shared_ptr<SnapshotPlace>& known = (*others)[RootOf(whole)];
    if (known == nullptr) {
      DS_ASSIGN_OR_RETURN(known, Open(RootOf(whole), opening_->options, opening_->environment, opening_->outside));
    }
    other = known;
  }
  std::optional<std::string> key = other->KeyOf(whole);
  if (!key) return InvalidArgument("'{}' names nothing in a bucket or a directory", url);
  DS_ASSIGN_OR_RETURN(std::shared_ptr<ObjectStore> store, other->ToRead());
  return Located{.store = std::move(store), .key = *std::move(key)};
}

std::optional<std::string> SnapshotPlace::DirectoryOf(std::string_view url) {
  if (url.starts_with("file:")) {
    const Result<std::string> path = PathOfUri(url);
    return path.ok() ? std::optional(*path) : std::nullopt;
  }
  if (url.find("://") != std::string_view::npos || url.starts_with("s3:")) return std::nullopt;
  return std::string(url);
}

const Outside& ProcessOutside() {
  static auto& metrics = *new MetricSums;
  static const auto& outside = *new Outside{SystemClock(), SystemRandom(), metrics, StderrLog()};
  return outside;
}

}  // namespace datashard::generation
