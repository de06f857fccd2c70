#include "s3/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "s3/server_url.h"

namespace datashard::s3 {
namespace {

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  return lower;
}

std::string_view Trimmed(std::string_view text, std::string_view what) {
  const size_t first = text.find_first_not_of(what);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(what) - first + 1);
}

std::string FirstSet(const Environment& environment, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names)
    if (std::string value(Trimmed(environment.Get(name), " \t\r\n")); !value.empty()) return value;
  return {};
}

Result<std::optional<bool>> Flag(const Environment& environment, std::string_view name) {
  const std::string word = Lower(FirstSet(environment, {name}));
  if (word.empty()) return std::optional<bool>();
  if (word == "true" || word == "1" || word == "yes") return std::optional<bool>(true);
  if (word == "false" || word == "0" || word == "no") return std::optional<bool>(false);
  return InvalidArgument("{} is '{}'; expected true or false, or leave it unset", name, word);
}

Result<std::optional<Addressing>> AddressingFrom(const Environment& environment) {
  const std::string word = Lower(FirstSet(environment, {"DATASHARD_S3_ADDRESSING"}));
  if (word.empty()) return std::optional<Addressing>();
  if (word == "path") return std::optional(Addressing::kPath);
  if (word == "virtual") return std::optional(Addressing::kVirtualHost);
  return InvalidArgument("DATASHARD_S3_ADDRESSING is '{}'; expected path or virtual", word);
}

Result<std::optional<ConditionalWrites>> ConditionalWritesFrom(const Environment& environment) {
  DS_ASSIGN_OR_RETURN(const std::optional<bool> work, Flag(environment, "DATASHARD_S3_USE_CONDITIONAL_WRITES"));
  if (!work.has_value()) return std::optional<ConditionalWrites>();
  if (*work) return std::optional(ConditionalWrites::kWork);
  DS_ASSIGN_OR_RETURN(const std::optional<bool> unsafe, Flag(environment, "DATASHARD_S3_ALLOW_UNSAFE_LOCK"));
  if (!unsafe.value_or(false))
    return Unsupported(
        "DATASHARD_S3_USE_CONDITIONAL_WRITES=false: without conditional writes two writers can lose each other's commits; "
        "unset it to let datashard find out what the endpoint can do, or set DATASHARD_S3_ALLOW_UNSAFE_LOCK=1 to open "
        "tables for reading only");
  return std::optional(ConditionalWrites::kAbsent);
}

Status CheckBucket(std::string_view bucket) {
  if (bucket.empty()) return InvalidArgument("DATASHARD_S3_BUCKET environment variable is required for S3 storage");
  const bool plain = std::all_of(bucket.begin(), bucket.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '.' || c == '_';
  });
  if (!plain || bucket.starts_with('.') || bucket.size() > 255)
    return InvalidArgument("'{}' is no name of a bucket; expected letters, digits, '-' and '.', without s3:// and without a path",
                           bucket);
  return {};
}

Result<std::string> CheckedPrefix(std::string_view prefix, std::string_view table_path) {
  const std::string_view before = Trimmed(prefix, "/"), after = Trimmed(table_path, "/");
  std::string joined(before);
  if (!before.empty() && !after.empty()) joined += '/';
  joined += after;
  for (size_t start = 0; start < joined.size();) {
    const size_t end = std::min(joined.find('/', start), joined.size());
    const std::string_view segment = std::string_view(joined).substr(start, end - start);
    if (segment == "." || segment == "..")
      return InvalidArgument("'{}' is no place in a bucket: '{}' has no meaning in an object's name", joined, segment);
    start = end + 1;
  }
  if (std::any_of(joined.begin(), joined.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }))
    return InvalidArgument("a table's place in a bucket has a control character: '{}'", joined);
  if (joined.size() > 512) return InvalidArgument("a table's place in a bucket has {} bytes; at most 512 leave room for its files", joined.size());
  return joined;
}

Result<std::optional<Credentials>> KeysOf(const S3Options& options) {
  if (options.access_key.empty() && options.secret_key.empty()) return std::optional<Credentials>();
  if (options.access_key.empty() || options.secret_key.empty()) {
    const bool has_access = !options.access_key.empty();
    return InvalidArgument(
        "DATASHARD_S3_ACCESS_KEY and DATASHARD_S3_SECRET_KEY are required together; only the {} is set. Set the other, or "
        "neither to use the AWS credentials chain", has_access ? "access key" : "secret key");
  }
  return std::optional(Credentials{options.access_key, options.secret_key, options.session_token, std::nullopt});
}

}  // namespace

