#include "data/row_batch.h"

#include <arrow/api.h>
#include <arrow/util/bit_util.h>

#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "base/check.h"
#include "data/arrow_support.h"
#include "data/arrow_types.h"
#include "data/row_source.h"

namespace datashard::data {
namespace {

using BatchPtr = std::shared_ptr<arrow::RecordBatch>;

constexpr uint32_t kMagic = 0x31525344;  // "DSR1"
constexpr int64_t kHeaderBytes = 12;
constexpr uint8_t kHasNulls = 0x80;
constexpr int64_t kTextBytesMax = std::numeric_limits<int32_t>::max();

bool IsText(const Type& type) { return type.kind() == TypeKind::kString || type.kind() == TypeKind::kBinary; }

int64_t BitmapBytes(int64_t rows) { return (rows + 7) / 8; }

// Bytes of `rows` values as they are stored; for text those of the lengths alone.
int64_t ValueBytes(const Type& type, int64_t rows) {
  switch (type.kind()) {
    case TypeKind::kBoolean: return BitmapBytes(rows);
    case TypeKind::kInt:
    case TypeKind::kFloat:
    case TypeKind::kDate:
    case TypeKind::kString:
    case TypeKind::kBinary: return 4 * rows;
    case TypeKind::kDecimal:
    case TypeKind::kUuid: return 16 * rows;
    case TypeKind::kFixed: return rows * type.length();
    default: return 8 * rows;
  }
}

void SetBits(uint8_t* bits, int64_t position, const uint8_t* from, int64_t from_position, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    if (arrow::bit_util::GetBit(from, from_position + i)) arrow::bit_util::SetBit(bits, position + i);
}

// The batches pulled so far, then those still to come.
class PulledRows final : public RowSource {
 public:
  PulledRows(std::vector<BatchPtr> pulled, std::unique_ptr<RowSource> rest) : pulled_(std::move(pulled)), rest_(std::move(rest)) {}
  const std::shared_ptr<arrow::Schema>& schema() const override { return rest_->schema(); }
  Result<BatchPtr> Next() override { return next_ < pulled_.size() ? std::move(pulled_[next_++]) : rest_->Next(); }

 private:
  std::vector<BatchPtr> pulled_;
  size_t next_ = 0;
  std::unique_ptr<RowSource> rest_;
};

class OneBatch final : public RowSource {
 public:
  OneBatch(std::shared_ptr<arrow::Schema> schema, BatchPtr batch) : schema_(std::move(schema)), batch_(std::move(batch)) {}
  const std::shared_ptr<arrow::Schema>& schema() const override { return schema_; }
  Result<BatchPtr> Next() override { return std::exchange(batch_, nullptr); }

 private:
  std::shared_ptr<arrow::Schema> schema_;
  BatchPtr batch_;
};

// What a column of the rows seen so far takes.
struct ColumnSize {
  bool has_nulls = false;
  int64_t text_bytes = 0;
};

int64_t TextBytes(const arrow::ArrayData& column) {
  const auto* offsets = column.GetValues<int32_t>(1);
  return offsets[column.length] - offsets[0];  // of nulls too: an upper bound
}

class Encoder {
 public:
  explicit Encoder(const Schema& schema) : schema_(schema), sizes_(schema.fields.size()) {}

  Status Add(const arrow::RecordBatch& batch) {
    for (size_t i = 0; i < sizes_.size(); ++i) {
      const arrow::ArrayData& column = *batch.column_data(static_cast<int>(i));
      const bool has_nulls = column.GetNullCount() > 0;
      if (has_nulls && schema_.fields[i].required)
        return InvalidArgument("column '{}' is required and has a null", schema_.fields[i].name).About(ErrorSubject::kValue);
      sizes_[i].has_nulls |= has_nulls;
      if (IsText(schema_.fields[i].type)) sizes_[i].text_bytes += TextBytes(column);
    }
    rows_ += batch.num_rows();
    return {};
  }

