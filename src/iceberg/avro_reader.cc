#include "iceberg/avro_reader.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "iceberg/json_reader.h"

namespace datashard::iceberg {
namespace {
constexpr int kDepthMax = 64;
}

void AvroReader::Begin(ByteView block) {
  block_ = block;
  position_ = 0;
  // Every value but null and an empty record has a byte; sixteen values to the byte leave room for wide rows of nothing.
  steps_left_ = static_cast<int64_t>(block.size()) * 16 + 65536;
}

void AvroReader::Charge(int64_t items) {
  items_left_ -= std::min(items, items_left_ + 1);
  if (items_left_ < 0) Fail(fmt::format("more than {} items in one file,", kAvroItemsMax));
}

void AvroReader::Fail(std::string what) {
  if (ok()) fault_ = fmt::format("{} at byte {} of its block", what, position_);
}

void AvroReader::Mismatch(const AvroType& type, std::string_view wanted) {
  Fail(fmt::format("expected {}, the file's schema has {}", wanted, ToString(type.kind)));
}

bool AvroReader::Expect(const AvroType& type, AvroKind kind, std::string_view wanted) {
  if (type.kind != kind) Mismatch(type, wanted);
  return Step();
}

bool AvroReader::Step() {
  if (--steps_left_ < 0) Fail("the schema describes more values than the block has bytes for,");
  return ok();
}

int64_t AvroReader::Long() {
  uint64_t bits = 0;
  for (int shift = 0; shift < 70; shift += 7) {
    if (position_ == block_.size()) {
      Fail("a number is cut off");
      return 0;
    }
    const auto byte = static_cast<uint8_t>(block_[position_++]);
    if (shift == 63 && byte > 1) break;
    bits |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return static_cast<int64_t>(bits >> 1) ^ -static_cast<int64_t>(bits & 1);
  }
  Fail("a number is longer than 64 bits");
  return 0;
}

std::string_view AvroReader::Take(int64_t size_bytes) {
  if (!ok()) return {};
  const auto left = static_cast<int64_t>(block_.size() - position_);
  if (size_bytes < 0 || size_bytes > left) {
    Fail(fmt::format("a value of {} bytes, but {} are left,", size_bytes, left));
    return {};
  }
  const std::string_view bytes = block_.substr(position_, static_cast<size_t>(size_bytes));
  position_ += bytes.size();
  return bytes;
}

int64_t AvroReader::NextCount() {
  if (!ok()) return 0;
  int64_t count = Long();
  if (count < 0) {
    Long();  // the bytes of the block, for readers that skip
    count = count == std::numeric_limits<int64_t>::min() ? std::numeric_limits<int64_t>::max() : -count;
  }
  const auto left = static_cast<int64_t>(block_.size() - position_);
  if (ok() && count > left) Fail(fmt::format("{} items, but {} bytes are left,", count, left));
  return ok() ? count : 0;
}

const AvroType* AvroReader::Enter(const AvroType& type) {
  if (!Step()) return nullptr;
  if (type.kind == AvroKind::kNull) return nullptr;
  if (type.kind != AvroKind::kUnion) return &type;
  const int64_t branch = Long();
  if (!ok()) return nullptr;
  if (branch < 0 || branch >= static_cast<int64_t>(type.branches.size())) {
    Fail(fmt::format("branch {} of a union of {}", branch, type.branches.size()));
    return nullptr;
  }
  const AvroType* chosen = type.branches[static_cast<size_t>(branch)];
  return chosen->kind == AvroKind::kNull ? nullptr : chosen;
}

int64_t AvroReader::Integer(const AvroType& type) {
  if (type.kind != AvroKind::kInt && type.kind != AvroKind::kLong) Mismatch(type, "an integer");
  if (!ok()) return 0;
  const int64_t value = Long();
  if (type.kind == AvroKind::kInt && value != static_cast<int32_t>(value)) Fail("an int of more than 32 bits");
  return ok() ? value : 0;
}

int32_t AvroReader::Integer32(const AvroType& type) {
  const int64_t value = Integer(type);
  if (value != static_cast<int32_t>(value)) Fail(fmt::format("{} where 32 bits are expected", value));
  return ok() ? static_cast<int32_t>(value) : 0;
}

double AvroReader::Real(const AvroType& type) {
  if (type.kind == AvroKind::kFloat) {
    const std::string_view bytes = Take(4);
    float value = 0;
    if (ok()) std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  }
  if (type.kind != AvroKind::kDouble) Mismatch(type, "a float or double");
  const std::string_view bytes = Take(8);
  double value = 0;
  if (ok()) std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

bool AvroReader::Boolean(const AvroType& type) {
  if (type.kind != AvroKind::kBoolean) Mismatch(type, "a boolean");
  const std::string_view byte = Take(1);
  if (ok() && byte[0] != 0 && byte[0] != 1) Fail("a boolean that is neither 0 nor 1");
  return ok() && byte[0] == 1;
}

std::string_view AvroReader::Text(const AvroType& type) {
  if (type.kind != AvroKind::kString) Mismatch(type, "a string");
  if (!ok()) return {};
  const std::string_view text = Take(Long());
  if (ok() && !IsUtf8(text)) Fail("a string that is no UTF-8");
  return ok() ? text : std::string_view();
}

std::string_view AvroReader::Binary(const AvroType& type) {
  if (type.kind == AvroKind::kFixed) return Take(type.size);
  if (type.kind != AvroKind::kBytes) Mismatch(type, "bytes");
  return ok() ? Take(Long()) : std::string_view();
}

void AvroReader::Skip(const AvroType& type) {
  if (!Step()) return;
  if (++depth_ > kDepthMax) return Fail("values nested too deeply");
  switch (type.kind) {
    case AvroKind::kNull: break;
    case AvroKind::kBoolean: Take(1); break;
    case AvroKind::kInt:
    case AvroKind::kLong:
    case AvroKind::kEnum: Long(); break;
    case AvroKind::kFloat: Take(4); break;
    case AvroKind::kDouble: Take(8); break;
    case AvroKind::kBytes:
    case AvroKind::kString: Take(Long()); break;
    case AvroKind::kFixed: Take(type.size); break;
    case AvroKind::kUnion:
      if (const AvroType* branch = Enter(type)) Skip(*branch);
      break;
    case AvroKind::kArray: ForEach(type, [this](const AvroType& item) { Skip(item); }); break;
    case AvroKind::kMap:
      for (int64_t count = NextCount(); ok() && count > 0; count = NextCount()) {
        for (; ok() && count > 0; --count) {
          Take(Long());
          Skip(*type.branches[0]);
        }
      }
      break;
    case AvroKind::kRecord:
      for (const AvroField& field : type.fields) {
        if (!ok()) break;
        Skip(*field.type);
      }
      break;
  }
  --depth_;
}

}  // namespace datashard::iceberg
