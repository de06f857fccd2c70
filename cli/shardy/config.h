// What reader.toml, credentials.toml, the environment and the command line say, as one plain value.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "datashard/result.h"
#include "datashard/sharded_manifest.h"
#include "datashard/sharded_reader.h"

namespace datashard::cli::shardy {

enum class Format { kJson, kJsonLines, kTable, kText };
enum class ValueEncoding { kBase64, kHex, kUtf8 };

/// Options that stand before the command.
struct GlobalArguments {
  std::optional<std::string> current_url, config, credentials, output_format, ref, sqlite_mode;
  std::vector<std::string> s3_options;  ///< key=value
  std::optional<int64_t> offset, sqlite_auto_per_shard_bytes, sqlite_auto_total_bytes;
};

struct Config {
  std::string prefix;                     ///< of the snapshot
  std::string current_key = "_CURRENT";
  ShardedReaderSettings reader;           ///< with prefix, current_key and s3 filled in
  std::optional<std::string> postgres_dsn;  ///< manifests lie there; none: below the prefix
  PostgresManifestOptions postgres;
  Format format = Format::kJsonLines;
  ValueEncoding value_encoding = ValueEncoding::kBase64;
  std::string null_repr = "null";
  std::vector<std::string> warnings;      ///< for standard error
};

/// Options win over the environment (SHARDY_CURRENT, SHARDY_CONFIG, SHARDY_CREDENTIALS, SHARDY_MANIFEST_DSN), that over the files.
/// Errors: kInvalidArgument: a file, section, key or word that is wrong, or no current URL at all (says where it is looked for);
/// kNotFound: a file that was named and is not there.
Result<Config> LoadConfig(const GlobalArguments& arguments);

/// "10", "1.5" of seconds; "7d", "24h", "30m", "45s". Errors: kInvalidArgument.
Result<std::chrono::seconds> ParseAge(const std::string& text);

}  // namespace datashard::cli::shardy