std::string S3Settings::location() const { return "s3://" + place.bucket + (prefix.empty() ? "" : "/") + prefix; }

std::string ToString(const S3Settings& settings) {
  return fmt::format("{} at {} (region {}, {} addressing)", settings.location(), settings.place.endpoint,
                     settings.place.region, settings.place.virtual_host ? "virtual-host" : "path");
}

Result<S3Options> OptionsFromEnvironment(const Environment& environment) {
  S3Options options;
  options.endpoint = FirstSet(environment, {"DATASHARD_S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"});
  options.access_key = FirstSet(environment, {"DATASHARD_S3_ACCESS_KEY"});
  options.secret_key = FirstSet(environment, {"DATASHARD_S3_SECRET_KEY"});
  options.session_token = FirstSet(environment, {"DATASHARD_S3_SESSION_TOKEN"});
  options.bucket = FirstSet(environment, {"DATASHARD_S3_BUCKET"});
  options.region = FirstSet(environment, {"DATASHARD_S3_REGION"});
  options.prefix = environment.Get("DATASHARD_S3_PREFIX");
  DS_ASSIGN_OR_RETURN(options.addressing, AddressingFrom(environment));
  DS_ASSIGN_OR_RETURN(options.conditional_writes, ConditionalWritesFrom(environment));
  return options;
}

Result<S3Settings> SettingsOf(const S3Options& options, std::string_view table_path, Log& log) {
  DS_RETURN_IF_ERROR(CheckBucket(options.bucket));
  S3Settings settings;
  Place& place = settings.place;
  place.bucket = options.bucket;
  if (!options.region.empty()) place.region = options.region;
  DS_RETURN_IF_ERROR(CheckRegion(place.region));
  DS_ASSIGN_OR_RETURN(settings.prefix, CheckedPrefix(options.prefix, table_path));
  DS_ASSIGN_OR_RETURN(settings.keys, KeysOf(options));
  DS_ASSIGN_OR_RETURN(const ServerUrl endpoint,
                      options.endpoint.empty() ? AwsS3Url(place.region) : ParseEndpoint(options.endpoint));
  place.endpoint = endpoint.url();
  const bool fits_a_host = IsHostLabel(place.bucket) && !IsIpAddress(endpoint.host);
  const bool virtual_host = IsAwsHost(endpoint) && fits_a_host;
  place.virtual_host = options.addressing.has_value() ? *options.addressing == Addressing::kVirtualHost : virtual_host;
  if (place.virtual_host && !fits_a_host)
    return InvalidArgument("bucket '{}' at {} cannot be part of a host name; use path addressing", place.bucket, place.endpoint);
  settings.conditional_writes = options.conditional_writes.value_or(ConditionalWrites::kProbe);
  if (!endpoint.tls && !IsLoopback(endpoint.host))
    log.Write(LogLevel::kWarning, fmt::format("{} is plain http: rows and temporary tokens cross the network unprotected; use https",
                                              place.endpoint));
  return settings;
}

bool IsS3Uri(std::string_view table_path) {
  const std::string scheme = Lower(table_path.substr(0, 6));
  return scheme.starts_with("s3://") || scheme == "s3a://";
}

Result<std::optional<S3Settings>> SettingsForTable(std::string_view table_path, const Environment& environment, Log& log) {
  if (IsS3Uri(table_path)) {
    const std::string_view rest = table_path.substr(table_path.find("://") + 3);
    DS_ASSIGN_OR_RETURN(S3Options options, OptionsFromEnvironment(environment));
    options.bucket = rest.substr(0, rest.find('/'));
    if (options.bucket.empty()) return InvalidArgument("'{}' names no bucket; expected s3://bucket/path", table_path);
    options.prefix.clear();
    DS_ASSIGN_OR_RETURN(S3Settings settings, SettingsOf(options, rest.substr(options.bucket.size()), log));
    return std::optional(std::move(settings));
  }
  const std::string type = Lower(FirstSet(environment, {"DATASHARD_STORAGE_TYPE"}));
  if (type.empty() || type == "local") return std::optional<S3Settings>();
  if (type != "s3") return InvalidArgument("DATASHARD_STORAGE_TYPE is '{}'; expected local or s3", type);
  DS_ASSIGN_OR_RETURN(const S3Options options, OptionsFromEnvironment(environment));
  DS_ASSIGN_OR_RETURN(S3Settings settings, SettingsOf(options, table_path, log));
  return std::optional(std::move(settings));
}

}  // namespace datashard::s3
