// Rows as JSON Lines and as cells for a terminal. Any stream is first conformed to the schema inferred from it, so that
// only the table's own types have to be spelled.
#include <arrow/api.h>
#include <arrow/c/bridge.h>
#include <fmt/format.h>

#include <cmath>
#include <iterator>
#include <string>
#include <vector>

#include "base/base64.h"
#include "base/error.h"
#include "data/arrow_support.h"
#include "data/data_file.h"
#include "data/iso_time.h"
#include "data/row_source.h"
#include "datashard/rows.h"

namespace datashard {
namespace data {
namespace {

template <typename ArrayType>
auto ValueAt(const arrow::Array& column, int64_t row) {
  return static_cast<const ArrayType&>(column).GetView(row);
}

template <typename Real>
void AppendReal(std::string& out, Real value) {
  if (std::isnan(value)) {
    out += "NaN";
  } else if (std::isinf(value)) {
    out += value < 0 ? "-Infinity" : "Infinity";
  } else {
    const size_t before = out.size();
    fmt::format_to(std::back_inserter(out), "{}", value);
    // A whole number still shows that it is a floating-point one.
    if (out.find_first_of(".e", before) == std::string::npos) out += ".0";
  }
}

void AppendUuid(std::string& out, std::string_view bytes) {
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
    fmt::format_to(std::back_inserter(out), "{:02x}", static_cast<uint8_t>(bytes[i]));
  }
}

// The text of a valid value, as it is: nothing is quoted or escaped.
void AppendText(std::string& out, const Type& type, const arrow::Array& column, int64_t row) {
  switch (type.kind()) {
    case TypeKind::kBoolean: out += ValueAt<arrow::BooleanArray>(column, row) ? "true" : "false"; return;
    case TypeKind::kInt: fmt::format_to(std::back_inserter(out), "{}", ValueAt<arrow::Int32Array>(column, row)); return;
    case TypeKind::kLong: fmt::format_to(std::back_inserter(out), "{}", ValueAt<arrow::Int64Array>(column, row)); return;
    case TypeKind::kFloat: AppendReal(out, ValueAt<arrow::FloatArray>(column, row)); return;
    case TypeKind::kDouble: AppendReal(out, ValueAt<arrow::DoubleArray>(column, row)); return;
    case TypeKind::kDecimal: out += static_cast<const arrow::Decimal128Array&>(column).FormatValue(row); return;
    case TypeKind::kDate: AppendDate(out, ValueAt<arrow::Date32Array>(column, row)); return;
    case TypeKind::kTime: AppendTimeOfDay(out, ValueAt<arrow::Time64Array>(column, row)); return;
    case TypeKind::kTimestamp:
    case TypeKind::kTimestampTz:
      AppendTimestamp(out, ValueAt<arrow::TimestampArray>(column, row), type.kind() == TypeKind::kTimestampTz);
      return;
    case TypeKind::kUuid: AppendUuid(out, ValueAt<arrow::FixedSizeBinaryArray>(column, row)); return;
    case TypeKind::kFixed: AppendBase64(out, ValueAt<arrow::FixedSizeBinaryArray>(column, row)); return;
    case TypeKind::kBinary: AppendBase64(out, ValueAt<arrow::BinaryArray>(column, row)); return;
    default: out += ValueAt<arrow::StringArray>(column, row); return;
  }
}

bool IsJsonNumber(const Type& type, std::string_view text) {
  switch (type.kind()) {
    case TypeKind::kBoolean:
    case TypeKind::kInt:
    case TypeKind::kLong: return true;
    case TypeKind::kFloat:
    case TypeKind::kDouble: return text.back() != 'N' && text.back() != 'y';  // NaN, Infinity
    default: return false;
  }
}

// Is there a control character at `i`: C0, DELETE, or C1 in its two bytes? A terminal would obey it.
bool IsControl(std::string_view text, size_t i) {
  const auto byte = static_cast<uint8_t>(text[i]);
  if (byte < 0x20 || byte == 0x7F) return true;
  return byte == 0xC2 && i + 1 < text.size() && static_cast<uint8_t>(text[i + 1]) < 0xA0;
}

void AppendEscapedControl(std::string& out, std::string_view text, size_t& i) {
  switch (text[i]) {
    case '\n': out += "\\n"; return;
    case '\r': out += "\\r"; return;
    case '\t': out += "\\t"; return;
    default: break;
  }
  if (static_cast<uint8_t>(text[i]) == 0xC2) ++i;
  fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<uint8_t>(text[i]));
}

void AppendJsonString(std::string& out, std::string_view text) {
  out += '"';
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"' || text[i] == '\\') {
      out += '\\';
      out += text[i];
    } else if (IsControl(text, i)) {
      AppendEscapedControl(out, text, i);
    } else {
      out += text[i];
    }
  }
  out += '"';
}

