// Manifests and manifest lists as Avro files of format v2, both ways. No I/O here.
// Source: Iceberg spec, "Manifests", "Manifest Lists", appendix A (Avro); Avro 1.11 spec, "Object Container Files".
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "datashard/manifest.h"
#include "datashard/result.h"
#include "datashard/schema.h"
#include "iceberg/avro_codec.h"
#include "iceberg/metadata.h"

namespace datashard::iceberg {

/// What a manifest's header says about all its entries.
struct ManifestHeader {
  Schema schema;
  PartitionSpec partition_spec;
  ManifestContent content = ManifestContent::kData;
};

/// Avro field ids, logical types and header keys as the engines of docs/formats/manifest.md demand them.
Result<Bytes> EncodeManifest(const ManifestHeader& header, std::span<const ManifestEntry> entries,
                             AvroCodec codec = AvroCodec::kDeflate);

struct DecodedManifest {
  ManifestHeader header;
  std::vector<ManifestEntry> entries;  // all, deleted ones too
};
/// Reads by the writer's schema, by field id, ignoring fields it does not know. `object` names the file in errors.
/// The schema of `header` is the manifest's own where it has one, else `table_schema`; likewise the spec. A file cut between
/// two Avro blocks is noticed where it is ours (a count in its header); for others compare with the manifest list's counts.
/// Errors: kCorruption (kMetadata): truncated, bad sync marker, declared sizes beyond the bytes, counts beyond the bounds.
Result<DecodedManifest> DecodeManifest(ByteView avro, const Schema& table_schema, const PartitionSpec& table_spec,
                                       std::string_view object);

struct ManifestListHeader {
  int64_t snapshot_id = 0;
  std::optional<int64_t> parent_snapshot_id;
  int64_t sequence_number = 0;
};
Result<Bytes> EncodeManifestList(const ManifestListHeader& header, std::span<const ManifestFile> manifests,
                                 AvroCodec codec = AvroCodec::kDeflate);
Result<std::vector<ManifestFile>> DecodeManifestList(ByteView avro, std::string_view object);

/// The line of the manifest list for a manifest of new entries: counts, rows and partition summaries of `entries`.
/// Path, length, ids and sequence numbers are the caller's to fill in.
Result<ManifestFile> Summarize(const ManifestHeader& header, std::span<const ManifestEntry> entries);

/// Fills what added entries inherit (snapshot id and sequence numbers) from their manifest's line.
/// Errors: kCorruption where an existing or deleted entry lacks them.
Status Inherit(const ManifestFile& manifest, std::vector<ManifestEntry>& entries);

}  // namespace datashard::iceberg
