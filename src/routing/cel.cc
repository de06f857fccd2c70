#include "routing/cel.h"

#include "base/error.h"
#include "routing/cel_check.h"
#include "routing/cel_eval.h"
#include "routing/cel_parser.h"

namespace datashard::routing {

CelValue CelValueOf(const KeyView& key) {
  switch (key.kind()) {
    case KeyView::Kind::kInt: return key.as_int();
    case KeyView::Kind::kUnsigned: return key.as_unsigned();
    case KeyView::Kind::kText: return CelText{key.bytes()};
    case KeyView::Kind::kBytes: break;
  }
  return CelBytes{key.bytes()};
}

using cel::ValueType;

void CelScratch::Clear() {
  blocks_.clear();
  inline_used_ = 0;
  taken_bytes_ = 0;
}

char* CelScratch::Take(size_t size_bytes) {
  constexpr size_t kBytesMax = 16 << 20;
  if (size_bytes > kBytesMax - taken_bytes_) return nullptr;
  taken_bytes_ += size_bytes;
  if (size_bytes <= sizeof inline_ - inline_used_) {
    char* const place = inline_ + inline_used_;
    inline_used_ += size_bytes;
    return place;
  }
  blocks_.push_back(std::make_unique_for_overwrite<char[]>(size_bytes));
  return blocks_.back().get();
}

CompiledCel::CompiledCel(std::unique_ptr<const cel::Program> program, Columns columns)
    : program_(std::move(program)), columns_(std::move(columns)) {}

CompiledCel::~CompiledCel() = default;

Result<std::shared_ptr<const CompiledCel>> CompiledCel::Compile(std::string expression, Columns columns) {
  DS_ASSIGN_OR_RETURN(std::unique_ptr<cel::Program> program, cel::Parse(std::move(expression)));
  DS_RETURN_IF_ERROR(cel::Check(*program, columns));
  return std::shared_ptr<const CompiledCel>(new CompiledCel(std::move(program), std::move(columns)));
}

CelType CompiledCel::result_type() const {
  switch (program_->nodes[program_->root].type) {
    case ValueType::kInt: return CelType::kInt;
    case ValueType::kUint: return CelType::kUint;
    case ValueType::kString: return CelType::kString;
    default: return CelType::kBytes;
  }
}

Result<KeyView> CompiledCel::Evaluate(std::span<const CelValue> values, CelScratch& scratch) const {
  if (values.size() != columns_.size()) {
    return InvalidArgument("the sharding expression reads {} columns; {} values were given", columns_.size(), values.size());
  }
  scratch.Clear();
  const cel::Value value = cel::Evaluation(*program_, values, scratch).Run();
  switch (value.type) {
    case ValueType::kInt: return KeyView::Int(value.i);
    case ValueType::kUint: return KeyView::Unsigned(value.u);
    case ValueType::kString: return KeyView::Text(value.bytes());
    case ValueType::kBytes: return KeyView::Bytes(value.bytes());
    default: return cel::Describe(*program_, value, columns_, values);
  }
}

Result<int32_t> ShardIdOf(const KeyView& result) {
  const bool fits = result.kind() == KeyView::Kind::kInt && result.as_int() >= 0 && result.as_int() < INT32_MAX;
  if (fits) return static_cast<int32_t>(result.as_int());
  return InvalidArgument("the sharding expression gives {}, which is no shard id; without routing values it gives 0, 1, 2 …", ToString(result));
}

}  // namespace datashard::routing