  int64_t rows() const { return rows_; }
  int64_t size_bytes() const {
    int64_t size = kHeaderBytes;
    for (size_t i = 0; i < sizes_.size(); ++i)
      size += 1 + (sizes_[i].has_nulls ? BitmapBytes(rows_) : 0) + ValueBytes(schema_.fields[i].type, rows_) + sizes_[i].text_bytes;
    return size;
  }

  Bytes Encode(const std::vector<BatchPtr>& batches) const {
    Bytes bytes(static_cast<size_t>(size_bytes()), '\0');
    auto* out = reinterpret_cast<uint8_t*>(bytes.data());
    for (const uint32_t word : {kMagic, static_cast<uint32_t>(sizes_.size()), static_cast<uint32_t>(rows_)}) {
      std::memcpy(out, &word, sizeof word);
      out += sizeof word;
    }
    for (size_t i = 0; i < sizes_.size(); ++i) out = EncodeColumn(batches, i, out);
    bytes.resize(static_cast<size_t>(out - reinterpret_cast<uint8_t*>(bytes.data())));
    return bytes;
  }

 private:
  // Where the column ends.
  uint8_t* EncodeColumn(const std::vector<BatchPtr>& batches, size_t index, uint8_t* out) const {
    const Type& type = schema_.fields[index].type;
    *out++ = static_cast<uint8_t>(static_cast<uint8_t>(type.kind()) | (sizes_[index].has_nulls ? kHasNulls : 0));
    uint8_t* const validity = out;
    uint8_t* const values = validity + (sizes_[index].has_nulls ? BitmapBytes(rows_) : 0);
    uint8_t* text = values + ValueBytes(type, rows_);
    int64_t row = 0;
    for (const BatchPtr& batch : batches) {
      const arrow::ArrayData& column = *batch->column_data(static_cast<int>(index));
      if (sizes_[index].has_nulls) {
        for (int64_t i = 0; i < column.length; ++i)
          if (column.IsValid(i)) arrow::bit_util::SetBit(validity, row + i);
      }
      if (IsText(type)) {
        text = EncodeText(column, values + 4 * row, text);
      } else if (type.kind() == TypeKind::kBoolean) {
        SetBits(values, row, column.buffers[1]->data(), column.offset, column.length);
      } else {
        std::memcpy(values + ValueBytes(type, row), column.buffers[1]->data() + ValueBytes(type, column.offset),
                    static_cast<size_t>(ValueBytes(type, column.length)));
      }
      row += column.length;
    }
    return text;
  }

  static uint8_t* EncodeText(const arrow::ArrayData& column, uint8_t* lengths, uint8_t* text) {
    const auto* offsets = column.GetValues<int32_t>(1);
    for (int64_t i = 0; i < column.length; ++i) {
      const auto length = static_cast<uint32_t>(column.IsValid(i) ? offsets[i + 1] - offsets[i] : 0);
      std::memcpy(lengths + 4 * i, &length, sizeof length);
      if (length == 0) continue;
      std::memcpy(text, column.buffers[2]->data() + offsets[i], length);
      text += length;
    }
    return text;
  }

  const Schema& schema_;
  std::vector<ColumnSize> sizes_;
  int64_t rows_ = 0;
};

// One column of one encoded payload: where its parts lie.
struct Piece {
  int64_t rows = 0;
  const uint8_t* validity = nullptr;  // null: every row has a value
  const uint8_t* values = nullptr;
  const uint8_t* text = nullptr;
  int64_t text_bytes = 0;
};

class Parser {
 public:
  Parser(ByteView bytes, const Schema& schema) : bytes_(bytes), schema_(schema) {}

  // One piece onto each column's vector. Every size is compared with the bytes there are before anything is allocated.
  Status Parse(std::vector<std::vector<Piece>>& columns) {
    const uint8_t* header = Take(kHeaderBytes);
    if (header == nullptr || Word(header) != kMagic) return Corruption("no encoded rows");
    if (Word(header + 4) != schema_.fields.size())
      return Corruption("{} columns, the schema has {}", Word(header + 4), schema_.fields.size());
    const int64_t rows = Word(header + 8);
    for (size_t i = 0; i < schema_.fields.size(); ++i) {
      const auto piece = Column(schema_.fields[i], rows);
      if (!piece.has_value()) return Corruption("column '{}' of {} rows is cut off or of another type", schema_.fields[i].name, rows);
      columns[i].push_back(*piece);
    }
    if (!bytes_.empty()) return Corruption("{} bytes too many", bytes_.size());
    return {};
  }

