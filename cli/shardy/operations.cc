#include "cli/shardy/operations.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <span>

#include "cli/shardy/value_text.h"

namespace datashard::cli::shardy {
namespace {

constexpr int64_t kRollbackScan = 100;

std::string TimeText(UtcTime time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06d}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(seconds)), (time - seconds).count());
}

Json KeyJson(const std::optional<Key>& key) {
  if (!key) return nullptr;
  if (key->kind == KeyView::Kind::kInt) return static_cast<int64_t>(key->number);
  if (key->kind == KeyView::Kind::kUnsigned) return key->number;
  return ValidUtf8(key->bytes);
}

// Owns the texts a RoutingContext borrows.
class Context {
 public:
  static Result<Context> Of(const TypedContext& typed, const ShardingSpec& sharding) {
    Context context;
    for (const auto& [name, text] : typed) {
      DS_ASSIGN_OR_RETURN(const CelValue value, ValueOf(name, text, TypeOf(name, sharding)));
      context.values_.emplace_back(name, value);
    }
    return context;
  }
  const RoutingContext* get() const { return values_.empty() ? nullptr : &values_; }

 private:
  static CelType TypeOf(const std::string& name, const ShardingSpec& sharding) {
    if (sharding.cel_columns) {
      for (const auto& [column, type] : *sharding.cel_columns) {
        if (column == name) return type;
      }
    }
    return CelType::kString;
  }

  template <typename T>
  static Result<CelValue> Number(const std::string& name, const std::string& text, CelType type) {
    T number{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc() && end == text.data() + text.size()) return CelValue(number);
    return Error(ErrorKind::kInvalidArgument, fmt::format("routing context {}={}: the snapshot's rule reads it as {}", name, text, ToString(type)));
  }

  static Result<CelValue> ValueOf(const std::string& name, const std::string& text, CelType type) {
    switch (type) {
      case CelType::kInt: return Number<int64_t>(name, text, type);
      case CelType::kUint: return Number<uint64_t>(name, text, type);
      case CelType::kDouble: return Number<double>(name, text, type);
      case CelType::kBool:
        if (text == "true" || text == "false") return CelValue(text == "true");
        return Error(ErrorKind::kInvalidArgument, fmt::format("routing context {}={}: it is true or false", name, text));
      case CelType::kBytes: return CelValue(CelBytes{text});
      case CelType::kString: return CelValue(CelText{text});
    }
    return CelValue(CelText{text});
  }

  RoutingContext values_;
};

struct Opened {
  ShardedReader* reader;
  std::shared_ptr<const ShardedManifest> manifest;
  Context context;
};

Result<Opened> OpenFor(Session& session, const TypedContext& typed) {
  DS_ASSIGN_OR_RETURN(ShardedReader* const reader, session.Reader());
  auto manifest = reader->manifest();
  DS_ASSIGN_OR_RETURN(Context context, Context::Of(typed, manifest->build.sharding));
  return Opened{reader, std::move(manifest), std::move(context)};
}

Json ShownValue(const Session& session, const std::optional<PinnedValue>& value) {
  if (!value) return session.config().null_repr;
  return ValueText(value->bytes(), session.config().value_encoding);
}

const char* StatusText(ReaderHealth::Status status) {
  switch (status) {
    case ReaderHealth::Status::kHealthy: return "healthy";
    case ReaderHealth::Status::kDegraded: return "degraded";
    case ReaderHealth::Status::kUnhealthy: return "unhealthy";
  }
  return "unhealthy";
}

Result<ManifestRef> Find(Session& session, ManifestStore& manifests, const RollbackTarget& target) {
  if (target.offset) return session.AtOffset(*target.offset);
  DS_ASSIGN_OR_RETURN(const std::vector<ManifestRef> listed, manifests.ListManifests(kRollbackScan));
  for (const ManifestRef& manifest : listed) {
    if (target.ref ? manifest.ref == *target.ref : manifest.run_id == *target.run_id) return manifest;
  }
  return Error(ErrorKind::kNotFound, fmt::format("{} {} is not among the newest {} manifests; `shardy history --limit {}` lists them",
                                                 target.ref ? "ref" : "run", target.ref ? *target.ref : *target.run_id, listed.size(),
                                                 kRollbackScan));
}

