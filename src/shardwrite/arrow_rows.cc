#include "shardwrite/arrow_rows.h"

#include <algorithm>
#include <cerrno>
#include <optional>

#include "base/error.h"
#include "base/interrupt.h"
#include "shardwrite/arrow_columns.h"
#include "shardwrite/json_rows.h"

namespace datashard::shardwrite {
namespace {

using Kind = ArrowColumn::Kind;
using RuleColumns = std::vector<std::pair<std::string, CelType>>;

Error StreamError(ArrowStream& rows, int code, std::string_view what) {
  const char* message = rows->get_last_error == nullptr ? nullptr : rows->get_last_error(rows.get());
  const ErrorKind kind = code == EINVAL || code == ENOSYS ? ErrorKind::kInvalidArgument : ErrorKind::kUnavailable;
  return Error(kind, fmt::format("the stream of rows failed ({}): {}", what, message == nullptr ? "no message" : message));
}

Result<ArrowColumn> Wanted(const ArrowBatch& batch, const std::string& name) {
  DS_ASSIGN_OR_RETURN(std::optional<ArrowColumn> column, batch.Column(name));
  if (column) return std::move(*column);
  return InvalidArgument("the rows have no column {}; they have {}", name, fmt::join(batch.column_names(), ", "));
}

// The values of one batch, whichever way they are made.
class Values {
 public:
  static Result<Values> Make(const ArrowBatch& batch, const ArrowKeyValue& columns) {
    Values values;
    if (columns.json_cols) {
      DS_ASSIGN_OR_RETURN(values.json_, JsonRows::Make(batch, columns.json_cols->empty() ? batch.column_names() : *columns.json_cols));
      return values;
    }
    DS_ASSIGN_OR_RETURN(values.column_, Wanted(batch, *columns.value_col));
    const Kind kind = values.column_->kind();
    if (batch.row_count() > 0 && kind != Kind::kText && kind != Kind::kBytes && kind != Kind::kNull) {
      return InvalidArgument("column {}: values are binary or utf8; cast it, or write columns as JSON", *columns.value_col);
    }
    return values;
  }
  /// Valid until the next call.
  Result<std::string_view> At(int64_t row) {
    if (column_) return column_->IsNull(row) ? std::string_view() : column_->Text(row);
    text_.clear();
    DS_RETURN_IF_ERROR(json_->Append(row, text_));
    return std::string_view(text_);
  }

 private:
  std::optional<ArrowColumn> column_;
  std::optional<JsonRows> json_;
  Bytes text_;
};

Result<std::vector<ArrowColumn>> RuleColumnsOf(const ArrowBatch& batch, const std::string& key_col, const RuleColumns& rule) {
  std::vector<ArrowColumn> found;
  for (const auto& [name, type] : rule) {
    DS_ASSIGN_OR_RETURN(std::optional<ArrowColumn> column, batch.Column(name));
    if (!column && name == "key") {
      DS_ASSIGN_OR_RETURN(column, batch.Column(key_col));
    }
    if (!column) {
      return InvalidArgument("the rows have no column {}, which the sharding expression reads; they have {}", name, fmt::join(batch.column_names(), ", "));
    }
    found.push_back(std::move(*column));
  }
  return found;
}

Status ForEachRowOf(const ArrowBatch& batch, int64_t first_row, const ArrowKeyValue& columns, const RuleColumns& rule, const RowSink& sink) {
  DS_ASSIGN_OR_RETURN(const ArrowColumn keys, Wanted(batch, columns.key_col));
  DS_RETURN_IF_ERROR(CheckKeys(keys, first_row));
  DS_ASSIGN_OR_RETURN(Values values, Values::Make(batch, columns));
  DS_ASSIGN_OR_RETURN(const std::vector<ArrowColumn> rule_columns, RuleColumnsOf(batch, columns.key_col, rule));
  std::vector<CelValue> rule_values(rule.size());
  for (int64_t row = 0; row < batch.row_count(); ++row) {
    const auto in_row = [&](Error error) { return std::move(error).In(fmt::format("row {}", first_row + row)); };
    for (size_t i = 0; i < rule.size(); ++i) {
      Result<CelValue> value = CelAt(rule_columns[i], row, rule[i].second);
      if (!value.ok()) return in_row(std::move(value).error());
      rule_values[i] = *value;
    }
    const Result<std::string_view> value = values.At(row);
    if (!value.ok()) return in_row(value.error());
    if (Status taken = sink(KeyAt(keys, row), *value, rule_values); !taken.ok()) return in_row(std::move(taken).error());
  }
  return {};
}

}  // namespace

Status ForEachRow(ArrowStream rows, const ArrowKeyValue& columns, const RuleColumns& rule_columns, const RowSink& sink) {
  if (rows.empty()) return InvalidArgument("no stream of rows: it was released, or read before");
  if (columns.value_col.has_value() == columns.json_cols.has_value()) {
    return InvalidArgument("values are either one column or columns as JSON; give one of value_col and json_cols");
  }
  ArrowSchemaHandle schema;
  if (const int code = rows->get_schema(rows.get(), schema.get()); code != 0) return StreamError(rows, code, "its schema");
  for (int64_t first_row = 0;;) {
    DS_RETURN_IF_ERROR(AskInterrupted());
    ArrowArrayHandle array;
    if (const int code = rows->get_next(rows.get(), array.get()); code != 0) return StreamError(rows, code, fmt::format("after row {}", first_row));
    if (array.empty()) return {};
    DS_ASSIGN_OR_RETURN(const ArrowBatch batch, ArrowBatch::Make(*schema.get(), *array.get()));
    DS_RETURN_IF_ERROR(ForEachRowOf(batch, first_row, columns, rule_columns, sink));
    first_row += batch.row_count();
  }
}

}  // namespace datashard::shardwrite
