#include "one_row.h"

#include <array>
#include <memory>
#include <type_traits>
#include <utility>

namespace bench {
namespace {

// Children belong to their parent's private data; a consumer releases the parent, or moves a child out and releases it.
struct SchemaBody {
  std::vector<ArrowSchema> columns;
  std::vector<ArrowSchema*> pointers;
};
struct ColumnBody {
  std::array<const void*, 3> buffers{};
  std::array<int32_t, 2> offsets{};
  std::variant<int64_t, double, std::string> value;
  uint8_t validity = 0;
};
struct ArrayBody {
  std::vector<ArrowArray> columns;
  std::vector<ArrowArray*> pointers;
  std::array<const void*, 1> buffers{};
};
struct StreamBody {
  std::vector<Cell> cells;
  bool done = false;
};

void FreeSchema(ArrowSchema* schema) {
  auto* body = static_cast<SchemaBody*>(schema->private_data);
  if (body != nullptr) {
    for (ArrowSchema& column : body->columns) {
      if (column.release != nullptr) column.release(&column);
    }
  }
  delete body;
  schema->release = nullptr;
}

template <typename Body>
void FreeArray(ArrowArray* array) {
  std::unique_ptr<Body> body(static_cast<Body*>(array->private_data));
  if constexpr (std::is_same_v<Body, ArrayBody>) {
    for (ArrowArray& column : body->columns) {
      if (column.release != nullptr) column.release(&column);
    }
  }
  array->release = nullptr;
}

// Of the Arrow C interface, by the alternative of Cell::value.
constexpr std::array<const char*, 3> kFormats = {"l", "g", "u"};

int GetSchema(ArrowArrayStream* stream, ArrowSchema* out) {
  const auto& cells = static_cast<StreamBody*>(stream->private_data)->cells;
  auto body = std::make_unique<SchemaBody>();
  for (const Cell& cell : cells) {
    const int64_t flags = cell.nullable ? ARROW_FLAG_NULLABLE : 0;
    body->columns.push_back({kFormats[cell.value.index()], cell.name, nullptr, flags, 0, nullptr, nullptr, &FreeSchema, nullptr});
  }
  for (ArrowSchema& column : body->columns) body->pointers.push_back(&column);
  ArrowSchema** children = body->pointers.data();
  *out = {"+s", "", nullptr, 0, static_cast<int64_t>(cells.size()), children, nullptr, &FreeSchema, body.release()};
  return 0;
}

ArrowArray MakeColumn(Cell& cell) {
  auto body = std::make_unique<ColumnBody>();
  body->value = std::move(cell.value);
  body->validity = cell.is_null ? 0 : 1;
  body->buffers[0] = cell.is_null ? &body->validity : nullptr;
  int64_t buffers = 2;
  if (const auto* text = std::get_if<std::string>(&body->value)) {
    body->offsets = {0, static_cast<int32_t>(text->size())};
    body->buffers[1] = body->offsets.data();
    body->buffers[2] = text->data();
    buffers = 3;
  } else if (const auto* number = std::get_if<double>(&body->value)) {
    body->buffers[1] = number;
  } else {
    body->buffers[1] = std::get_if<int64_t>(&body->value);
  }
  const void** pointers = body->buffers.data();
  return {1, cell.is_null ? 1 : 0, 0, buffers, 0, pointers, nullptr, nullptr, &FreeArray<ColumnBody>, body.release()};
}

int GetNext(ArrowArrayStream* stream, ArrowArray* out) {
  auto* source = static_cast<StreamBody*>(stream->private_data);
  if (source->done) {
    *out = {};
    return 0;
  }
  source->done = true;
  auto body = std::make_unique<ArrayBody>();
  for (Cell& cell : source->cells) body->columns.push_back(MakeColumn(cell));
  for (ArrowArray& column : body->columns) body->pointers.push_back(&column);
  ArrowArray** children = body->pointers.data();
  const void** buffers = body->buffers.data();
  *out = {1, 0, 0, 1, static_cast<int64_t>(source->cells.size()), buffers, children, nullptr, &FreeArray<ArrayBody>, body.release()};
  return 0;
}

const char* LastError(ArrowArrayStream*) { return nullptr; }

void FreeStream(ArrowArrayStream* stream) {
  std::unique_ptr<StreamBody> body(static_cast<StreamBody*>(stream->private_data));
  stream->release = nullptr;
}

}  // namespace

datashard::ArrowStream OneRow(std::vector<Cell> cells) {
  auto body = std::make_unique<StreamBody>();
  body->cells = std::move(cells);
  ArrowArrayStream stream{&GetSchema, &GetNext, &LastError, &FreeStream, body.release()};
  return datashard::ArrowStream(&stream);
}

datashard::ArrowStream OneRow(const Record& record) {
  return OneRow({{"id", record.id},
                 {"user", record.user},
                 {"status", record.status},
                 {.name = "amount", .value = record.amount, .nullable = true, .is_null = !record.has_amount},
                 {"started_at", record.started_at}});
}

}  // namespace bench