Json ActionJson(const CleanupAction& action) {
  Json json = {{"prefix_url", action.prefix_url}, {"objects_deleted", action.objects_deleted}};
  if (action.db_id) json["db_id"] = *action.db_id;
  if (!action.run_id.empty()) json["run_id"] = action.run_id;
  return json;
}

}  // namespace

Result<Json> Get(Session& session, const std::string& key, const TypedContext& typed) {
  DS_ASSIGN_OR_RETURN(const Opened opened, OpenFor(session, typed));
  DS_ASSIGN_OR_RETURN(const KeyView view, KeyOf(key, opened.manifest->build.key_encoding));
  DS_ASSIGN_OR_RETURN(const std::optional<PinnedValue> value, opened.reader->Get(view, opened.context.get()));
  return Json{{"op", "get"}, {"key", ValidUtf8(key)}, {"found", value.has_value()}, {"value", ShownValue(session, value)}};
}

Result<Json> MultiGet(Session& session, const std::vector<std::string>& keys, const TypedContext& typed) {
  DS_ASSIGN_OR_RETURN(const Opened opened, OpenFor(session, typed));
  std::vector<KeyView> views;
  for (const std::string& key : keys) {
    DS_ASSIGN_OR_RETURN(const KeyView view, KeyOf(key, opened.manifest->build.key_encoding));
    views.push_back(view);
  }
  DS_ASSIGN_OR_RETURN(const auto values, opened.reader->MultiGet(views, opened.context.get()));
  Json results = Json::array();
  for (size_t i = 0; i < keys.size(); ++i) {
    Json result = {{"key", ValidUtf8(keys[i])}, {"found", values[i].has_value()}};
    if (values[i]) result["value"] = ShownValue(session, values[i]);
    results.push_back(std::move(result));
  }
  return Json{{"op", "multiget"}, {"results", std::move(results)}};
}

Result<Json> Route(Session& session, const std::string& key, const TypedContext& typed) {
  DS_ASSIGN_OR_RETURN(const Opened opened, OpenFor(session, typed));
  DS_ASSIGN_OR_RETURN(const KeyView view, KeyOf(key, opened.manifest->build.key_encoding));
  DS_ASSIGN_OR_RETURN(const std::optional<int32_t> shard, opened.reader->Route(view, opened.context.get()));
  return Json{{"op", "route"}, {"key", ValidUtf8(key)}, {"db_id", shard ? Json(*shard) : Json(nullptr)}};
}

Result<Json> Info(Session& session) {
  DS_ASSIGN_OR_RETURN(ShardedReader* const reader, session.Reader());
  const auto manifest = reader->manifest();
  const BuildMeta& build = manifest->build;
  int64_t rows = 0;
  for (const ShardMeta& shard : manifest->shards) rows += shard.row_count;
  const bool is_hash = build.sharding.strategy == ShardingStrategy::kHash;
  return Json{{"op", "info"}, {"run_id", build.run_id}, {"num_dbs", build.num_dbs}, {"sharding", is_hash ? "hash" : "cel"},
              {"created_at", TimeText(build.created_at)}, {"manifest_ref", reader->manifest_ref()}, {"row_count", rows},
              {"key_encoding", std::string(ToString(build.key_encoding))}, {"hash_algorithm", "xxh3_64"}};
}

Result<Json> Shards(Session& session) {
  DS_ASSIGN_OR_RETURN(ShardedReader* const reader, session.Reader());
  Json shards = Json::array();
  for (const ShardDetail& shard : reader->shard_details()) {
    shards.push_back({{"db_id", shard.db_id}, {"row_count", shard.row_count}, {"min_key", KeyJson(shard.min_key)},
                      {"max_key", KeyJson(shard.max_key)}, {"db_url", shard.db_url ? Json(*shard.db_url) : Json(nullptr)}});
  }
  return Json{{"op", "shards"}, {"shards", std::move(shards)}};
}

