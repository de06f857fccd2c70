#include "settings.h"

#include <fmt/format.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "context_error.h"

namespace datashard::python {
namespace {

[[noreturn]] void RefuseSetting(std::string message) {
  throw ContextError(Error(ErrorKind::kInvalidArgument, std::move(message)), Doing::kConfigure);
}

/// Reads a dict field by field.
class Fields {
 public:
  explicit Fields(nb::handle fields) : fields_(nb::cast<nb::dict>(fields)) {}

  template <typename T>
  void Take(const char* name, T& field) const {
    if (!fields_.contains(name)) return;
    nb::object value = fields_[name];
    if (!nb::try_cast(value, field)) {
      RefuseSetting(fmt::format("{} cannot be {}", name, nb::cast<std::string>(nb::repr(value))));
    }
  }
  /// The value, or an invalid object where it is missing or None.
  nb::object Given(const char* name) const {
    if (!fields_.contains(name)) return {};
    nb::object value = fields_[name];
    return value.is_none() ? nb::object() : value;
  }

 private:
  nb::dict fields_;
};

Key OwnedKey(nb::handle value) { return Key(OrThrow(Doing::kConfigure, KeyOf(value.ptr()))); }

std::optional<std::vector<Key>> RoutingValuesOf(const nb::object& values) {
  if (!values.is_valid()) return std::nullopt;
  std::vector<Key> keys;
  for (nb::handle value : values) keys.push_back(OwnedKey(value));
  return keys;
}

std::chrono::milliseconds MillisOf(double seconds) { return std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000)); }

ShardRetry RetryOf(nb::handle fields) {
  ShardRetry retry;
  const Fields given(fields);
  double initial_backoff_s = 1;
  given.Take("max_retries", retry.max_retries);
  given.Take("initial_backoff_s", initial_backoff_s);
  given.Take("backoff_multiplier", retry.backoff_multiplier);
  retry.initial_backoff = MillisOf(initial_backoff_s);
  return retry;
}

ShardingRule RuleOf(const Fields& given) {
  ShardingRule rule;
  given.Take("num_dbs", rule.num_dbs);
  if (nb::object boundaries = given.Given("boundaries"); boundaries.is_valid()) rule.boundaries = BoundariesOf(boundaries);
  if (nb::object cel = given.Given("cel"); cel.is_valid()) {
    const Fields fields(cel);
    ShardingRule::Cel& made = rule.cel.emplace();
    fields.Take("expr", made.expr);
    made.columns = CelColumnsOf(fields.Given("columns"));
    made.routing_values = RoutingValuesOf(fields.Given("routing_values"));
    fields.Take("infer_routing_values", made.infer_routing_values);
  }
  return rule;
}

KeyEncoding EncodingOf(const Fields& given) {
  std::string name = "u64be";
  given.Take("key_encoding", name);
  return OrThrow(Doing::kConfigure, KeyEncodingOf(name));
}

}  // namespace

ShardFormatOptions ShardFormatOf(nb::dict fields) {
  ShardFormatOptions format;
  const Fields given(fields);
  std::string name = "slatedb";
  given.Take("format", name);
  format.format = name == "sqlite" ? ShardFormat::kSqlite : ShardFormat::kSlateDb;
  given.Take("sqlite_page_size", format.sqlite_page_size);
  given.Take("sqlite_sidecar", format.sqlite_sidecar);
  given.Take("sqlite_page_checksums", format.sqlite_page_checksums);
  given.Take("slatedb_compression", format.slatedb_compression);
  return format;
}

SnapshotS3Options S3OptionsOf(nb::handle options) {
  SnapshotS3Options s3;
  if (!options.is_valid() || options.is_none()) return s3;
  const Fields given(options);
  given.Take("access_key_id", s3.access_key_id);
  given.Take("secret_access_key", s3.secret_access_key);
  given.Take("session_token", s3.session_token);
  given.Take("endpoint_url", s3.endpoint_url);
  given.Take("region_name", s3.region_name);
  given.Take("addressing_style", s3.addressing_style);
  given.Take("verify_ssl", s3.verify_ssl);
  given.Take("ca_file", s3.ca_file);
  given.Take("connect_timeout_s", s3.connect_timeout_s);
  given.Take("read_timeout_s", s3.read_timeout_s);
  given.Take("max_attempts", s3.max_attempts);
  return s3;
}

ShardedReaderSettings ReaderSettingsOf(nb::dict fields) {
  ShardedReaderSettings settings;
  const Fields given(fields);
  given.Take("prefix", settings.prefix);
  settings.s3 = S3OptionsOf(given.Given("s3"));
  given.Take("local_root", settings.local_root);
  given.Take("current_key", settings.current_key);
  given.Take("pinned_ref", settings.pinned_ref);
  given.Take("shard_format", settings.shard_format);
  given.Take("max_fallback_attempts", settings.max_fallback_attempts);
  std::string mode = "auto";
  given.Take("sqlite_mode", mode);
  settings.sqlite_mode = mode == "download" ? SqliteMode::kDownload : mode == "range" ? SqliteMode::kRange : SqliteMode::kAuto;
  given.Take("sqlite_auto_per_shard_bytes", settings.sqlite_auto_per_shard_bytes);
  given.Take("sqlite_auto_total_bytes", settings.sqlite_auto_total_bytes);
  given.Take("block_cache_bytes", settings.block_cache_bytes);
  given.Take("local_bytes_max", settings.local_bytes_max);
  given.Take("verify_checksums", settings.verify_checksums);
  given.Take("max_workers", settings.max_workers);
  return settings;
}

