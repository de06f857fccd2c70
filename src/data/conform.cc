// ConformRows: columns by name, in the schema's order, each cast without loss.
#include <arrow/api.h>

#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "data/arrow_support.h"
#include "data/arrow_types.h"
#include "data/cast_column.h"
#include "data/data_file.h"
#include "data/row_source.h"

namespace datashard::data {
namespace {

constexpr int kMissing = -1;

// Where each field of the schema comes from: an index into the stream's columns, or kMissing.
Result<std::vector<int>> MatchColumns(const arrow::Schema& given, const Schema& schema) {
  std::map<std::string, int, std::less<>> by_name;
  std::vector<std::string> unknown;
  for (int i = 0; i < given.num_fields(); ++i) {
    const std::string& name = given.field(i)->name();
    if (schema.Find(name) == nullptr) unknown.push_back(name);
    if (!by_name.emplace(name, i).second)
      return InvalidArgument("column '{}' is given twice", name).About(ErrorSubject::kColumn);
  }
  if (!unknown.empty())
    return InvalidArgument("the schema has no column '{}'", fmt::join(unknown, "', '")).About(ErrorSubject::kColumn);
  std::vector<int> sources;
  std::vector<std::string> missing;
  for (const Field& field : schema.fields) {
    const auto found = by_name.find(field.name);
    sources.push_back(found == by_name.end() ? kMissing : found->second);
    if (found == by_name.end() && field.required) missing.push_back(field.name);
  }
  if (!missing.empty())
    return InvalidArgument("required column '{}' is missing", fmt::join(missing, "', '")).About(ErrorSubject::kColumn);
  return sources;
}

// Do the columns already stand as the schema wants them? Not where there are times: each value has to be looked at.
bool IsConform(const arrow::Schema& given, const Schema& schema) {
  for (const Field& field : schema.fields)
    if (field.type.kind() == TypeKind::kTime) return false;
  return HasFieldsOf(given, schema);
}

Error NullInRequired(const arrow::Field& field, const arrow::ArrayData& column, int64_t rows_before) {
  int64_t row = 0;
  while (column.IsValid(row)) ++row;
  return InvalidArgument("column '{}': row {}: a required column has no value", field.name(), rows_before + row)
      .About(ErrorSubject::kValue);
}

// Rows of the right types, which only get the table's schema: most small appends are such.
class RelabelledRows final : public RowSource {
 public:
  RelabelledRows(std::unique_ptr<RowSource> rows, std::shared_ptr<arrow::Schema> schema)
      : rows_(std::move(rows)), schema_(std::move(schema)) {}

  const std::shared_ptr<arrow::Schema>& schema() const override { return schema_; }

  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    DS_ASSIGN_OR_RETURN(const auto batch, rows_->Next());
    if (batch == nullptr) return std::shared_ptr<arrow::RecordBatch>();
    for (int i = 0; i < schema_->num_fields(); ++i) {
      const arrow::ArrayData& column = *batch->column_data(i);
      if (!schema_->field(i)->nullable() && column.GetNullCount() > 0)
        return NullInRequired(*schema_->field(i), column, rows_before_);
    }
    rows_before_ += batch->num_rows();
    return arrow::RecordBatch::Make(schema_, batch->num_rows(), batch->column_data());
  }

 private:
  std::unique_ptr<RowSource> rows_;
  std::shared_ptr<arrow::Schema> schema_;
  int64_t rows_before_ = 0;
};

class ConformedRows final : public RowSource {
 public:
  ConformedRows(std::unique_ptr<RowSource> rows, Schema schema, std::shared_ptr<arrow::Schema> arrow_schema,
                std::vector<int> sources)
      : rows_(std::move(rows)), schema_(std::move(schema)), arrow_schema_(std::move(arrow_schema)),
        sources_(std::move(sources)) {}

  const std::shared_ptr<arrow::Schema>& schema() const override { return arrow_schema_; }

  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    DS_ASSIGN_OR_RETURN(const auto batch, rows_->Next());
    if (batch == nullptr) return std::shared_ptr<arrow::RecordBatch>();
    arrow::ArrayVector columns;
    columns.reserve(sources_.size());
    for (size_t i = 0; i < sources_.size(); ++i) {
      auto column = Column(*batch, i);
      if (!column.ok()) return std::move(column).error();
      columns.push_back(*std::move(column));
    }
    rows_before_ += batch->num_rows();
    return arrow::RecordBatch::Make(arrow_schema_, batch->num_rows(), std::move(columns));
  }

 private:
  Result<std::shared_ptr<arrow::Array>> Column(const arrow::RecordBatch& batch, size_t index) const {
    const Field& field = schema_.fields[index];
    if (sources_[index] == kMissing)
      return Lift(arrow::MakeArrayOfNull(arrow_schema_->field(static_cast<int>(index))->type(), batch.num_rows()),
                  ErrorKind::kInternal);
    auto cast = CastColumn(batch.column(sources_[index]), field.type, rows_before_);
    if (!cast.ok()) return std::move(cast).error().In(fmt::format("column '{}'", field.name));
    const auto column = *std::move(cast);
    if (field.required && column->null_count() > 0)
      return NullInRequired(*arrow_schema_->field(static_cast<int>(index)), *column->data(), rows_before_);
    return column;
  }

  std::unique_ptr<RowSource> rows_;
  Schema schema_;
  std::shared_ptr<arrow::Schema> arrow_schema_;
  std::vector<int> sources_;
  int64_t rows_before_ = 0;
};

}  // namespace

Result<ArrowStream> ConformRows(ArrowStream rows, const Schema& schema) {
  DS_RETURN_IF_ERROR(StartCompute());
  return Guarded(ErrorKind::kInternal, [&]() -> Result<ArrowStream> {
    DS_ASSIGN_OR_RETURN(auto arrow_schema, ArrowSchemaOf(schema));
    DS_ASSIGN_OR_RETURN(auto source, ImportRows(std::move(rows)));
    if (IsConform(*source->schema(), schema))
      return ExportRows(std::make_unique<RelabelledRows>(std::move(source), std::move(arrow_schema)));
    DS_ASSIGN_OR_RETURN(auto sources, MatchColumns(*source->schema(), schema));
    for (size_t i = 0; i < sources.size(); ++i) {
      if (sources[i] == kMissing) continue;
      const Field& field = schema.fields[i];
      const Status castable = CheckCastable(source->schema()->field(sources[i])->type(), field.type);
      if (!castable.ok()) return Error(castable.error()).In(fmt::format("column '{}'", field.name));
    }
    return ExportRows(
        std::make_unique<ConformedRows>(std::move(source), schema, std::move(arrow_schema), std::move(sources)));
  });
}

}  // namespace datashard::data
