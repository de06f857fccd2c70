#include "cli/shardy/config.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <toml++/toml.h>
#include <utility>

namespace datashard::cli::shardy {
namespace {

template <typename... Args>
Error Wrong(fmt::format_string<Args...> format, Args&&... args) {
  return Error(ErrorKind::kInvalidArgument, fmt::format(format, std::forward<Args>(args)...));
}

std::optional<std::string> FromEnvironment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

// A directory that may not be searched holds no file for us. Errors: kNotFound for one that was named.
Result<bool> Exists(const std::string& path) {
  std::error_code failure;
  const bool exists = std::filesystem::exists(path, failure);
  if (failure) return Error(ErrorKind::kNotFound, fmt::format("{}: {}", path, failure.message()));
  return exists;
}

// One of the files: named by an option or a variable, or found where it usually lies. None: there is none.
Result<std::optional<std::string>> FindFile(const std::optional<std::string>& option, const char* variable, const std::string& name) {
  for (const auto& named : {option, FromEnvironment(variable)}) {
    if (!named) continue;
    DS_ASSIGN_OR_RETURN(const bool exists, Exists(*named));
    if (!exists) {
      return Error(ErrorKind::kNotFound, fmt::format("there is no file {}, which was named as {}", *named, name));
    }
    return named;
  }
  if (const Result<bool> here = Exists(name); here.ok() && *here) return std::optional("./" + name);
  if (const auto home = FromEnvironment("HOME")) {
    const std::string usual = *home + "/.config/shardy/" + name;
    if (const Result<bool> there = Exists(usual); there.ok() && *there) return std::optional(usual);
  }
  return std::optional<std::string>();
}

// A table of a TOML file whose keys are taken one by one; what is left over was mistyped.
class Section {
 public:
  Section(const toml::table* table, std::string where) : table_(table), where_(std::move(where)) {}

  template <typename T>
  Result<std::optional<T>> Take(const char* key) {
    known_.push_back(key);
    const toml::node* node = table_ == nullptr ? nullptr : table_->get(key);
    if (node == nullptr) return std::optional<T>();
    if constexpr (std::is_same_v<T, double>) {
      if (const auto number = node->value<double>(); number && node->is_number()) return number;
    } else if (const auto value = node->value_exact<T>()) {
      return value;
    }
    return Wrong("{}: {} is not {}", where_, key, Expected<T>());
  }

  /// Keys that mean something elsewhere and nothing here.
  void Ignore(std::initializer_list<const char*> keys) { known_.insert(known_.end(), keys.begin(), keys.end()); }

  Status NothingElse() const {
    if (table_ == nullptr) return {};
    for (const auto& [key, node] : *table_) {
      bool is_known = false;
      std::string listed;
      for (const char* name : known_) {
        is_known = is_known || key.str() == name;
        listed += std::string(listed.empty() ? "" : ", ") + name;
      }
      if (!is_known) return Wrong("{}: there is no key {}; known are {}", where_, key.str(), listed);
    }
    return {};
  }

 private:
  template <typename T>
  static const char* Expected() {
    if constexpr (std::is_same_v<T, std::string>) return "a string";
    if constexpr (std::is_same_v<T, bool>) return "true or false";
    if constexpr (std::is_same_v<T, double>) return "a number";
    return "an integer";
  }

