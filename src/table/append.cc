// Appends: rows become a payload for the group commit, or files of their own where they are too many for that.
#include "base/check.h"
#include "base/error.h"
#include "base/uri.h"
#include "commit/append_files.h"
#include "commit/lease.h"
#include "commit/manifest_tiers.h"
#include "data/data_file.h"
#include "data/row_batch.h"
#include "ring/ring_place.h"
#include "table/schema_for_rows.h"
#include "table/table_impl.h"

namespace datashard {
namespace {

// In a bucket, rows of up to so many bytes stay in memory until their commit sends all its files at once. Larger ones are sent
// as they come, under a lease.
constexpr int64_t kHeldBytesMax = 16 << 20;

constexpr std::string_view kGroupCommitProperty = "datashard.group-commit";

CommittedSnapshot FromReply(const ring::Reply& reply) {
  return {.version = reply.version,
          .snapshot_id = reply.snapshot_id,
          .sequence_number = reply.sequence_number,
          .timestamp_ms = reply.timestamp_ms};
}

ring::Label LabelFor(commit::PayloadKind kind, const iceberg::TableMetadata& metadata, int64_t rows) {
  return {.kind = static_cast<int32_t>(kind),
          .schema_id = metadata.current_schema_id,
          .spec_id = metadata.default_spec_id,
          .rows = static_cast<int32_t>(rows)};
}

}  // namespace

commit::GroupCommitter& TableImpl::group_committer(const catalog::VersionPtr& known) {
  const auto group = group_.Lock();
  if (*group == nullptr) {
    const Result<bool> across_hosts = commit::MayMeetOtherHosts(known->metadata);  // each append tells what is wrong with it
    *group = std::make_unique<commit::GroupCommitter>(store, committer, outside, RingOpener(known->metadata),
                                                      across_hosts.ok() && *across_hosts);
  }
  return **group;
}

/// None where each append is to publish for itself. Only a real store has a ring, not a simulated one.
commit::OpenRing TableImpl::RingOpener(const iceberg::TableMetadata& metadata) const {
  const auto wish = metadata.properties.find(std::string(kGroupCommitProperty));
  const bool wanted = wish == metadata.properties.end() || wish->second != "off";
  if (!wanted || surroundings_ == nullptr) return {};
  return [store = store, table_uuid = metadata.table_uuid, identity = place_identity]() -> Result<std::unique_ptr<ring::Ring>> {
    if (store->is_remote()) return ring::Ring::Open(ring::PlaceOfBucket(table_uuid, identity));
    DS_ASSIGN_OR_RETURN(const std::string root, PathOfUri(store->root_uri()));
    DS_ASSIGN_OR_RETURN(const ring::RingPlace place, ring::PlaceOf(table_uuid, root + "/metadata"));
    return ring::Ring::Open(place);
  };
}

void TableImpl::MergeLater() {
  if (merges_ == nullptr) return;
  const catalog::VersionPtr newest = Known();
  const Snapshot* const current = newest == nullptr ? nullptr : newest->metadata.current_snapshot();
  if (current != nullptr) merges_->AfterCommit(*current);
}

Result<catalog::VersionPtr> TableImpl::KnownWithSchema() {
  if (catalog::VersionPtr known = Known(); known != nullptr && !commit::IsSchemaless(known->metadata)) return known;
  return Current();
}

Result<std::optional<CommittedSnapshot>> TableImpl::Append(ArrowStream rows, const std::optional<Schema>& given,
                                                           const Interrupted& interrupted) {
  const InterruptScope scope(interrupted, kCommitGrace);
  DS_ASSIGN_OR_RETURN(catalog::VersionPtr base, KnownWithSchema());
  Result<Schema> chosen = SchemaForRows(base->metadata, std::nullopt, given, rows);
  if (!chosen.ok()) {  // what was known of the table may be old
    DS_ASSIGN_OR_RETURN(base, Current());
    chosen = SchemaForRows(base->metadata, std::nullopt, given, rows);
  }
  if (!chosen.ok()) return std::move(chosen).error();
  Schema schema = *std::move(chosen);
  DS_ASSIGN_OR_RETURN(const commit::Until until, commit::UntilOf(base->metadata, outside.clock, interrupted));
  const int64_t held_bytes_max = store->is_remote() ? kHeldBytesMax : ring::kLargePayloadBytes;

  for (;;) {
    DS_ASSIGN_OR_RETURN(ArrowStream conformed, data::ConformRows(std::move(rows), schema));
    const bool adopts = commit::IsSchemaless(base->metadata);
    DS_ASSIGN_OR_RETURN(data::EncodedRows encoded,
                        data::EncodeRows(std::move(conformed), schema, adopts ? 0 : held_bytes_max));
    if (encoded.too_large) return AppendAsFile(*std::move(encoded.too_large), std::move(schema), base, until);
    if (encoded.row_count == 0) return std::optional<CommittedSnapshot>();
    const ring::Label label = LabelFor(commit::PayloadKind::kRows, base->metadata, encoded.row_count);
    const ByteView bytes = encoded.bytes;
    std::optional<commit::Appended> appended;
    if (static_cast<int64_t>(bytes.size()) <= ring::kLargePayloadBytes) {
      DS_ASSIGN_OR_RETURN(appended, group_committer(base).Append(label, encoded.bytes, base, until));
    } else {
      DS_ASSIGN_OR_RETURN(appended, group_committer(base).TryAppend(label, encoded.bytes, base, until));
    }
    if (appended && !appended->replan) {
      MergeLater();
      return std::optional(FromReply(appended->reply));
    }
    DS_ASSIGN_OR_RETURN(rows, data::DecodeRows(std::span(&bytes, 1), schema));
    if (!appended) return AppendAsFile(std::move(rows), std::move(schema), base, until);
    if (interrupted) DS_RETURN_IF_ERROR(interrupted());
    DS_ASSIGN_OR_RETURN(base, Current());
    schema = base->metadata.current_schema();
  }
}

Result<std::optional<CommittedSnapshot>> TableImpl::AppendAsFile(ArrowStream conformed, Schema schema,
                                                                 const catalog::VersionPtr& base,
                                                                 const commit::Until& until) {
  DS_ASSIGN_OR_RETURN(const std::unique_ptr<commit::Lease> lease, commit::Lease::Take(*store, outside.random));
  Result<std::optional<CommittedSnapshot>> appended =
      AppendUnderLease(std::move(conformed), std::move(schema), base, *lease, until);
  if (appended.ok() || appended.kind() != ErrorKind::kCommitUnknown) lease->Release();
  return appended;
}

Result<std::optional<CommittedSnapshot>> TableImpl::AppendUnderLease(ArrowStream conformed, Schema schema,
                                                                     const catalog::VersionPtr& base, commit::Lease& lease,
                                                                     const commit::Until& until) {
  const std::unique_ptr<WriteGroup> group = store->NewWriteGroup();
  const std::string key = fmt::format("data/auto_{}.parquet", RandomHex(outside.random, 16));
  DS_ASSIGN_OR_RETURN(std::optional<DataFile> file,
                      data::WriteDataFile(std::move(conformed), schema, *group, key,
                                          fmt::format("{}/{}", store->root_uri(), key)));
  if (!file) return std::optional<CommittedSnapshot>();
  if (Status held = lease.Hold(); !held.ok()) {
    DropUnnamed(key);
    return std::move(held).error();
  }
  Result<CommittedSnapshot> committed = CommitFiles({.files = {*std::move(file)}, .schema = std::move(schema), .base = base},
                                                    *group, commit::PayloadKind::kManifest, until);
  if (!committed.ok()) {
    // An open outcome keeps every file; in all other cases nothing names it and nothing ever will.
    if (committed.kind() != ErrorKind::kCommitUnknown) DropUnnamed(key);
    return std::move(committed).error();
  }
  return std::optional(*committed);
}

void TableImpl::DropUnnamed(const std::string& key) {
  const Status deleted = store->Delete(key);
  if (deleted.ok()) return;
  outside.log.Write(LogLevel::kWarning,
                    fmt::format("a file that nothing names stays behind: {}", deleted.error().ToString()));
}

Result<CommittedSnapshot> TableImpl::CommitFiles(StagedFiles staged, WriteGroup& group, commit::PayloadKind kind,
                                                 const commit::Until& until) {
  const iceberg::TableMetadata& metadata = staged.base->metadata;
  commit::GroupCommitter& committer_of_groups = group_committer(staged.base);
  DS_ASSIGN_OR_RETURN(const commit::CommitSettings settings, commit::SettingsOf(metadata));
  if (settings.leave_to_os) group.LeaveToOs();
  // Large files reach the disk before the lead is taken, so that nobody waits for them.
  if (committer_of_groups.has_ring()) DS_RETURN_IF_ERROR(group.Sync());
  commit::AppendFiles change({staged.files}, staged.schema, commit::NewChangeIds(outside.random));
  // A first schema is adopted in the same version, which only the owner's own commit can do.
  DS_ASSIGN_OR_RETURN(const std::optional<commit::Committed> alone,
                      committer_of_groups.TryCommit(change, staged.base, group, until,
                                                    /*beside_the_leader=*/commit::IsSchemaless(metadata)));
  if (alone) {
    Remember(alone->version);
    MergeLater();
    return FromReply(commit::ReplyFor(alone->version->number, *alone->version->metadata.snapshots.back()));
  }
  const iceberg::PartitionSpec* const spec = metadata.FindSpec(metadata.default_spec_id);
  DS_CHECK(spec != nullptr);
  DS_ASSIGN_OR_RETURN(commit::MadeManifest made,
                      commit::MakeManifest(staged.files, staged.schema, *spec, store->root_uri(),
                                           fmt::format("{}/{}-m0.avro", commit::ManifestDirectory(staged.base->number),
                                                       RandomUuid(outside.random)),
                                           std::nullopt));
  DS_ASSIGN_OR_RETURN(const Bytes payload, commit::EncodeWritten(made.written));
  DS_RETURN_IF_ERROR(group.Put(made.file.key, made.file.body));
  Status synced = group.Sync();
  Result<commit::Appended> appended =
      !synced.ok() ? Result<commit::Appended>(std::move(synced).error())
                   : committer_of_groups.Append(LabelFor(kind, metadata, made.written.line.added_rows_count), payload,
                                                staged.base, until);
  if (appended.ok() && !appended->replan) {
    MergeLater();
    return FromReply(appended->reply);
  }
  if (appended.ok() || appended.kind() != ErrorKind::kCommitUnknown) DropUnnamed(made.file.key);
  if (!appended.ok()) return std::move(appended).error();
  DS_ASSIGN_OR_RETURN(const catalog::VersionPtr now, Current());
  return commit::SchemaChanged(now->metadata);
}

}  // namespace datashard