struct TypedRows {
  std::unique_ptr<RowSource> source;
  Schema schema;
};

Result<TypedRows> Typed(ArrowStream stream) {
  DS_ASSIGN_OR_RETURN(auto raw, ImportRows(std::move(stream)));
  ArrowSchemaHandle exported;
  DS_RETURN_IF_ERROR(Lift(arrow::ExportSchema(*raw->schema(), exported.get()), ErrorKind::kInternal));
  DS_ASSIGN_OR_RETURN(Schema schema, InferSchema(*exported.get()));
  DS_ASSIGN_OR_RETURN(auto conformed, ConformRows(ExportRows(std::move(raw)), schema));
  DS_ASSIGN_OR_RETURN(auto source, ImportRows(std::move(conformed)));
  return TypedRows{std::move(source), std::move(schema)};
}

}  // namespace
}  // namespace data

Status ForEachJsonLine(ArrowStream stream, const std::function<Status(std::string_view line)>& sink) {
  return data::Guarded(ErrorKind::kInternal, [&]() -> Status {
    DS_ASSIGN_OR_RETURN(const data::TypedRows rows, data::Typed(std::move(stream)));
    std::vector<std::string> keys;
    for (const Field& field : rows.schema.fields) {
      std::string key = keys.empty() ? "{" : ",";
      data::AppendJsonString(key, field.name);
      keys.push_back(key + ':');
    }
    std::string line;
    std::string text;
    for (;;) {
      DS_ASSIGN_OR_RETURN(const auto batch, rows.source->Next());
      if (batch == nullptr) return {};
      const arrow::ArrayVector columns = batch->columns();
      for (int64_t row = 0; row < batch->num_rows(); ++row) {
        line.clear();
        for (size_t i = 0; i < keys.size(); ++i) {
          const arrow::Array& column = *columns[i];
          line += keys[i];
          if (column.IsNull(row)) {
            line += "null";
            continue;
          }
          text.clear();
          data::AppendText(text, rows.schema.fields[i].type, column, row);
          if (data::IsJsonNumber(rows.schema.fields[i].type, text)) {
            line += text;
          } else {
            data::AppendJsonString(line, text);
          }
        }
        line += keys.empty() ? "{}" : "}";
        DS_RETURN_IF_ERROR(sink(line));
      }
    }
  });
}

Status ForEachTextRow(ArrowStream stream,
                      const std::function<Status(const std::vector<std::optional<std::string>>& cells)>& sink) {
  return data::Guarded(ErrorKind::kInternal, [&]() -> Status {
    DS_ASSIGN_OR_RETURN(const data::TypedRows rows, data::Typed(std::move(stream)));
    std::vector<std::optional<std::string>> cells;
    for (const Field& field : rows.schema.fields) cells.emplace_back(field.name);
    DS_RETURN_IF_ERROR(sink(cells));
    std::string text;
    for (;;) {
      DS_ASSIGN_OR_RETURN(const auto batch, rows.source->Next());
      if (batch == nullptr) return {};
      const arrow::ArrayVector columns = batch->columns();
      for (int64_t row = 0; row < batch->num_rows(); ++row) {
        for (size_t i = 0; i < columns.size(); ++i) {
          cells[i].reset();
          if (columns[i]->IsNull(row)) continue;
          text.clear();
          data::AppendText(text, rows.schema.fields[i].type, *columns[i], row);
          cells[i] = text;
        }
        DS_RETURN_IF_ERROR(sink(cells));
      }
    }
  });
}

}  // namespace datashard