 private:
  static uint32_t Word(const uint8_t* at) {
    uint32_t word = 0;
    std::memcpy(&word, at, sizeof word);
    return word;
  }

  const uint8_t* Take(int64_t size) {
    if (size > static_cast<int64_t>(bytes_.size())) return nullptr;
    const auto* taken = reinterpret_cast<const uint8_t*>(bytes_.data());
    bytes_.remove_prefix(static_cast<size_t>(size));
    return taken;
  }

  std::optional<Piece> Column(const Field& field, int64_t rows) {
    Piece piece{.rows = rows};
    const uint8_t* tag = Take(1);
    if (tag == nullptr || (*tag & ~kHasNulls) != static_cast<uint8_t>(field.type.kind())) return std::nullopt;
    if ((*tag & kHasNulls) != 0) {
      piece.validity = Take(BitmapBytes(rows));
      if (piece.validity == nullptr) return std::nullopt;
    }
    piece.values = Take(ValueBytes(field.type, rows));
    if (piece.values == nullptr) return std::nullopt;
    if (!IsText(field.type)) return piece;
    for (int64_t i = 0; i < rows; ++i) piece.text_bytes += Word(piece.values + 4 * i);
    piece.text = Take(piece.text_bytes);
    if (piece.text == nullptr) return std::nullopt;
    return piece;
  }