  const toml::table* table_;
  std::string where_;
  std::vector<const char*> known_;
};

Result<toml::table> ParseFile(const std::string& path) {
  std::error_code ignored;
  // Opened as a file, a directory reads as an empty one.
  if (std::filesystem::is_directory(path, ignored)) return Wrong("{} is a directory; a TOML file is expected", path);
  try {
    return toml::parse_file(path);
  } catch (const toml::parse_error& error) {
    return Wrong("{}, line {}: {}", path, error.source().begin.line, error.description());
  }
}

Result<Section> SectionOf(const toml::table& file, const std::string& path, const char* name) {
  const toml::node* node = file.get(name);
  if (node != nullptr && !node->is_table()) return Wrong("{}: {} is not a section [{}]", path, name, name);
  return Section(node == nullptr ? nullptr : node->as_table(), fmt::format("{}, [{}]", path, name));
}

template <typename T>
Result<T> OneOf(const std::string& word, const std::string& what, std::initializer_list<std::pair<const char*, T>> choices) {
  std::string listed;
  for (const auto& [name, value] : choices) {
    if (word == name) return value;
    listed += std::string(listed.empty() ? "" : ", ") + name;
  }
  return Wrong("{} is {}; it can be {}", what, word, listed);
}

Result<Format> FormatOf(const std::string& word) {
  return OneOf<Format>(word, "the output format", {{"json", Format::kJson}, {"jsonl", Format::kJsonLines}, {"table", Format::kTable},
                                                    {"text", Format::kText}});
}

Result<SqliteMode> SqliteModeOf(const std::string& word) {
  return OneOf<SqliteMode>(word, "the SQLite mode", {{"download", SqliteMode::kDownload}, {"range", SqliteMode::kRange}, {"auto", SqliteMode::kAuto}});
}

#define SHARDY_TAKE(section, type, key, target)                               \
  do {                                                                        \
    DS_ASSIGN_OR_RETURN(const std::optional<type> taken, (section).Take<type>(key)); \
    if (taken) target = *taken;                                               \
  } while (false)

struct FileChoices {
  std::optional<std::string> current_url, s3_prefix;
  std::string profile = "default";
};

Status ReadReader(Section section, Config& config, FileChoices& choices) {
  SHARDY_TAKE(section, std::string, "current_url", choices.current_url);
  SHARDY_TAKE(section, std::string, "s3_prefix", choices.s3_prefix);
  SHARDY_TAKE(section, std::string, "local_root", config.reader.local_root);
  SHARDY_TAKE(section, std::string, "credentials_profile", choices.profile);
  SHARDY_TAKE(section, int64_t, "sqlite_auto_per_shard_threshold_bytes", config.reader.sqlite_auto_per_shard_bytes);
  SHARDY_TAKE(section, int64_t, "sqlite_auto_total_budget_bytes", config.reader.sqlite_auto_total_bytes);
  DS_ASSIGN_OR_RETURN(const std::optional<int64_t> workers, section.Take<int64_t>("max_workers"));
  if (workers && (*workers < 1 || *workers > 1024)) return Wrong("[reader] max_workers is {}; it can be 1 to 1024", *workers);
  if (workers) config.reader.max_workers = static_cast<int>(*workers);
  DS_ASSIGN_OR_RETURN(const std::optional<std::string> mode, section.Take<std::string>("sqlite_mode"));
  if (mode) {
    DS_ASSIGN_OR_RETURN(config.reader.sqlite_mode, SqliteModeOf(*mode));
  }
  DS_ASSIGN_OR_RETURN(const std::optional<std::string> backend, section.Take<std::string>("reader_backend"));
  if (backend) {
    DS_ASSIGN_OR_RETURN(config.reader.shard_format,
                        OneOf<std::string>(*backend, "[reader] reader_backend", {{"slatedb", "slatedb"}, {"sqlite", "sqlite"}}));
  }
  section.Ignore({"thread_safety", "pool_checkout_timeout", "slate_env_file"});
  return section.NothingElse();
}

Status ReadManifestStore(Section section, Config& config) {
  std::string backend = "s3";
  SHARDY_TAKE(section, std::string, "backend", backend);
  DS_ASSIGN_OR_RETURN(const bool is_postgres, OneOf<bool>(backend, "[manifest_store] backend", {{"s3", false}, {"postgres", true}}));
  DS_ASSIGN_OR_RETURN(std::optional<std::string> dsn, section.Take<std::string>("dsn"));
  SHARDY_TAKE(section, std::string, "table_name", config.postgres.table_name);
  SHARDY_TAKE(section, bool, "ensure_table", config.postgres.ensure_tables);
  if (is_postgres) {
    if (const auto named = FromEnvironment("SHARDY_MANIFEST_DSN")) dsn = named;
    if (!dsn) return Wrong("[manifest_store] backend is postgres, and neither its dsn nor SHARDY_MANIFEST_DSN says how to connect");
    config.postgres_dsn = dsn;
  }
  return section.NothingElse();
}

Status ReadOutput(Section section, Config& config) {
  DS_ASSIGN_OR_RETURN(const std::optional<std::string> format, section.Take<std::string>("format"));
  if (format) {
    DS_ASSIGN_OR_RETURN(config.format, FormatOf(*format));
  }
  DS_ASSIGN_OR_RETURN(const std::optional<std::string> encoding, section.Take<std::string>("value_encoding"));
  if (encoding) {
    DS_ASSIGN_OR_RETURN(config.value_encoding,
                        OneOf<ValueEncoding>(*encoding, "[output] value_encoding",
                                             {{"base64", ValueEncoding::kBase64}, {"hex", ValueEncoding::kHex}, {"utf8", ValueEncoding::kUtf8}}));
  }
  SHARDY_TAKE(section, std::string, "null_repr", config.null_repr);
  return section.NothingElse();
}

Status ReadConfigFile(const std::string& path, Config& config, FileChoices& choices) {
  DS_ASSIGN_OR_RETURN(const toml::table file, ParseFile(path));
  for (const auto& [key, node] : file) {
    if (key.str() != "reader" && key.str() != "manifest_store" && key.str() != "output") {
      return Wrong("{}: there is no section [{}]; known are reader, manifest_store, output", path, key.str());
    }
  }
  DS_ASSIGN_OR_RETURN(Section reader, SectionOf(file, path, "reader"));
  DS_RETURN_IF_ERROR(ReadReader(std::move(reader), config, choices));
  DS_ASSIGN_OR_RETURN(Section store, SectionOf(file, path, "manifest_store"));
  DS_RETURN_IF_ERROR(ReadManifestStore(std::move(store), config));
  DS_ASSIGN_OR_RETURN(Section output, SectionOf(file, path, "output"));
  return ReadOutput(std::move(output), config);
}

Result<double> NumberOf(const std::string& key, const std::string& text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return Wrong("{} is {}; it is a number above 0", key, text);
  return number;
}

Status SetTimeout(const std::string& what, double seconds, std::optional<double>& target) {
  if (!(seconds > 0 && seconds <= 86'400)) return Wrong("{} is {}; it can be up to 86400 seconds, and not 0", what, seconds);
  target = seconds;
  return {};
}

Status SetAttempts(const std::string& what, double number, SnapshotS3Options& s3) {
  if (!(number >= 1 && number <= 1000) || number != std::floor(number)) return Wrong("{} is {}; it can be 1 to 1000", what, number);
  s3.max_attempts = static_cast<int>(number);
  return {};
}

Status SetVerify(const std::string& text, SnapshotS3Options& s3) {
  if (text == "true" || text == "false") {
    s3.verify_ssl = text == "true";
  } else {
    s3.verify_ssl = true;
    s3.ca_file = text;
  }
  return {};
}

// --s3-option KEY=VALUE, with the names of S3ConnectionOptions.
Status SetS3Option(const std::string& option, SnapshotS3Options& s3) {
  const size_t equals = option.find('=');
  if (equals == std::string::npos) return Wrong("--s3-option {}: write it as KEY=VALUE", option);
  const std::string key = option.substr(0, equals), value = option.substr(equals + 1);
  const std::array<std::pair<const char*, std::string*>, 5> texts = {{{"endpoint_url", &s3.endpoint_url}, {"region_name", &s3.region_name},
      {"addressing_style", &s3.addressing_style}, {"access_key_id", &s3.access_key_id}, {"secret_access_key", &s3.secret_access_key}}};
  for (const auto& [name, target] : texts) {
    if (key != name) continue;
    *target = value;
    return {};
  }
  if (key == "signature_version") return {};
  if (key == "verify_ssl") return SetVerify(value, s3);
  const bool is_number = key == "connect_timeout" || key == "read_timeout" || key == "max_attempts";
  if (!is_number) {
    return Wrong("--s3-option {}: there is no option {}; known are endpoint_url, region_name, addressing_style, signature_version, "
                 "verify_ssl, connect_timeout, read_timeout, max_attempts", option, key);
  }
  DS_ASSIGN_OR_RETURN(const double number, NumberOf("--s3-option " + key, value));
  if (key == "max_attempts") return SetAttempts("--s3-option " + key, number, s3);
  return SetTimeout("--s3-option " + key, number, key == "connect_timeout" ? s3.connect_timeout_s : s3.read_timeout_s);
}

Status ReadCredentials(const std::string& path, const std::string& profile, Config& config) {
  struct stat info {};
  if (stat(path.c_str(), &info) == 0 && (info.st_mode & 0077) != 0) {
    config.warnings.push_back(fmt::format("{} can be read by others (mode {:04o}); chmod 600 {}", path, info.st_mode & 07777, path));
  }
  DS_ASSIGN_OR_RETURN(const toml::table file, ParseFile(path));
  if (file.get(profile) == nullptr) {
    if (profile == "default" && file.empty()) return {};
    return Wrong("{}: there is no profile [{}]", path, profile);
  }
  DS_ASSIGN_OR_RETURN(Section section, SectionOf(file, path, profile.c_str()));
  SnapshotS3Options& s3 = config.reader.s3;
  s3.connect_timeout_s = 10;
  s3.read_timeout_s = 30;
  s3.max_attempts = 3;
  SHARDY_TAKE(section, std::string, "endpoint_url", s3.endpoint_url);
  SHARDY_TAKE(section, std::string, "region", s3.region_name);
  SHARDY_TAKE(section, std::string, "access_key_id", s3.access_key_id);
  SHARDY_TAKE(section, std::string, "secret_access_key", s3.secret_access_key);
  SHARDY_TAKE(section, std::string, "session_token", s3.session_token);
  SHARDY_TAKE(section, std::string, "addressing_style", s3.addressing_style);
  for (const auto& [key, target] : {std::pair("connect_timeout", &s3.connect_timeout_s), std::pair("read_timeout", &s3.read_timeout_s)}) {
    DS_ASSIGN_OR_RETURN(const std::optional<double> seconds, section.Take<double>(key));
    if (seconds) DS_RETURN_IF_ERROR(SetTimeout(fmt::format("{}, [{}] {}", path, profile, key), *seconds, *target));
  }
  DS_ASSIGN_OR_RETURN(const std::optional<int64_t> attempts, section.Take<int64_t>("max_attempts"));
  if (attempts) DS_RETURN_IF_ERROR(SetAttempts(fmt::format("{}, [{}] max_attempts", path, profile), static_cast<double>(*attempts), s3));
  const Result<std::optional<bool>> verify = section.Take<bool>("verify_ssl");
  if (verify.ok()) {
    if (*verify) s3.verify_ssl = **verify;
  } else {
    DS_ASSIGN_OR_RETURN(const std::optional<std::string> file_name, section.Take<std::string>("verify_ssl"));
    if (file_name) DS_RETURN_IF_ERROR(SetVerify(*file_name, s3));
  }
  section.Ignore({"signature_version"});
  return section.NothingElse();
}

Status ApplyOptions(const GlobalArguments& arguments, Config& config) {
  if (arguments.output_format) {
    DS_ASSIGN_OR_RETURN(config.format, FormatOf(*arguments.output_format));
  }
  if (arguments.sqlite_mode) {
    DS_ASSIGN_OR_RETURN(config.reader.sqlite_mode, SqliteModeOf(*arguments.sqlite_mode));
  }
  if (arguments.sqlite_auto_per_shard_bytes) config.reader.sqlite_auto_per_shard_bytes = *arguments.sqlite_auto_per_shard_bytes;
  if (arguments.sqlite_auto_total_bytes) config.reader.sqlite_auto_total_bytes = *arguments.sqlite_auto_total_bytes;
  for (const std::string& option : arguments.s3_options) DS_RETURN_IF_ERROR(SetS3Option(option, config.reader.s3));
  return {};
}

// The snapshot's prefix and its pointer's name are what stands before and behind the last slash of the current URL.
Status PlaceSnapshot(const std::optional<std::string>& current_url, const std::optional<std::string>& s3_prefix, Config& config) {
  if (current_url) {
    const size_t slash = current_url->rfind('/');
    if (slash == std::string::npos || slash == 0 || slash + 1 == current_url->size()) {
      return Wrong("the current URL {} does not end in /NAME of a pointer, as in s3://bucket/path/_CURRENT", *current_url);
    }
    config.prefix = current_url->substr(0, slash);
    config.current_key = current_url->substr(slash + 1);
  }
  if (s3_prefix) {
    config.prefix = *s3_prefix;
  } else if (config.postgres_dsn) {
    return Wrong("with manifests in PostgreSQL, [reader] s3_prefix says where the shards are; it is missing");
  }
  if (config.prefix.empty()) {
    return Wrong("which snapshot? Give --current-url, SHARDY_CURRENT, or current_url in [reader] of reader.toml (--config, SHARDY_CONFIG, "
                 "./reader.toml, ~/.config/shardy/reader.toml), as in s3://bucket/path/_CURRENT or file:///data/snapshot/_CURRENT");
  }
  config.reader.prefix = config.prefix;
  config.reader.current_key = config.current_key;
  return {};
}

}  // namespace

Result<Config> LoadConfig(const GlobalArguments& arguments) {
  Config config;
  FileChoices choices;
  std::error_code ignored;
  config.reader.local_root = (std::filesystem::temp_directory_path(ignored) / fmt::format("shardy-{}", getuid())).string();
  config.reader.max_workers = 4;
  config.postgres.ensure_tables = false;  // to look something up takes no right to make tables
  DS_ASSIGN_OR_RETURN(const std::optional<std::string> config_file, FindFile(arguments.config, "SHARDY_CONFIG", "reader.toml"));
  if (config_file) DS_RETURN_IF_ERROR(ReadConfigFile(*config_file, config, choices));
  DS_ASSIGN_OR_RETURN(const std::optional<std::string> credentials,
                      FindFile(arguments.credentials, "SHARDY_CREDENTIALS", "credentials.toml"));
  if (credentials) DS_RETURN_IF_ERROR(ReadCredentials(*credentials, choices.profile, config));
  DS_RETURN_IF_ERROR(ApplyOptions(arguments, config));
  std::optional<std::string> current_url = choices.current_url;
  if (const auto named = FromEnvironment("SHARDY_CURRENT")) current_url = named;
  if (arguments.current_url) current_url = arguments.current_url;
  const bool names_another = current_url != choices.current_url;
  DS_RETURN_IF_ERROR(PlaceSnapshot(current_url, names_another && !config.postgres_dsn ? std::nullopt : choices.s3_prefix, config));
  return config;
}

Result<std::chrono::seconds> ParseAge(const std::string& text) {
  const char unit = text.empty() ? '\0' : text.back();
  int64_t scale = 1;
  if (unit == 'd') scale = 86'400;
  if (unit == 'h') scale = 3'600;
  if (unit == 'm') scale = 60;
  const bool has_unit = unit == 'd' || unit == 'h' || unit == 'm' || unit == 's';
  const char* const end = text.data() + text.size() - (has_unit ? 1 : 0);
  double number = 0;
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end || !(number >= 0) || number * static_cast<double>(scale) > 1e11) {
    return Wrong("{} is no age; write it as 7d, 24h, 30m or 45s", text.empty() ? "an empty text" : text);
  }
  return std::chrono::seconds(std::llround(number * static_cast<double>(scale)));
}

}  // namespace datashard::cli::shardy
