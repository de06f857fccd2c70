#include "commit/append_group.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/error.h"
#include "commit/manifest_tiers.h"
#include "data/data_file.h"
#include "data/row_batch.h"
#include "iceberg/manifest.h"

namespace datashard::commit {
namespace {

constexpr std::string_view kObject = "a manifest handed over by another process";

bool IsFor(const iceberg::TableMetadata& metadata, int32_t schema_id, int32_t spec_id) {
  return schema_id == metadata.current_schema_id && spec_id == metadata.default_spec_id && !IsSchemaless(metadata);
}

void RaiseFor(const PendingPart& part, int64_t sequence_number, Marks& marks) {
  for (const auto& [slot, seq] : part.members) marks.Raise(slot, seq, sequence_number);
}

/// What is told to the owner of an append that is in the base already.
ring::Reply ReplyOfMark(const Draft& draft, const Marks& marks, const ring::Submission& item) {
  const int64_t base = draft.version - 1;
  const int64_t sequence_number = marks.Of(item.slot) == item.seq ? marks.SequenceOf(item.slot) : 0;
  const auto& snapshots = draft.metadata.snapshots;
  const auto found = std::find_if(snapshots.rbegin(), snapshots.rend(), [&](const auto& snapshot) {
    return snapshot->sequence_number == sequence_number;
  });
  return found == snapshots.rend() ? ring::Reply{.version = base} : ReplyFor(base, **found);
}

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

Status AppendGroup::ReadOwnMarks(const iceberg::TableMetadata& metadata, Rings& rings) {
  has_marks_ = false;
  const bool marked = std::ranges::any_of(items_, [](const auto& item) { return item.slot >= 0; });
  if (!marked) return {};
  DS_ASSIGN_OR_RETURN(std::optional<Marks> known, Marks::Read(metadata, ring_id_));
  if (!known && registered_) {
    return Error(ErrorKind::kFenced,
                 fmt::format("{}: its metadata no longer knows the ring {} of this host; whether appends that were waiting "
                             "in it are in the table is unknown", metadata.location, ring_id_));
  }
  has_marks_ = known.has_value();
  rings[ring_id_].marks = std::move(known).value_or(Marks());
  return {};
}

/// Answers what needs no rows written, and says what does.
AppendGroup::Sorted AppendGroup::Sort(const Draft& draft, Rings& rings) {
  Sorted sorted;
  for (size_t i = 0; i < items_.size(); ++i) {
    const ring::Submission& item = items_[i];
    if (item.slot >= 0 && item.seq <= rings[ring_id_].marks.Of(item.slot)) {
      answers_[i] = {Outcome::kCommitted, /*marked_before=*/true, ReplyOfMark(draft, rings[ring_id_].marks, item)};
      // Whoever published it may not have made its name durable yet; a version on top of it does.
      if (!store_.durable_when_visible()) rings[ring_id_].raised = true;
      continue;
    }
    const auto kind = static_cast<PayloadKind>(item.label.kind);
    if (kind != PayloadKind::kWithdrawal && !IsFor(draft.metadata, item.label.schema_id, item.label.spec_id)) {
      answers_[i].outcome = Outcome::kReplan;
      continue;
    }
    switch (kind) {
      case PayloadKind::kRows:
      case PayloadKind::kManifest: sorted.plain.push_back(i); break;
      case PayloadKind::kTransaction: sorted.transactions.push_back(i); break;
      case PayloadKind::kWithdrawal:
        answers_[i] = {Outcome::kCommitted, /*marked_before=*/false, {.version = draft.version}};
        RaiseOwn({i}, rings);
        break;
      default: break;  // kBad
    }
  }
  return sorted;
}

void AppendGroup::RaiseOwn(const Indexes& members, Rings& rings) const {
  for (const size_t i : members) {
    if (items_[i].slot < 0) continue;
    rings[ring_id_].marks.Raise(items_[i].slot, items_[i].seq);
    rings[ring_id_].raised = true;
  }
}

Status AppendGroup::Apply(Draft& draft) {
  answers_.assign(items_.size(), {});
  settled_.clear();
  for (auto& [run, file] : written_) file.used = false;
  Rings rings;
  DS_RETURN_IF_ERROR(ReadOwnMarks(draft.metadata, rings));
  Sorted sorted = Sort(draft, rings);
  std::vector<Part> parts = TakeSealed(sorted.plain);
  DS_ASSIGN_OR_RETURN(std::vector<Part> unsealed, PartsOf(sorted.plain, draft));
  std::ranges::move(unsealed, std::back_inserter(parts));

  ReadMarksOfOthers(draft.metadata, rings);
  if (!parts.empty()) DS_RETURN_IF_ERROR(AddPlain(std::move(parts), rings, draft));
  DS_RETURN_IF_ERROR(AddTransactions(sorted.transactions, rings, draft));
  // When it was handed over it was not in the base; where it is now, that base was read from storage since, not from the ring.
  draft.settled = handed_over_ != nullptr && std::ranges::all_of(answers_, [](const Answer& answer) {
    return answer.outcome == Outcome::kCommitted;
  });
  NoteSettled(rings);
  const bool raised = std::ranges::any_of(rings, [](const auto& ring) { return ring.second.raised; });
  if (!raised) return {};
  const int64_t now_ms = NextMarksTime(draft.metadata, ToMillis(draft.now));
  ForgetSilentRings(draft.metadata, now_ms);
  for (const auto& [ring_id, ring] : rings) {
    if (ring.raised) ring.marks.Write(draft.metadata, ring_id, now_ms);
  }
  has_marks_ = has_marks_ || rings.contains(ring_id_);
  draft.metadata.last_updated_ms = draft.now_ms();
  draft.changed = true;
  return {};
}

/// The parts of one snapshot, in the order of `plain`: rows that follow one another share a data file.
Result<std::vector<AppendGroup::Part>> AppendGroup::PartsOf(const Indexes& plain, const Draft& draft) {
  std::vector<Part> parts;
  Indexes run;
  const auto end_run = [&]() -> Status {
    if (run.empty()) return {};
    DS_ASSIGN_OR_RETURN(std::optional<DataFile> file, FileOf(run, draft));
    std::erase_if(run, [&](size_t i) { return answers_[i].outcome != Outcome::kCommitted; });
    if (file) parts.push_back({std::vector<DataFile>{*std::move(file)}, std::exchange(run, {})});
    run.clear();
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
    parts.push_back({*std::move(written), {i}});
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

/// One snapshot of this group's plain appends and those of other hosts.
Status AppendGroup::AddPlain(std::vector<Part> parts, Rings& rings, Draft& draft) {
  std::vector<AppendPart> contents;
  Indexes members;
  for (Part& part : parts) {
    contents.push_back(std::move(part.content));
    members.insert(members.end(), part.members.begin(), part.members.end());
  }
  RaiseOwn(members, rings);
  const int64_t sequence_number = draft.metadata.last_sequence_number + 1;
  for (const PendingPtr& group : others_) {
    for (const PendingPart& part : group->parts) {
      if (part.transaction || !IsWanted(*group, part, rings, draft)) continue;
      contents.emplace_back(part.manifest);
      RaiseFor(part, sequence_number, rings.at(group->ring_id).marks);
      rings.at(group->ring_id).raised = true;
    }
  }
  return AddSnapshot(std::move(contents), fmt::format("{}", fmt::join(members, ",")), members, draft);
}

/// A snapshot for each, then for each of other hosts.
Status AppendGroup::AddTransactions(const Indexes& transactions, Rings& rings, Draft& draft) {
  for (const size_t i : transactions) {
    Result<WrittenManifest> written = DecodeWritten(items_[i].payload);
    if (!written.ok() || written->line.partition_spec_id != items_[i].label.spec_id) continue;
    answers_[i].outcome = Outcome::kCommitted;
    RaiseOwn({i}, rings);
    DS_RETURN_IF_ERROR(AddSnapshot({*std::move(written)}, std::to_string(i), {i}, draft));
  }
  if (!draft.changed) return {};  // nothing of our own to add
  for (const PendingPtr& group : others_) {
    for (size_t i = 0; i < group->parts.size(); ++i) {
      const PendingPart& part = group->parts[i];
      if (!part.transaction || !IsWanted(*group, part, rings, draft)) continue;
      RaiseFor(part, draft.metadata.last_sequence_number + 1, rings.at(group->ring_id).marks);
      rings.at(group->ring_id).raised = true;
      DS_RETURN_IF_ERROR(AddSnapshot({part.manifest}, fmt::format("{}/{}", group->id, i), {}, draft));
    }
  }
  return {};
}

Status AppendGroup::AddSnapshot(std::vector<AppendPart> parts, const std::string& name, const Indexes& members, Draft& draft) {
  const auto [ids, is_new] = ids_.try_emplace(name);
  if (is_new) ids->second = NewChangeIds(random_);
  AppendFiles append(std::move(parts), draft.metadata.current_schema(), ids->second);
  DS_RETURN_IF_ERROR(append.Apply(draft));
  const ring::Reply reply = ReplyFor(draft.version, *draft.metadata.snapshots.back());
  for (const size_t i : members) answers_[i].reply = reply;
  return {};
}

Result<PendingPtr> AppendGroup::HandOver(const catalog::Version& base, Instant now) {
  DS_CHECK(handed_over_ == nullptr);
  ids_.clear();  // another commit begins, whose files have names of their own
  const Draft draft{.version = base.number + 1, .root_uri = store_.root_uri(), .metadata = base.metadata};
  const iceberg::PartitionSpec* const spec = base.metadata.FindSpec(base.metadata.default_spec_id);
  Rings rings;
  answers_.assign(items_.size(), {});
  DS_RETURN_IF_ERROR(ReadOwnMarks(base.metadata, rings));
  if (spec == nullptr) return PendingPtr();
  Sorted sorted = Sort(draft, rings);
  const auto unseen = [&](size_t i) { return items_[i].slot < 0; };
  std::erase_if(sorted.plain, unseen);
  std::erase_if(sorted.transactions, unseen);

  PendingGroup group{.id = NewPendingId(now, random_), .table_uuid = base.metadata.table_uuid, .ring_id = ring_id_};
  const auto add = [&](const WrittenManifest& manifest, const Indexes& members, bool transaction) {
    PendingPart part{.transaction = transaction, .schema_id = base.metadata.current_schema_id, .spec_id = spec->spec_id,
                     .manifest = manifest};
    for (const size_t i : members) part.members.emplace_back(items_[i].slot, items_[i].seq);
    group.parts.push_back(std::move(part));
  };
  DS_ASSIGN_OR_RETURN(std::vector<Part> parts, PartsOf(sorted.plain, draft));
  for (Part& part : parts) {
    if (const auto* files = std::get_if<std::vector<DataFile>>(&part.content)) {
      DS_ASSIGN_OR_RETURN(MadeManifest made,
                          MakeManifest(*files, base.metadata.current_schema(), *spec, draft.root_uri,
                                       fmt::format("{}/{}-m0.avro", ManifestDirectory(draft.version), RandomUuid(random_)),
                                       std::nullopt));
      DS_RETURN_IF_ERROR(group_.Put(made.file.key, made.file.body));
      part.content = std::move(made.written);
    }
    sealed_.push_back({std::get<WrittenManifest>(part.content), part.members});
    add(sealed_.back().manifest, part.members, /*transaction=*/false);
  }
  for (const size_t i : sorted.transactions) {
    const Result<WrittenManifest> written = DecodeWritten(items_[i].payload);
    if (written.ok()) add(*written, {i}, /*transaction=*/true);
  }
  if (group.parts.empty()) return PendingPtr();
  for (auto& [run, file] : written_) file.handed_over = true;
  handed_over_ = std::make_shared<const PendingGroup>(std::move(group));
  return handed_over_;
}

/// The parts that were handed over and are still whole; their members leave `plain`. One of which a member is marked
/// without the others (it was withdrawn) is never used again, by nobody.
std::vector<AppendGroup::Part> AppendGroup::TakeSealed(Indexes& plain) {
  std::vector<Part> parts;
  for (const Sealed& sealed : sealed_) {
    const bool whole = std::ranges::all_of(sealed.members, [&](size_t i) { return std::ranges::count(plain, i) > 0; });
    if (!whole) continue;
    parts.push_back({sealed.manifest, sealed.members});
    for (const size_t i : sealed.members) {
      answers_[i].outcome = Outcome::kCommitted;
      std::erase(plain, i);
    }
  }
  return parts;
}

void AppendGroup::ReadMarksOfOthers(const iceberg::TableMetadata& metadata, Rings& rings) const {
  for (const PendingPtr& group : others_) {
    if (rings.contains(group->ring_id)) continue;
    Result<std::optional<Marks>> known = Marks::Read(metadata, group->ring_id);
    if (known.ok()) rings[group->ring_id].marks = (*std::move(known)).value_or(Marks());
  }
}

/// With some of its members marked a part is in the table, or must never be.
bool AppendGroup::IsWanted(const PendingGroup& group, const PendingPart& part, const Rings& rings, const Draft& draft) const {
  const auto ring = rings.find(group.ring_id);
  if (ring == rings.end() || (handed_over_ != nullptr && group.id == handed_over_->id)) return false;
  if (!IsFor(draft.metadata, part.schema_id, part.spec_id)) return false;
  if (!part.manifest.line.manifest_path.starts_with(draft.root_uri + "/")) return false;
  return std::ranges::all_of(part.members, [&](const auto& member) {
    return member.second > ring->second.marks.Of(member.first);
  });
}

void AppendGroup::NoteSettled(const Rings& rings) {
  std::ranges::copy_if(others_, std::back_inserter(settled_), [&](const PendingPtr& group) {
    const auto ring = rings.find(group->ring_id);
    return ring != rings.end() && IsSettled(*group, ring->second.marks);
  });
}

void AppendGroup::Drop(bool unused_only) {
  for (const auto& [run, file] : written_) {
    if (file.handed_over || (unused_only && file.used)) continue;
    // A file that cannot be removed is litter that collection finds; it never becomes visible.
    const Status dropped = store_.Delete(file.key);
    static_cast<void>(dropped);
  }
  written_.clear();
}

void AppendGroup::DropUnused() { Drop(/*unused_only=*/true); }
void AppendGroup::DropAll() { Drop(/*unused_only=*/false); }

}  // namespace datashard::commit
