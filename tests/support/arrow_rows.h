// Rows for tests of tables: a column `id` (long, not null) and a column `text` (string, "row <id>"), and back.
#pragma once

#include <arrow/api.h>
#include <arrow/c/bridge.h>

#include <memory>
#include <string>
#include <vector>

#include "datashard/arrow_c.h"
#include "datashard/result.h"
#include "datashard/schema.h"

namespace datashard {

inline Schema IdAndText() {
  return {.schema_id = 1,
          .fields = {{.id = 1, .name = "id", .type = Type(TypeKind::kLong), .required = true},
                     {.id = 2, .name = "text", .type = Type(TypeKind::kString)}}};
}

inline ArrowStream RowsWithIds(const std::vector<int64_t>& ids) {
  arrow::Int64Builder id_builder;
  arrow::StringBuilder text_builder;
  for (int64_t id : ids) {
    if (!id_builder.Append(id).ok() || !text_builder.Append("row " + std::to_string(id)).ok()) std::abort();
  }
  auto schema = arrow::schema({arrow::field("id", arrow::int64(), false), arrow::field("text", arrow::utf8())});
  auto batch = arrow::RecordBatch::Make(schema, static_cast<int64_t>(ids.size()),
                                        {*id_builder.Finish(), *text_builder.Finish()});
  auto reader = *arrow::RecordBatchReader::Make({batch}, schema);
  ArrowStream stream;
  if (!arrow::ExportRecordBatchReader(reader, stream.get()).ok()) std::abort();
  return stream;
}

/// The `id` column of a stream, in order; the stream's error where it fails.
inline Result<std::vector<int64_t>> IdsOf(ArrowStream stream) {
  auto reader = arrow::ImportRecordBatchReader(stream.get());
  if (!reader.ok()) return Error(ErrorKind::kInternal, reader.status().ToString());
  auto table = (*reader)->ToTable();
  if (!table.ok()) return Error(ErrorKind::kCorruption, table.status().ToString());
  std::vector<int64_t> ids;
  const auto column = (*table)->GetColumnByName("id");
  for (const auto& chunk : column->chunks()) {
    const auto& values = static_cast<const arrow::Int64Array&>(*chunk);
    for (int64_t i = 0; i < values.length(); ++i) ids.push_back(values.Value(i));
  }
  return ids;
}

}  // namespace datashard
