// What the tests of this room share: rows from JSON, a store in memory, files written and read back.
#pragma once

#include <arrow/api.h>
#include <arrow/json/from_string.h>

#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "data/arrow_support.h"
#include "data/arrow_types.h"
#include "data/data_file.h"
#include "data/row_source.h"
#include "iceberg/value.h"
#include "storage/object_store.h"
#include "support/matchers.h"

namespace datashard::data {

using TablePtr = std::shared_ptr<arrow::Table>;
using BatchPtr = std::shared_ptr<arrow::RecordBatch>;

inline std::shared_ptr<arrow::Array> Values(std::shared_ptr<arrow::DataType> type, const std::string& json) {
  return arrow::json::ArrayFromJSONString(std::move(type), json).ValueOrDie();
}

/// A batch of columns {name, array}.
inline BatchPtr Batch(std::vector<std::pair<std::string, std::shared_ptr<arrow::Array>>> columns) {
  arrow::FieldVector fields;
  arrow::ArrayVector arrays;
  for (auto& [name, array] : columns) {
    fields.push_back(arrow::field(name, array->type()));
    arrays.push_back(array);
  }
  const int64_t rows = arrays.empty() ? 0 : arrays[0]->length();
  return arrow::RecordBatch::Make(arrow::schema(fields), rows, arrays);
}

class BatchRows final : public RowSource {
 public:
  BatchRows(std::shared_ptr<arrow::Schema> schema, std::vector<BatchPtr> batches)
      : schema_(std::move(schema)), batches_(std::move(batches)) {}
  const std::shared_ptr<arrow::Schema>& schema() const override { return schema_; }
  Result<BatchPtr> Next() override { return next_ == batches_.size() ? BatchPtr() : batches_[next_++]; }

 private:
  std::shared_ptr<arrow::Schema> schema_;
  std::vector<BatchPtr> batches_;
  size_t next_ = 0;
};

inline ArrowStream StreamOf(std::vector<BatchPtr> batches) {
  auto schema = batches.at(0)->schema();
  return ExportRows(std::make_unique<BatchRows>(std::move(schema), std::move(batches)));
}

/// Everything a stream gives.
inline Result<TablePtr> ReadAll(ArrowStream stream) {
  DS_ASSIGN_OR_RETURN(const auto source, ImportRows(std::move(stream)));
  std::vector<BatchPtr> batches;
  for (;;) {
    DS_ASSIGN_OR_RETURN(auto batch, source->Next());
    if (batch == nullptr) break;
    DS_RETURN_IF_ERROR(Lift(batch->ValidateFull(), ErrorKind::kInternal));
    batches.push_back(std::move(batch));
  }
  return Lift(arrow::Table::FromRecordBatches(source->schema(), batches), ErrorKind::kInternal);
}

inline bool SameRows(const arrow::Table& a, const arrow::Table& b) {
  return a.Equals(b, arrow::EqualOptions::Defaults().nans_equal(true));
}

/// Fields with ids 1, 2, … in order; a name ending in '!' makes a required one.
inline Schema SchemaOf(const std::vector<std::pair<std::string, std::string>>& columns) {
  Schema schema;
  for (const auto& [name, type] : columns) {
    Field field{.id = static_cast<int32_t>(schema.fields.size()) + 1, .name = name, .type = *Type::Parse(type)};
    if (name.ends_with('!')) {
      field.name.pop_back();
      field.required = true;
    }
    schema.fields.push_back(std::move(field));
  }
  return schema;
}

inline std::shared_ptr<ObjectStore> TestStore() { return OpenMemoryStore("data_test", SystemClock()); }

/// `batches`, conformed to `schema`, as the object `key`.
inline Result<DataFile> WriteFile(ObjectStore& store, const std::string& key, const Schema& schema,
                                  std::vector<BatchPtr> batches, const WriteSettings& settings = {}) {
  DS_ASSIGN_OR_RETURN(auto rows, ConformRows(StreamOf(std::move(batches)), schema));
  const auto group = store.NewWriteGroup();
  DS_ASSIGN_OR_RETURN(auto file, WriteDataFile(std::move(rows), schema, *group, key, "memory://t/" + key, settings));
  DS_RETURN_IF_ERROR(group->Sync());
  if (!file.has_value()) return NotFound("no rows, no file");
  return *std::move(file);
}

/// A plan for all columns of `schema` over `files`, named by their keys.
inline ReadPlan PlanOf(const Schema& schema, const std::vector<std::pair<std::string, DataFile>>& files) {
  ReadPlan plan{.schema = schema};
  for (const Field& field : schema.fields) plan.column_ids.push_back(field.id);
  for (const auto& [key, file] : files) plan.files.push_back({.key = key, .file = file});
  return plan;
}

inline Result<TablePtr> Scan(const std::shared_ptr<ObjectStore>& store, ReadPlan plan) {
  DS_ASSIGN_OR_RETURN(plan.filter, BindFilter(plan.filter, plan.schema));
  DS_ASSIGN_OR_RETURN(auto rows, ReadDataFiles(store, std::move(plan)));
  return ReadAll(std::move(rows));
}

}  // namespace datashard::data
