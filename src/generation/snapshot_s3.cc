#include "generation/snapshot_s3.h"

#include <array>
#include <map>
#include <utility>

#include "base/error.h"
#include "base/fork.h"
#include "http/http_client.h"
#include "s3/credentials_chain.h"
#include "s3/s3_store.h"
#include "storage/metered_store.h"

namespace datashard::generation {
namespace {

constexpr double kTimeoutMax_s = 24 * 3600;

struct KeyNames {
  const char *access, *secret, *token;
};
constexpr KeyNames kKeyNames[] = {
    {"S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY", "S3_SESSION_TOKEN"},
    {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"},
    {"DATASHARD_S3_ACCESS_KEY", "DATASHARD_S3_SECRET_KEY", "DATASHARD_S3_SESSION_TOKEN"},
};

std::string FirstSet(const Environment& environment, std::initializer_list<const char*> names) {
  for (const char* const name : names)
    if (std::string value = environment.Get(name); !value.empty()) return value;
  return {};
}

/// Keys that belong together, from one source; none: the AWS credentials chain.
Status TakeKeys(const SnapshotS3Options& given, const Environment& environment, s3::S3Options& options) {
  options.access_key = given.access_key_id;
  options.secret_key = given.secret_access_key;
  options.session_token = given.session_token;
  if (options.access_key.empty() != options.secret_key.empty())
    return InvalidArgument("access_key_id and secret_access_key are given together, or neither");
  for (const KeyNames& names : kKeyNames) {
    if (!options.access_key.empty()) return {};
    options.access_key = environment.Get(names.access);
    options.secret_key = environment.Get(names.secret);
    options.session_token = environment.Get(names.token);
    if (options.access_key.empty() != options.secret_key.empty())
      return InvalidArgument("{} and {} are required together; only one of them is set", names.access, names.secret);
  }
  return {};
}

Result<std::optional<s3::Addressing>> AddressingOf(const SnapshotS3Options& given, std::optional<s3::Addressing> otherwise) {
  if (given.addressing_style.empty()) return otherwise;
  if (given.addressing_style == "auto") return std::optional<s3::Addressing>();
  if (given.addressing_style == "path") return std::optional(s3::Addressing::kPath);
  if (given.addressing_style == "virtual") return std::optional(s3::Addressing::kVirtualHost);
  return InvalidArgument("addressing_style is '{}'; expected virtual, path or auto", given.addressing_style);
}

Result<std::chrono::milliseconds> TimeoutOf(std::optional<double> seconds, std::string_view name, std::chrono::milliseconds otherwise) {
  if (!seconds) return otherwise;
  if (*seconds > 0 && *seconds <= kTimeoutMax_s) return std::chrono::ceil<std::chrono::milliseconds>(std::chrono::duration<double>(*seconds));
  return InvalidArgument("{} is {} seconds; expected more than 0 and at most {}", name, *seconds, kTimeoutMax_s);
}

Result<s3::RetrySettings> RetryOf(const SnapshotS3Options& given) {
  s3::RetrySettings retry;
  if (given.max_attempts && *given.max_attempts < 1) return InvalidArgument("max_attempts is {}; expected at least 1", *given.max_attempts);
  if (given.max_attempts) retry.attempts_max = *given.max_attempts;
  DS_ASSIGN_OR_RETURN(retry.attempt_timeout, TimeoutOf(given.read_timeout_s, "read_timeout", retry.attempt_timeout));
  DS_ASSIGN_OR_RETURN(retry.connect_timeout, TimeoutOf(given.connect_timeout_s, "connect_timeout", retry.connect_timeout));
  return retry;
}

/// One for the process and each way to verify: snapshots share connections. Never destroyed, so that a reader may be closed while the process exits.
std::shared_ptr<HttpClient> SharedHttpClient(const std::string& ca_file, bool verify_server) {
  static auto& shared = *new PerProcess<std::map<std::pair<std::string, bool>, std::shared_ptr<HttpClient>>>;
  const auto clients = shared.Lock();
  std::shared_ptr<HttpClient>& client = (*clients)[{ca_file, verify_server}];
  if (client == nullptr) client = NewHttpClient({.ca_file = ca_file, .verify_server = verify_server});
  return client;
}

// By the last part of the key, as every writer of such snapshots stores them.
std::string_view ContentTypeOf(std::string_view key) {
  const std::string_view name = key.substr(key.rfind('/') + 1);
  if (name.starts_with("_CURRENT")) return "application/json";
  if (name == "manifest" || name == "shard.db") return "application/x-sqlite3";
  if (name == "run.yaml") return "application/x-yaml";
  return s3::BytesOfAnyKind(key);
}

}  // namespace

Result<BucketAccess> BucketAccessOf(const std::string& url, const SnapshotS3Options& given, const Environment& environment, Log& log) {
  DS_ASSIGN_OR_RETURN(s3::S3Options options, s3::OptionsFromEnvironment(environment));
  DS_RETURN_IF_ERROR(TakeKeys(given, environment, options));
  DS_ASSIGN_OR_RETURN(options.addressing, AddressingOf(given, options.addressing));
  options.endpoint = given.endpoint_url;
  if (options.endpoint.empty())
    options.endpoint = FirstSet(environment, {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "SLATEDB_S3_ENDPOINT_URL", "DATASHARD_S3_ENDPOINT"});
  options.region = given.region_name;
  if (options.region.empty()) options.region = FirstSet(environment, {"S3_REGION", "AWS_REGION", "AWS_DEFAULT_REGION", "DATASHARD_S3_REGION"});
  const std::string_view rest = std::string_view(url).substr(url.find("://") + 3);
  options.bucket = rest.substr(0, rest.find('/'));
  options.prefix.clear();
  if (options.bucket.empty()) return InvalidArgument("'{}' names no bucket; expected s3://bucket/path", url);
  BucketAccess access{.verify_server = given.verify_ssl.value_or(true)};
  DS_ASSIGN_OR_RETURN(access.settings, s3::SettingsOf(options, rest.substr(options.bucket.size()), log));
  DS_ASSIGN_OR_RETURN(access.retry, RetryOf(given));
  access.ca_file = given.ca_file.empty() ? environment.Get("AWS_CA_BUNDLE") : given.ca_file;
  if (!access.verify_server && access.settings.place.endpoint.starts_with("https:"))
    log.Write(LogLevel::kWarning, fmt::format("{}: the server's certificate is not verified; anybody on the way can read and change what "
                                              "is sent. Give a ca_file instead", access.settings.place.endpoint));
  return access;
}

Result<std::shared_ptr<ObjectStore>> OpenBucket(const BucketAccess& access, const Environment& environment, const Outside& outside) {
  const std::shared_ptr<HttpClient> http = SharedHttpClient(access.ca_file, access.verify_server);
  const s3::S3Settings& settings = access.settings;
  DS_ASSIGN_OR_RETURN(std::shared_ptr<ObjectStore> store,
                      s3::OpenS3Store({.place = settings.place, .prefix = settings.prefix,
                                       .exclusive = s3::ExclusiveOf(settings.conditional_writes), .retry = access.retry,
                                       .content_type_of = ContentTypeOf},
                                      http, s3::CredentialsFor(settings, environment, *http, outside), outside));
  return store;
}

}  // namespace datashard::generation
