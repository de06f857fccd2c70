#include "commit/append_group.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "commit/marks.h"
#include "data/data_file.h"
#include "data/row_batch.h"
#include "iceberg/manifest.h"

namespace datashard::commit {
namespace {

constexpr std::string_view kObject = "a manifest handed over by another process";

}  // namespace

Result<Bytes> EncodeWritten(const WrittenManifest& written) {
  DS_ASSIGN_OR_RETURN(const Bytes list, iceberg::EncodeManifestList({}, std::span(&written.line, 1)));
  Bytes payload(sizeof written.added_bytes, '\0');
  std::memcpy(payload.data(), &written.added_bytes, sizeof written.added_bytes);
  return payload + list;
}

Result<WrittenManifest> DecodeWritten(ByteView payload) {
  WrittenManifest written;
  if (payload.size() < sizeof written.added_bytes) return Corruption("{}: {} bytes are too few", kObject, payload.size());
  std::memcpy(&written.added_bytes, payload.data(), sizeof written.added_bytes);
  DS_ASSIGN_OR_RETURN(std::vector<ManifestFile> lines,
                      iceberg::DecodeManifestList(payload.substr(sizeof written.added_bytes), kObject));
  if (lines.size() != 1) return Corruption("{}: {} lines, expected 1", kObject, lines.size());
  written.line = std::move(lines.front());
  return written;
}

ring::Reply ReplyFor(int64_t version, const Snapshot& snapshot) {
  return {.version = version,
          .snapshot_id = snapshot.snapshot_id,
          .sequence_number = snapshot.sequence_number,
          .timestamp_ms = snapshot.timestamp_ms};
}

AppendGroup::AppendGroup(std::string ring_id, bool registered, std::vector<ring::Submission> items, ObjectStore& store,
                         WriteGroup& group, Random& random)
    : ring_id_(std::move(ring_id)),
      registered_(registered),
      items_(std::move(items)),
      store_(store),
      group_(group),
      random_(random) {}

Status AppendGroup::Apply(Draft& draft) {
  answers_.assign(items_.size(), {});
  for (auto& [run, file] : written_) file.used = false;
  Marks marks;
  const bool marked = std::any_of(items_.begin(), items_.end(), [](const auto& item) { return item.slot >= 0; });
  has_marks_ = false;
  if (marked) {
    DS_ASSIGN_OR_RETURN(std::optional<Marks> known, Marks::Read(draft.metadata, ring_id_));
    if (!known && registered_) {
      return Error(ErrorKind::kFenced,
                   fmt::format("{}: its metadata no longer knows the ring {} of this host; whether appends that were waiting "
                               "in it are in the table is unknown", draft.metadata.location, ring_id_));
    }
    has_marks_ = known.has_value();
    if (known) marks = *std::move(known);
  }

  Indexes plain;
  Indexes transactions;
  bool raised = false;
  for (size_t i = 0; i < items_.size(); ++i) {
    const ring::Submission& item = items_[i];
    if (item.slot >= 0 && item.seq <= marks.Of(item.slot)) {
      answers_[i] = {Outcome::kCommitted, /*marked_before=*/true, {.version = draft.version - 1}};
      // Whoever published it may not have made its name durable yet; a version on top of it does.
      raised = true;
      continue;
    }
    const auto kind = static_cast<PayloadKind>(item.label.kind);
    if (kind != PayloadKind::kWithdrawal && (item.label.schema_id != draft.metadata.current_schema_id ||
                                             item.label.spec_id != draft.metadata.default_spec_id ||
                                             IsSchemaless(draft.metadata))) {
      answers_[i].outcome = Outcome::kReplan;
      continue;
    }
    switch (kind) {
      case PayloadKind::kRows:
      case PayloadKind::kManifest: plain.push_back(i); break;
      case PayloadKind::kTransaction: transactions.push_back(i); break;
      case PayloadKind::kWithdrawal:
        answers_[i] = {Outcome::kCommitted, /*marked_before=*/false, {.version = draft.version}};
        marks.Raise(item.slot, item.seq);
        raised = true;
        break;
      default: break;  // kBad
    }
  }

  DS_ASSIGN_OR_RETURN(std::vector<AppendPart> parts, PartsOf(plain, draft));
  std::erase_if(plain, [&](size_t i) { return answers_[i].outcome != Outcome::kCommitted; });
  if (!parts.empty()) DS_RETURN_IF_ERROR(AddSnapshot(std::move(parts), plain, draft));
  for (const size_t i : transactions) {
    Result<WrittenManifest> written = DecodeWritten(items_[i].payload);
    if (!written.ok() || written->line.partition_spec_id != items_[i].label.spec_id) continue;
    answers_[i].outcome = Outcome::kCommitted;
    DS_RETURN_IF_ERROR(AddSnapshot({*std::move(written)}, {i}, draft));
  }
  if (marked && (draft.changed || raised)) {
    for (size_t i = 0; i < items_.size(); ++i) {
      if (items_[i].slot >= 0 && answers_[i].outcome == Outcome::kCommitted) marks.Raise(items_[i].slot, items_[i].seq);
    }
    has_marks_ = true;
    marks.Write(draft.metadata, ring_id_, ToMillis(draft.now));
    draft.metadata.last_updated_ms = draft.now_ms();
    draft.changed = true;
  }
  return {};
}

/// The parts of one snapshot, in the order of `plain`: rows that follow one another share a data file.
Result<std::vector<AppendPart>> AppendGroup::PartsOf(const Indexes& plain, const Draft& draft) {
  std::vector<AppendPart> parts;
  Indexes run;
  const auto end_run = [&]() -> Status {
    if (run.empty()) return {};
    DS_ASSIGN_OR_RETURN(std::optional<DataFile> file, FileOf(std::exchange(run, {}), draft));
    if (file) parts.emplace_back(std::vector<DataFile>{*std::move(file)});
    return {};
  };
  for (const size_t i : plain) {
    if (items_[i].label.kind == static_cast<int32_t>(PayloadKind::kRows)) {
      run.push_back(i);
      continue;
    }
    Result<WrittenManifest> written = DecodeWritten(items_[i].payload);
    if (!written.ok() || written->line.partition_spec_id != items_[i].label.spec_id) continue;
    DS_RETURN_IF_ERROR(end_run());
    parts.emplace_back(*std::move(written));
    answers_[i].outcome = Outcome::kCommitted;
  }
  DS_RETURN_IF_ERROR(end_run());
  return parts;
}

/// The data file with the rows of `run`, written once for the same run. Items that cannot be read stay kBad.
Result<std::optional<DataFile>> AppendGroup::FileOf(Indexes run, const Draft& draft) {
  const Schema& schema = draft.metadata.current_schema();
  const auto payloads = [&](const Indexes& of) {
    std::vector<ByteView> bytes;
    for (const size_t i : of) bytes.emplace_back(items_[i].payload);
    return bytes;
  };
  if (!written_.contains(run)) {
    Result<ArrowStream> rows = data::DecodeRows(payloads(run), schema);
    if (!rows.ok()) {
      std::erase_if(run, [&](size_t i) { return !data::DecodeRows(payloads({i}), schema).ok(); });
      if (run.empty()) return std::optional<DataFile>();
      rows = data::DecodeRows(payloads(run), schema);
      if (!rows.ok()) return std::move(rows).error();
    }
  }
  if (!written_.contains(run)) {
    DS_ASSIGN_OR_RETURN(ArrowStream rows, data::DecodeRows(payloads(run), schema));
    const std::string key = fmt::format("data/auto_{}.parquet", RandomHex(random_, 16));
    DS_ASSIGN_OR_RETURN(std::optional<DataFile> file,
                        data::WriteDataFile(std::move(rows), schema, group_, key,
                                            fmt::format("{}/{}", draft.root_uri, key)));
    if (!file) return std::optional<DataFile>();
    written_[run] = {.key = key, .file = *std::move(file)};
  }
  for (const size_t i : run) answers_[i].outcome = Outcome::kCommitted;
  WrittenFile& written = written_.at(run);
  written.used = true;
  return std::optional(written.file);
}

Status AppendGroup::AddSnapshot(std::vector<AppendPart> parts, const Indexes& members, Draft& draft) {
  const auto [ids, is_new] = ids_.try_emplace(members);
  if (is_new) ids->second = NewChangeIds(random_);
  AppendFiles append(std::move(parts), draft.metadata.current_schema(), ids->second);
  DS_RETURN_IF_ERROR(append.Apply(draft));
  const ring::Reply reply = ReplyFor(draft.version, *draft.metadata.snapshots.back());
  for (const size_t i : members) answers_[i].reply = reply;
  return {};
}

void AppendGroup::Drop(bool unused_only) {
  for (const auto& [run, file] : written_) {
    if (unused_only && file.used) continue;
    // A file that cannot be removed is litter that collection finds; it never becomes visible.
    const Status dropped = store_.Delete(file.key);
    static_cast<void>(dropped);
  }
  written_.clear();
}

void AppendGroup::DropUnused() { Drop(/*unused_only=*/true); }
void AppendGroup::DropAll() { Drop(/*unused_only=*/false); }

}  // namespace datashard::commit