ShardedWriteSettings WriteSettingsOf(nb::dict fields) {
  ShardedWriteSettings settings;
  const Fields given(fields);
  given.Take("prefix", settings.prefix);
  settings.s3 = S3OptionsOf(given.Given("s3"));
  settings.sharding = RuleOf(given);
  settings.key_encoding = EncodingOf(given);
  if (nb::object format = given.Given("format"); format.is_valid()) settings.format = ShardFormatOf(nb::cast<nb::dict>(format));
  given.Take("run_id", settings.run_id);
  given.Take("key_col", settings.key_col);
  given.Take("db_path_template", settings.db_path_template);
  given.Take("shard_prefix", settings.shard_prefix);
  given.Take("run_registry_prefix", settings.run_registry_prefix);
  given.Take("local_root", settings.local_root);
  given.Take("writer_type", settings.writer_type);
  given.Take("custom", settings.custom);
  given.Take("batch_size", settings.batch_size);
  given.Take("writes_per_second_max", settings.writes_per_second_max);
  given.Take("write_bytes_per_second_max", settings.write_bytes_per_second_max);
  if (nb::object retry = given.Given("shard_retry"); retry.is_valid()) settings.shard_retry = RetryOf(retry);
  given.Take("memory_bytes_max", settings.memory_bytes_max);
  given.Take("threads", settings.threads);
  return settings;
}

std::vector<RangeBoundary> BoundariesOf(nb::handle boundaries) {
  std::vector<RangeBoundary> found;
  for (nb::handle boundary : boundaries) {
    if (PyFloat_Check(boundary.ptr())) {
      found.emplace_back(PyFloat_AS_DOUBLE(boundary.ptr()));
      continue;
    }
    const Key key = OwnedKey(boundary);
    if (key.kind == KeyView::Kind::kInt) {
      found.emplace_back(key.view().as_int());
    } else if (key.kind == KeyView::Kind::kText) {
      found.emplace_back(key.bytes);
    } else {
      RefuseSetting(fmt::format("boundary {} is no integer of 64 bits with a sign, no float and no text", ToString(key.view())));
    }
  }
  return found;
}

ShardingSpec ShardingSpecOf(nb::dict fields) {
  ShardingSpec spec;
  const Fields given(fields);
  std::string strategy = "hash";
  given.Take("strategy", strategy);
  if (strategy != "hash" && strategy != "cel") RefuseSetting(fmt::format("strategy \"{}\" is neither hash nor cel", strategy));
  spec.strategy = strategy == "hash" ? ShardingStrategy::kHash : ShardingStrategy::kCel;
  spec.routing_values = RoutingValuesOf(given.Given("routing_values"));
  given.Take("cel_expr", spec.cel_expr);
  if (nb::object columns = given.Given("cel_columns"); columns.is_valid()) spec.cel_columns = CelColumnsOf(columns);
  return spec;
}

nb::object ToPython(const std::optional<Key>& key) { return key.has_value() ? ToPython(*key) : nb::none(); }

nb::dict ToPython(const ShardMeta& shard) {
  nb::dict writer;
  writer["stage_id"] = nb::cast(shard.writer_info.stage_id);
  writer["task_attempt_id"] = nb::cast(shard.writer_info.task_attempt_id);
  writer["attempt"] = shard.writer_info.attempt;
  writer["duration_ms"] = shard.writer_info.duration_ms;
  nb::dict fields;
  fields["db_id"] = shard.db_id;
  fields["db_url"] = nb::cast(shard.db_url);
  fields["attempt"] = shard.attempt;
  fields["row_count"] = shard.row_count;
  fields["db_bytes"] = shard.db_bytes;
  fields["min_key"] = ToPython(shard.min_key);
  fields["max_key"] = ToPython(shard.max_key);
  fields["checkpoint_id"] = nb::cast(shard.checkpoint_id);
  fields["writer_info"] = writer;
  return fields;
}

nb::dict ToPython(const BuildMeta& build) {
  nb::dict sharding;
  sharding["strategy"] = build.sharding.strategy == ShardingStrategy::kHash ? "hash" : "cel";
  sharding["hash_algorithm"] = "xxh3_64";
  sharding["routing_values"] = nb::none();
  if (build.sharding.routing_values.has_value()) {
    nb::list values;
    for (const Key& value : *build.sharding.routing_values) values.append(ToPython(value));
    sharding["routing_values"] = values;
  }
  sharding["cel_expr"] = nb::cast(build.sharding.cel_expr);
  sharding["cel_columns"] = nb::none();
  if (build.sharding.cel_columns.has_value()) {
    nb::dict columns;
    for (const auto& [name, type] : *build.sharding.cel_columns) columns[name.c_str()] = std::string(ToString(type));
    sharding["cel_columns"] = columns;
  }
  nb::dict fields;
  fields["run_id"] = build.run_id;
  fields["created_at_us"] = Micros(build.created_at);
  fields["num_dbs"] = build.num_dbs;
  fields["s3_prefix"] = build.s3_prefix;
  fields["key_col"] = build.key_col;
  fields["sharding"] = sharding;
  fields["db_path_template"] = build.db_path_template;
  fields["shard_prefix"] = build.shard_prefix;
  fields["key_encoding"] = std::string(ToString(build.key_encoding));
  return fields;
}

nb::tuple ToPython(const ManifestRef& ref) { return nb::make_tuple(ref.ref, ref.run_id, Micros(ref.published_at)); }

}  // namespace datashard::python
