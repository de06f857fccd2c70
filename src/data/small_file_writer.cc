// Source: Parquet format 2.6, parquet.thrift. Field ids and enum values below are that file's.
#include "data/small_file_writer.h"

#include <arrow/api.h>
#include <zlib.h>
#include <zstd.h>

#include <cstring>
#include <memory>
#include <vector>

#include "base/error.h"
#include "data/column_stats.h"
#include "data/plain_column.h"
#include "data/thrift_writer.h"
#include "iceberg/decimal.h"

namespace datashard::data {
namespace {

constexpr std::string_view kMagic = "PAR1";
// In the form other engines look for. The version is this writer's: they tell faulty files by it.
constexpr std::string_view kCreatedBy = "datashard version 1.0.0";
// Below this zstd saves next to nothing and costs more time than all the rest of the column.
constexpr size_t kCompressedBytesMin = 128;
constexpr int kZstdLevel = 1;

enum Physical { kBoolean = 0, kInt32 = 1, kInt64 = 2, kFloat = 4, kDouble = 5, kByteArray = 6, kFixed = 7 };
enum Encoding { kPlain = 0, kRle = 3 };
enum Codec { kUncompressed = 0, kZstd = 6 };

struct PhysicalType {
  Physical type;
  int32_t length = 0;  // of kFixed
};

// As ParquetNode in write_file.cc has it; a test compares the two.
PhysicalType PhysicalTypeOf(const Type& type) {
  switch (type.kind()) {
    case TypeKind::kBoolean: return {kBoolean};
    case TypeKind::kInt:
    case TypeKind::kDate: return {kInt32};
    case TypeKind::kFloat: return {kFloat};
    case TypeKind::kDouble: return {kDouble};
    case TypeKind::kDecimal:
      if (type.precision() <= 9) return {kInt32};
      if (type.precision() <= 18) return {kInt64};
      return {kFixed, iceberg::DecimalBytes(type.precision())};
    case TypeKind::kString:
    case TypeKind::kBinary: return {kByteArray};
    case TypeKind::kUuid: return {kFixed, 16};
    case TypeKind::kFixed: return {kFixed, type.length()};
    default: return {kInt64};  // long, time and the instants
  }
}

// LogicalType's member `id`: a time of day or an instant in microseconds.
void WriteMicros(ThriftWriter& out, int id, bool utc) {
  out.BeginStruct(10);
  out.BeginStruct(id);
  out.Bool(1, utc);
  out.BeginStruct(2);
  out.BeginStruct(2);  // MICROS
  out.End();
  out.End();
  out.End();
  out.End();
}

void WriteEmptyLogical(ThriftWriter& out, int id) {
  out.BeginStruct(10);
  out.BeginStruct(id);
  out.End();
  out.End();
}

void WriteSchemaElement(ThriftWriter& out, const Field& field) {
  const PhysicalType physical = PhysicalTypeOf(field.type);
  const TypeKind kind = field.type.kind();
  out.BeginItem();
  out.I32(1, physical.type);
  if (physical.type == kFixed) out.I32(2, physical.length);
  out.I32(3, field.required ? 0 : 1);
  out.Text(4, field.name);
  if (kind == TypeKind::kString) out.I32(6, 0);
  if (kind == TypeKind::kDate) out.I32(6, 6);
  if (kind == TypeKind::kTimestampTz) out.I32(6, 10);
  if (kind == TypeKind::kDecimal) {
    out.I32(6, 5);
    out.I32(7, field.type.scale());
    out.I32(8, field.type.precision());
  }
  out.I32(9, field.id);
  switch (kind) {
    case TypeKind::kString: WriteEmptyLogical(out, 1); break;
    case TypeKind::kDecimal:
      out.BeginStruct(10);
      out.BeginStruct(5);
      out.I32(1, field.type.scale());
      out.I32(2, field.type.precision());
      out.End();
      out.End();
      break;
    case TypeKind::kDate: WriteEmptyLogical(out, 6); break;
    case TypeKind::kTime: WriteMicros(out, 7, /*utc=*/false); break;
    case TypeKind::kTimestamp: WriteMicros(out, 8, /*utc=*/false); break;
    case TypeKind::kTimestampTz: WriteMicros(out, 8, /*utc=*/true); break;
    case TypeKind::kUuid: WriteEmptyLogical(out, 14); break;
    default: break;
  }
  out.End();
}

// One context per thread, because making one costs as much as packing a column with it.
Result<ZSTD_CCtx*> ZstdContext() {
  struct Free {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  };
  static thread_local std::unique_ptr<ZSTD_CCtx, Free> context(ZSTD_createCCtx());
  if (context == nullptr) return Unavailable("out of memory for zstd");
  return context.get();
}

// `page` packed, or nothing where that does not make it smaller.
Result<std::optional<Bytes>> Pack(const Bytes& page) {
  if (page.size() < kCompressedBytesMin) return std::optional<Bytes>();
  DS_ASSIGN_OR_RETURN(ZSTD_CCtx* const context, ZstdContext());
  Bytes packed(page.size() - 1, '\0');  // larger is of no use
  const size_t size = ZSTD_compressCCtx(context, packed.data(), packed.size(), page.data(), page.size(), kZstdLevel);
  if (ZSTD_isError(size) != 0) return std::optional<Bytes>();
  packed.resize(size);
  return std::optional<Bytes>(std::move(packed));
}

// Where a column lies in the file.
struct Chunk {
  PlainColumn column;
  Codec codec = kUncompressed;
  int64_t offset = 0;
  int64_t packed_size_bytes = 0;  // page header included, as below
  int64_t plain_size_bytes = 0;
};

class SmallFileEncoder {
 public:
  SmallFileEncoder(const arrow::RecordBatchVector& batches, const Schema& schema) : batches_(batches), schema_(schema) {
    for (const auto& batch : batches) rows_ += batch->num_rows();
  }