  ByteView bytes_;
  const Schema& schema_;
};

// `size` zero bytes.
arrow::Result<std::shared_ptr<arrow::Buffer>> ZeroBuffer(int64_t size) {
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> buffer, arrow::AllocateBuffer(size));
  std::memset(buffer->mutable_data(), 0, static_cast<size_t>(buffer->capacity()));
  return buffer;
}

arrow::Result<std::shared_ptr<arrow::ArrayData>> Join(const std::vector<Piece>& pieces, const Type& type,
                                                      const std::shared_ptr<arrow::DataType>& arrow_type, int64_t rows) {
  bool has_nulls = false;
  int64_t text_bytes = 0;
  for (const Piece& piece : pieces) {
    has_nulls |= piece.validity != nullptr;
    text_bytes += piece.text_bytes;
  }
  const bool is_text = IsText(type);
  if (text_bytes > kTextBytesMax) return arrow::Status::CapacityError(text_bytes, " bytes of text in one column");
  std::shared_ptr<arrow::Buffer> validity;
  std::shared_ptr<arrow::Buffer> text;
  if (has_nulls) {
    ARROW_ASSIGN_OR_RAISE(validity, ZeroBuffer(BitmapBytes(rows)));
  }
  if (is_text) {
    ARROW_ASSIGN_OR_RAISE(text, arrow::AllocateBuffer(text_bytes));
  }
  ARROW_ASSIGN_OR_RAISE(auto values, ZeroBuffer(ValueBytes(type, is_text ? rows + 1 : rows)));

  uint8_t* const out = values->mutable_data();
  int64_t row = 0;
  int32_t end = 0;
  for (const Piece& piece : pieces) {
    if (has_nulls && piece.validity == nullptr) arrow::bit_util::SetBitsTo(validity->mutable_data(), row, piece.rows, true);
    if (piece.validity != nullptr) SetBits(validity->mutable_data(), row, piece.validity, 0, piece.rows);
    if (is_text) {
      if (piece.text_bytes > 0) std::memcpy(text->mutable_data() + end, piece.text, static_cast<size_t>(piece.text_bytes));
      for (int64_t i = 0; i < piece.rows; ++i) {
        int32_t length = 0;  // their sum is within the limit above
        std::memcpy(&length, piece.values + 4 * i, sizeof length);
        end += length;
        std::memcpy(out + 4 * (row + i + 1), &end, sizeof end);
      }
    } else if (type.kind() == TypeKind::kBoolean) {
      SetBits(out, row, piece.values, 0, piece.rows);
    } else if (piece.rows > 0) {
      std::memcpy(out + ValueBytes(type, row), piece.values, static_cast<size_t>(ValueBytes(type, piece.rows)));
    }
    row += piece.rows;
  }
  std::vector<std::shared_ptr<arrow::Buffer>> buffers = {std::move(validity), std::move(values)};
  if (is_text) buffers.push_back(std::move(text));
  return arrow::ArrayData::Make(arrow_type, rows, std::move(buffers), has_nulls ? arrow::kUnknownNullCount : 0);
}

Result<EncodedRows> Encode(ArrowStream rows, const Schema& schema, int64_t size_bytes_max) {
  DS_CHECK(size_bytes_max >= 0 && size_bytes_max <= kTextBytesMax);
  DS_ASSIGN_OR_RETURN(auto source, ImportRows(std::move(rows)));
  DS_CHECK(HasFieldsOf(*source->schema(), schema));
  std::vector<BatchPtr> batches;
  Encoder encoder(schema);
  EncodedRows encoded;
  for (;;) {
    DS_ASSIGN_OR_RETURN(auto batch, source->Next());
    if (batch == nullptr) break;
    if (batch->num_rows() == 0) continue;
    DS_RETURN_IF_ERROR(encoder.Add(*batch));
    batches.push_back(std::move(batch));
    if (encoder.size_bytes() <= size_bytes_max) continue;
    encoded.too_large = ExportRows(std::make_unique<PulledRows>(std::move(batches), std::move(source)));
    return encoded;
  }
  encoded.row_count = encoder.rows();
  if (encoder.rows() > 0) encoded.bytes = encoder.Encode(batches);
  return encoded;
}

Result<ArrowStream> Decode(std::span<const ByteView> encoded, const Schema& schema) {
  DS_ASSIGN_OR_RETURN(auto arrow_schema, ArrowSchemaOf(schema));
  DS_CHECK(!schema.fields.empty());
  std::vector<std::vector<Piece>> pieces(schema.fields.size());
  for (size_t i = 0; i < encoded.size(); ++i) {
    const Status parsed = Parser(encoded[i], schema).Parse(pieces);
    if (!parsed.ok()) return Error(parsed.error()).In(fmt::format("rows from another process, payload {}", i));
  }
  int64_t rows = 0;
  for (const Piece& piece : pieces[0]) rows += piece.rows;
  std::vector<std::shared_ptr<arrow::ArrayData>> columns;
  for (size_t i = 0; i < pieces.size(); ++i) {
    DS_ASSIGN_OR_RETURN(auto column, Lift(Join(pieces[i], schema.fields[i].type, arrow_schema->field(static_cast<int>(i))->type(), rows),
                                          ErrorKind::kInvalidArgument));
    if (schema.fields[i].required && column->GetNullCount() > 0)
      return Corruption("rows from another process: column '{}' is required and has a null", schema.fields[i].name);
    columns.push_back(std::move(column));
  }
  auto batch = arrow::RecordBatch::Make(arrow_schema, rows, std::move(columns));
  // Text that is not UTF-8, decimals of too many digits, times beyond the day.
  const arrow::Status valid = batch->ValidateFull();
  if (!valid.ok()) return FromArrow(valid, ErrorKind::kCorruption).In("rows from another process");
  return ExportRows(std::make_unique<OneBatch>(std::move(arrow_schema), rows == 0 ? nullptr : std::move(batch)));
}

}  // namespace

Result<EncodedRows> EncodeRows(ArrowStream rows, const Schema& schema, int64_t size_bytes_max) {
  return Guarded(ErrorKind::kInternal, [&] { return Encode(std::move(rows), schema, size_bytes_max); });
}

Result<ArrowStream> DecodeRows(std::span<const ByteView> encoded, const Schema& schema) {
  return Guarded(ErrorKind::kInternal, [&] { return Decode(encoded, schema); });
}

}  // namespace datashard::data