Result<Json> Health(Session& session, std::optional<double> staleness_threshold_s) {
  std::optional<std::chrono::microseconds> threshold;
  if (staleness_threshold_s) {
    constexpr double kLongest = 1e12;  // 30,000 years: in microseconds it fits
    if (!(*staleness_threshold_s >= 0)) return Error(ErrorKind::kInvalidArgument, "a staleness threshold is a number of seconds, 0 or more");
    threshold = std::chrono::microseconds(std::llround(std::min(*staleness_threshold_s, kLongest) * 1e6));
  }
  DS_ASSIGN_OR_RETURN(ShardedReader* const reader, session.Reader());
  const ReaderHealth health = reader->health(threshold);
  return Json{{"op", "health"}, {"status", StatusText(health.status)}, {"manifest_ref", health.manifest_ref},
              {"manifest_age_seconds", static_cast<double>(health.manifest_age.count()) / 1e6}, {"num_shards", health.num_shards},
              {"is_closed", health.is_closed}};
}

Result<Json> Refresh(Session& session) {
  session.Pin(std::nullopt);
  DS_ASSIGN_OR_RETURN(ShardedReader* const reader, session.Reader());
  std::optional<Error> problem;
  DS_ASSIGN_OR_RETURN(const bool changed, reader->Refresh(&problem));
  if (problem) return *problem;
  return Json{{"op", "refresh"}, {"changed", changed}};
}

Result<Json> History(Session& session, int64_t limit) {
  DS_ASSIGN_OR_RETURN(ManifestStore* const manifests, session.Manifests());
  DS_ASSIGN_OR_RETURN(const std::vector<ManifestRef> listed, manifests->ListManifests(limit));
  Json shown = Json::array();
  for (size_t i = 0; i < listed.size(); ++i) {
    shown.push_back({{"offset", i}, {"run_id", listed[i].run_id}, {"published_at", TimeText(listed[i].published_at)}, {"ref", listed[i].ref}});
  }
  return Json{{"op", "history"}, {"manifests", std::move(shown)}};
}

Result<Json> Rollback(Session& session, const RollbackTarget& target) {
  DS_ASSIGN_OR_RETURN(ManifestStore* const manifests, session.Manifests());
  DS_ASSIGN_OR_RETURN(const ManifestRef chosen, Find(session, *manifests, target));
  // A pointer to what nobody can read would take the snapshot away from its readers.
  DS_RETURN_IF_ERROR(manifests->LoadManifest(chosen.ref));
  DS_RETURN_IF_ERROR(manifests->SetCurrent(chosen.ref));
  return Json{{"op", "rollback"}, {"run_id", chosen.run_id}, {"ref", chosen.ref}, {"published_at", TimeText(chosen.published_at)}};
}

Result<Json> Cleanup(Session& session, const CleanupOptions& options) {
  DS_ASSIGN_OR_RETURN(ManifestStore* const manifests, session.Manifests());
  DS_ASSIGN_OR_RETURN(const std::optional<ManifestRef> current, manifests->LoadCurrent());
  DS_ASSIGN_OR_RETURN(const std::vector<CleanupAction> actions,
                      CleanUpSnapshot(session.config().prefix, *manifests, options, session.config().reader.s3));
  Json attempts = Json::array(), runs = Json::array();
  int64_t objects = 0;
  for (const CleanupAction& action : actions) {
    (action.kind == CleanupAction::Kind::kStaleAttempt ? attempts : runs).push_back(ActionJson(action));
    objects += action.objects_deleted;
  }
  Json json = {{"op", "cleanup"}, {"dry_run", options.dry_run}, {"run_id", current ? current->run_id : ""}, {"stale_attempts", std::move(attempts)},
               {"total_objects_deleted", objects}, {"total_prefixes_removed", actions.size()}};
  if (options.include_old_runs || options.older_than || options.keep_last) json["old_runs"] = std::move(runs);
  return json;
}

Json ErrorJson(const std::string& op, const Error& error, const std::optional<std::string>& key) {
  Json json = {{"op", op}, {"error", ValidUtf8(error.message())}};
  if (key) json["key"] = ValidUtf8(*key);
  return json;
}

}  // namespace datashard::cli::shardy