  Result<SmallFile> Encode() {
    bytes_ = kMagic;
    for (size_t i = 0; i < schema_.fields.size(); ++i) DS_RETURN_IF_ERROR(WriteColumn(static_cast<int>(i), schema_.fields[i]));
    const size_t footer = bytes_.size();
    WriteFooter();
    const auto footer_size = static_cast<uint32_t>(bytes_.size() - footer);
    bytes_.append(reinterpret_cast<const char*>(&footer_size), sizeof footer_size);
    bytes_ += kMagic;
    DataFile file = Describe();
    return SmallFile{.bytes = std::move(bytes_), .file = std::move(file)};
  }

 private:
  Status WriteColumn(int index, const Field& field) {
    Chunk chunk{.column = EncodePlain(batches_, index, field), .offset = static_cast<int64_t>(bytes_.size())};
    if (field.required && chunk.column.nulls > 0)
      return InvalidArgument("column '{}' is required and has a null", field.name).About(ErrorSubject::kValue);
    const Bytes plain = std::move(chunk.column.page);
    DS_ASSIGN_OR_RETURN(const std::optional<Bytes> packed, Pack(plain));
    const Bytes& content = packed.has_value() ? *packed : plain;
    if (packed.has_value()) chunk.codec = kZstd;
    WritePageHeader(plain.size(), content);
    chunk.packed_size_bytes = static_cast<int64_t>(bytes_.size() + content.size()) - chunk.offset;
    chunk.plain_size_bytes = static_cast<int64_t>(bytes_.size() + plain.size()) - chunk.offset;
    bytes_ += content;
    chunks_.push_back(std::move(chunk));
    return {};
  }

  void WritePageHeader(size_t plain_size_bytes, const Bytes& content) {
    const auto crc = static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(content.data()), static_cast<uInt>(content.size())));
    ThriftWriter out(bytes_);
    out.BeginItem();
    out.I32(1, 0);  // DATA_PAGE
    out.I32(2, static_cast<int64_t>(plain_size_bytes));
    out.I32(3, static_cast<int64_t>(content.size()));
    out.I32(4, static_cast<int32_t>(crc));
    out.BeginStruct(5);
    out.I32(1, rows_);
    out.I32(2, kPlain);
    out.I32(3, kRle);  // definition levels
    out.I32(4, kRle);  // repetition levels, of which there are none
    out.End();
    out.End();
  }

  void WriteFooter() {
    ThriftWriter out(bytes_);
    out.BeginItem();
    out.I32(1, 2);  // format version
    out.BeginStructs(2, schema_.fields.size() + 1);
    out.BeginItem();
    out.I32(3, 0);
    out.Text(4, "table");
    out.I32(5, static_cast<int64_t>(schema_.fields.size()));
    out.End();
    for (const Field& field : schema_.fields) WriteSchemaElement(out, field);
    out.I64(3, rows_);
    out.BeginStructs(4, 1);
    WriteRowGroup(out);
    out.Text(6, kCreatedBy);
    out.BeginStructs(7, schema_.fields.size());  // how minima and maxima compare
    for (size_t i = 0; i < schema_.fields.size(); ++i) {
      out.BeginItem();
      out.BeginStruct(1);  // TYPE_ORDER
      out.End();
      out.End();
    }
    out.End();
  }

  void WriteRowGroup(ThriftWriter& out) const {
    int64_t packed_size_bytes = 0;
    int64_t plain_size_bytes = 0;
    out.BeginItem();
    out.BeginStructs(1, chunks_.size());
    for (size_t i = 0; i < chunks_.size(); ++i) {
      WriteChunk(out, chunks_[i], schema_.fields[i]);
      packed_size_bytes += chunks_[i].packed_size_bytes;
      plain_size_bytes += chunks_[i].plain_size_bytes;
    }
    out.I64(2, plain_size_bytes);
    out.I64(3, rows_);
    out.I64(5, chunks_[0].offset);
    out.I64(6, packed_size_bytes);
    out.I16(7, 0);
    out.End();
  }

