// Values of one Avro block, read by the writer's schema. The first fault sticks: whatever is read after it is empty or
// zero, and the caller asks once, at the end of a record. Bounded: nothing is allocated that the bytes left do not cover;
// the number of values read is bounded by the number of bytes, whatever the schema says; and the number of items that the
// caller keeps by a budget for the whole file, since an item in memory is many times the byte it may take in a file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "iceberg/avro_schema.h"

namespace datashard::iceberg {

/// Items of arrays and partition values in one file at most.
inline constexpr int64_t kAvroItemsMax = 32 << 20;

class AvroReader {
 public:
  /// Starts on a block; what was left of the budget of items stays.
  void Begin(ByteView block);

  bool ok() const { return fault_.empty(); }
  const std::string& fault() const { return fault_; }
  bool at_end() const { return position_ == block_.size(); }
  void Fail(std::string what);
  /// Pays for `items` that the caller is about to keep.
  void Charge(int64_t items);

  /// What is really there: a union's branch by the number read. Null for null, and after a fault.
  const AvroType* Enter(const AvroType& type);

  // `type` is what Enter gave. A kind that cannot be the wanted one is a fault.
  int64_t Integer(const AvroType& type);   // int, long
  int32_t Integer32(const AvroType& type);
  double Real(const AvroType& type);       // float, double
  bool Boolean(const AvroType& type);
  std::string_view Text(const AvroType& type);    // string, UTF-8 checked; bytes of the block
  std::string_view Binary(const AvroType& type);  // bytes, fixed
  void Skip(const AvroType& type);         // takes a union too

  /// Calls `visit(item_type)` for each item of an array; it must read exactly one item.
  template <typename Visit>
  void ForEach(const AvroType& type, Visit&& visit) {
    if (!Expect(type, AvroKind::kArray, "an array")) return;
    for (int64_t count = NextCount(); ok() && count > 0; count = NextCount()) {
      Charge(count);
      for (; ok() && count > 0; --count) {
        const size_t start = position_;
        visit(*type.branches[0]);
        if (position_ == start) Fail("array items that take no bytes");
      }
    }
  }

 private:
  bool Expect(const AvroType& type, AvroKind kind, std::string_view wanted);
  void Mismatch(const AvroType& type, std::string_view wanted);
  /// Pays for one value; the budget is what stops schemas that describe endless values without bytes.
  bool Step();
  int64_t Long();
  std::string_view Take(int64_t size_bytes);
  /// Items of the next block of an array or map; 0 at the end.
  int64_t NextCount();

  ByteView block_;
  size_t position_ = 0;
  int64_t steps_left_ = 0;
  int64_t items_left_ = kAvroItemsMax;
  int depth_ = 0;
  std::string fault_;
};

}  // namespace datashard::iceberg
