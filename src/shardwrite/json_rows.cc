#include "shardwrite/json_rows.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "routing/utf8.h"

namespace datashard::shardwrite {
namespace {

using Kind = ArrowColumn::Kind;

constexpr int kFixedExponentMin = -4;  // outside of these Python writes an exponent
constexpr int kFixedExponentMax = 15;

void AppendNumber(auto number, Bytes& out) {
  char digits[24];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

void AppendEscape(uint32_t unit, Bytes& out) {
  static constexpr char kHex[] = "0123456789abcdef";
  out.append("\\u");
  for (int shift = 12; shift >= 0; shift -= 4) out.push_back(kHex[unit >> shift & 15]);
}

// The code point at `at`, which moves behind it; the text is well-formed.
uint32_t NextCodePoint(ByteView text, size_t& at) {
  const auto first = static_cast<uint8_t>(text[at++]);
  const int more = first < 0x80 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
  uint32_t code_point = more == 0 ? first : first & (0x3fU >> more);
  for (int i = 0; i < more; ++i) code_point = code_point << 6 | (static_cast<uint8_t>(text[at++]) & 0x3f);
  return code_point;
}

std::vector<size_t> SortedOrder(const std::vector<std::string>& names) {
  std::vector<size_t> order(names.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return names[a] < names[b]; });
  return order;
}

Status CheckIsJson(const ArrowColumn& column) {
  if (column.kind() == Kind::kBytes) return Unsupported("column {}: JSON has no bytes; leave the column out or make it text", column.path());
  for (const ArrowColumn& child : column.children()) DS_RETURN_IF_ERROR(CheckIsJson(child));
  return {};
}

Status AppendValue(const ArrowColumn& column, int64_t row, Bytes& out);

Status AppendList(const ArrowColumn& column, int64_t row, Bytes& out) {
  const ArrowRows items = column.List(row);
  out.push_back('[');
  for (int64_t i = 0; i < items.count; ++i) {
    if (i > 0) out.push_back(',');
    DS_RETURN_IF_ERROR(AppendValue(column.children()[0], items.first + i, out));
  }
  out.push_back(']');
  return {};
}

Status AppendStruct(const ArrowColumn& column, int64_t row, Bytes& out) {
  const int64_t at = column.ValueRow(row);
  out.push_back('{');
  bool first = true;
  for (const size_t child : SortedOrder(column.child_names())) {
    if (!std::exchange(first, false)) out.push_back(',');
    if (!AppendJsonText(column.child_names()[child], out)) return InvalidArgument("column {}: a field's name is not UTF-8", column.path());
    out.push_back(':');
    DS_RETURN_IF_ERROR(AppendValue(column.children()[child], at, out));
  }
  out.push_back('}');
  return {};
}

Status AppendValue(const ArrowColumn& column, int64_t row, Bytes& out) {
  if (column.IsNull(row)) {
    out.append("null");
    return {};
  }
  switch (column.kind()) {
    case Kind::kBool: out.append(column.Bool(row) ? "true" : "false"); return {};
    case Kind::kSigned: AppendNumber(column.Signed(row), out); return {};
    case Kind::kUnsigned: AppendNumber(column.Unsigned(row), out); return {};
    case Kind::kFloat: AppendJsonFloat(column.Float(row), out); return {};
    case Kind::kList: return AppendList(column, row, out);
    case Kind::kStruct: return AppendStruct(column, row, out);
    default: break;
  }
  if (!AppendJsonText(column.Text(row), out)) return InvalidArgument("column {}, row {} of its batch: text that is not UTF-8", column.path(), row);
  return {};
}

}  // namespace

bool AppendJsonText(ByteView text, Bytes& out) {
  if (!routing::IsUtf8(text)) return false;
  out.push_back('"');
  for (size_t at = 0; at < text.size();) {
    const uint32_t point = NextCodePoint(text, at);
    switch (point) {
      case '"': out.append("\\\""); break;
      case '\\': out.append("\\\\"); break;
      case '\n': out.append("\\n"); break;
      case '\r': out.append("\\r"); break;
      case '\t': out.append("\\t"); break;
      case '\b': out.append("\\b"); break;
      case '\f': out.append("\\f"); break;
      default:
        if (point >= ' ' && point <= '~') {
          out.push_back(static_cast<char>(point));
        } else if (point < 0x10000) {
          AppendEscape(point, out);
        } else {
          AppendEscape(0xd800 + ((point - 0x10000) >> 10), out);
          AppendEscape(0xdc00 + ((point - 0x10000) & 0x3ff), out);
        }
    }
  }
  out.push_back('"');
  return true;
}

void AppendJsonFloat(double value, Bytes& out) {
  if (std::isnan(value)) return void(out.append("NaN"));
  if (std::isinf(value)) return void(out.append(value < 0 ? "-Infinity" : "Infinity"));
  if (std::signbit(value)) out.push_back('-');
  char text[40];
  const char* end = std::to_chars(text, text + sizeof text, std::fabs(value), std::chars_format::scientific).ptr;
  const char* exponent_at = std::find(text, const_cast<char*>(end), 'e');
  Bytes digits;
  std::copy_if(static_cast<const char*>(text), exponent_at, std::back_inserter(digits), [](char c) { return c != '.'; });
  int exponent = 0;
  std::from_chars(exponent_at + (exponent_at[1] == '+' ? 2 : 1), end, exponent);
  if (exponent < kFixedExponentMin || exponent > kFixedExponentMax) {
    out.push_back(digits[0]);
    if (digits.size() > 1) out.append(".").append(digits, 1);
    out.append(exponent < 0 ? "e-" : "e+");
    if (std::abs(exponent) < 10) out.push_back('0');
    return AppendNumber(std::abs(exponent), out);
  }
  if (exponent < 0) return void(out.append("0.").append(static_cast<size_t>(-exponent - 1), '0').append(digits));
  const auto whole = static_cast<size_t>(exponent) + 1;
  if (digits.size() < whole) digits.append(whole - digits.size(), '0');
  out.append(digits, 0, whole).append(".").append(digits.size() > whole ? digits.substr(whole) : "0");
}

Result<JsonRows> JsonRows::Make(const ArrowBatch& batch, std::vector<std::string> names) {
  JsonRows rows;
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  for (const std::string& name : names) {
    Field field;
    if (!AppendJsonText(name, field.name)) return InvalidArgument("a column's name is not UTF-8");
    field.name.push_back(':');
    DS_ASSIGN_OR_RETURN(field.column, batch.Column(name));
    if (field.column) DS_RETURN_IF_ERROR(CheckIsJson(*field.column));
    rows.fields_.push_back(std::move(field));
  }
  return rows;
}

Status JsonRows::Append(int64_t row, Bytes& out) const {
  out.push_back('{');
  for (size_t i = 0; i < fields_.size(); ++i) {
    if (i > 0) out.push_back(',');
    out.append(fields_[i].name);
    if (!fields_[i].column) {
      out.append("null");
    } else {
      DS_RETURN_IF_ERROR(AppendValue(*fields_[i].column, row, out));
    }
  }
  out.push_back('}');
  return {};
}

}  // namespace datashard::shardwrite