  void WriteChunk(ThriftWriter& out, const Chunk& chunk, const Field& field) const {
    out.BeginItem();
    out.I64(2, 0);  // deprecated, but required
    out.BeginStruct(3);
    out.I32(1, PhysicalTypeOf(field.type).type);
    out.BeginI32s(2, 2);
    out.NumberItem(kPlain);
    out.NumberItem(kRle);
    out.BeginTexts(3, 1);
    out.TextItem(field.name);
    out.I32(4, chunk.codec);
    out.I64(5, rows_);
    out.I64(6, chunk.plain_size_bytes);
    out.I64(7, chunk.packed_size_bytes);
    out.I64(9, chunk.offset);
    out.BeginStruct(12);
    out.I64(3, chunk.column.nulls);
    if (chunk.column.max.has_value()) out.Text(5, *chunk.column.max);
    if (chunk.column.min.has_value()) out.Text(6, *chunk.column.min);
    if (chunk.column.max.has_value()) out.Bool(7, true);  // exact
    if (chunk.column.min.has_value()) out.Bool(8, true);
    out.End();
    WriteSizeStatistics(out, chunk.column, field);
    out.End();
    out.End();
  }

  // Readers hold the number of levels against the schema. Without that a damaged footer that calls an optional column
  // required would have a page's levels read as values.
  void WriteSizeStatistics(ThriftWriter& out, const PlainColumn& column, const Field& field) const {
    const bool is_text = PhysicalTypeOf(field.type).type == kByteArray;
    if (field.required && !is_text) return;
    out.BeginStruct(16);
    if (is_text) out.I64(1, column.text_bytes);
    if (!field.required) {
      out.BeginI64s(3, 2);  // rows of level 0, rows of level 1
      out.NumberItem(column.nulls);
      out.NumberItem(rows_ - column.nulls);
    }
    out.End();
  }

  DataFile Describe() const {
    DataFile file;
    file.record_count = rows_;
    file.file_size_in_bytes = static_cast<int64_t>(bytes_.size());
    file.split_offsets = {chunks_[0].offset};
    for (size_t i = 0; i < chunks_.size(); ++i) {
      const Field& field = schema_.fields[i];
      const PlainColumn& column = chunks_[i].column;
      file.column_sizes[field.id] = chunks_[i].packed_size_bytes;
      file.value_counts[field.id] = rows_;
      file.null_value_counts[field.id] = column.nulls;
      if (field.type.kind() == TypeKind::kFloat || field.type.kind() == TypeKind::kDouble)
        file.nan_value_counts[field.id] = column.nans;
      if (!column.min.has_value() || !column.max.has_value()) continue;
      file.lower_bounds[field.id] = CutLower(BoundOf(*column.min, field.type), field.type);
      if (auto cut = CutUpper(BoundOf(*column.max, field.type), field.type)) file.upper_bounds[field.id] = *std::move(cut);
    }
    return file;
  }

  // A statistic of this writer as an Iceberg bound: the same bytes but for decimals.
  static std::string BoundOf(const std::string& statistic, const Type& type) {
    if (type.kind() != TypeKind::kDecimal) return statistic;
    return MinimalDecimal(statistic, /*is_little_endian=*/PhysicalTypeOf(type).type != kFixed);
  }

  const arrow::RecordBatchVector& batches_;
  const Schema& schema_;
  int64_t rows_ = 0;
  Bytes bytes_;
  std::vector<Chunk> chunks_;
};

int64_t ValueBytes(const arrow::ArrayData& column) {
  if (column.length == 0) return 0;
  if (column.type->id() == arrow::Type::STRING || column.type->id() == arrow::Type::BINARY) {
    const auto* offsets = column.GetValues<int32_t>(1);
    return offsets[column.length] - offsets[0] + 4 * column.length;
  }
  return column.length * static_cast<const arrow::FixedWidthType&>(*column.type).bit_width() / 8;
}

}  // namespace

bool FitsOnePage(const arrow::RecordBatchVector& batches, int64_t page_bytes) {
  for (int i = 0; i < batches[0]->num_columns(); ++i) {
    int64_t size = 0;
    for (const auto& batch : batches) size += ValueBytes(*batch->column_data(i));
    if (size > page_bytes) return false;
  }
  return true;
}

Result<SmallFile> EncodeSmallFile(const arrow::RecordBatchVector& batches, const Schema& schema) {
  return SmallFileEncoder(batches, schema).Encode();
}

}  // namespace datashard::data
