#include "table/open_store.h"

#include <utility>

#include "base/error.h"
#include "cache/caching_store.h"
#include "http/http_client.h"
#include "s3/credentials_chain.h"
#include "s3/s3_store.h"
#include "s3/settings.h"
#include "storage/metered_store.h"

namespace datashard {
namespace {

/// One for the process: tables share connections. Never destroyed, so that a handle may be closed while the process exits.
const std::shared_ptr<HttpClient>& SharedHttpClient(const Environment& environment) {
  static const auto* const client =
      new std::shared_ptr<HttpClient>(NewHttpClient({.ca_file = environment.Get("AWS_CA_BUNDLE")}));
  return *client;
}

/// Whose credentials: temporary keys change, so what they are derived from stands for them.
std::string WhoAsks(const s3::S3Settings& settings, const Environment& environment) {
  if (settings.keys) return settings.keys->access_key;
  return fmt::format("{}|{}|{}", environment.Get("AWS_ACCESS_KEY_ID"), environment.Get("AWS_PROFILE"),
                     environment.Get("AWS_ROLE_ARN"));
}

/// A mistyped or foreign URI must not become a directory.
Status CheckIsPlace(std::string_view table_path) {
  if (s3::IsS3Uri(table_path)) return {};
  if (table_path.find("://") == std::string_view::npos && !table_path.starts_with("s3:/")) return {};
  return InvalidArgument("a table path is a directory or s3://bucket/path, not {}", table_path);
}

/// Files that Iceberg never writes twice, and whose names carry random ids: data files, manifests and their lists, archived history.
bool IsImmutable(std::string_view key) { return key.ends_with(".parquet") || key.ends_with(".avro"); }

/// With copies on this machine's disk, where the user wants them; without them where the directory cannot be used.
Result<std::unique_ptr<ObjectStore>> WithCache(std::unique_ptr<ObjectStore> store, const s3::S3Settings& settings,
                                               const Environment& environment, const Outside& outside) {
  DS_ASSIGN_OR_RETURN(const std::optional<cache::CacheSettings> wanted, cache::CacheFromEnvironment(environment));
  if (!wanted) return store;
  Result<std::unique_ptr<cache::DiskCache>> cache = cache::DiskCache::Open(*wanted, outside);
  if (!cache.ok()) {
    outside.log.Write(LogLevel::kWarning, fmt::format("DATASHARD_S3_CACHE_DIR is not used: {}", cache.error().ToString()));
    return store;
  }
  std::string place = fmt::format("{}|{}", settings.place.endpoint, settings.location());
  return cache::CachingStore(std::move(store), std::move(cache).value(), std::move(place), IsImmutable);
}

Result<TablePlace> OpenBucket(const s3::S3Settings& settings, const Environment& environment, const Outside& outside) {
  const std::shared_ptr<HttpClient>& http = SharedHttpClient(environment);
  DS_ASSIGN_OR_RETURN(std::shared_ptr<ObjectStore> store,
                      s3::OpenS3Store({.place = settings.place,
                                       .prefix = settings.prefix,
                                       .exclusive = s3::ExclusiveOf(settings.conditional_writes)},
                                      http, s3::CredentialsFor(settings, environment, *http, outside), outside));
  DS_ASSIGN_OR_RETURN(std::unique_ptr<ObjectStore> metered,
                      WithCache(MeteredStore(std::move(store), outside), settings, environment, outside));
  return TablePlace{.store = std::move(metered),
                    .identity = fmt::format("{}|{}|{}|{}", settings.place.endpoint, settings.place.bucket, settings.prefix,
                                            WhoAsks(settings, environment)),
                    .bucket = settings};
}

}  // namespace

Result<TablePlace> OpenTablePlace(std::string_view table_path, bool create, const Environment& environment,
                                  const Outside& outside) {
  DS_RETURN_IF_ERROR(CheckIsPlace(table_path));
  DS_ASSIGN_OR_RETURN(const std::optional<s3::S3Settings> bucket,
                      s3::SettingsForTable(table_path, environment, outside.log));
  if (bucket) return OpenBucket(*bucket, environment, outside);
  Result<std::unique_ptr<ObjectStore>> store = OpenLocalStore(table_path, create);
  if (!store.ok()) {
    if (store.kind() != ErrorKind::kNotFound) return std::move(store).error();
    return NotFound("No Iceberg table found at {}: there is no such directory", table_path).About(ErrorSubject::kTable);
  }
  return TablePlace{.store = std::move(store).value()};
}

}  // namespace datashard
