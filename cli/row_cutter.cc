// The C structs of the pieces. A slice is made by moving the offsets of the columns: a batch's own offset must stay 0,
// importers refuse any other. Each node of a slice is a node of its own, because a consumer may move any of them away.
#include "cli/row_cutter.h"

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "datashard/rows.h"

namespace datashard::cli {

struct RowCutter::State {
  ArrowStream source;
  std::function<Status(int64_t)> check;
  std::shared_ptr<ArrowArrayHandle> batch;  // shared by the slices taken from it
  int64_t batch_offset = 0;                 // rows of `batch` already handed out
  int64_t rows = 0;
  bool ended = false;
  std::optional<Error> error;

  // Makes sure `batch` has a row left, unless the rows are at their end.
  Status Fill() {
    while (!error && !ended && (batch == nullptr || batch_offset == batch->get()->length)) {
      batch = nullptr;
      batch_offset = 0;
      Check();
      if (!error) Pull();
      // Again: an input that was interrupted in the meantime ends early, and its last row may be half a row.
      Check();
      if (error) batch = nullptr;
    }
    return error ? Status(*error) : Status();
  }

 private:
  void Check() {
    if (!check) return;
    Status status = check(rows);
    if (!status.ok()) error = std::move(status).error();
  }

  void Pull() {
    auto next = std::make_shared<ArrowArrayHandle>();
    const int code = source->get_next(source.get(), next->get());
    if (code != 0) {
      next->get()->release = nullptr;  // the interface leaves it undefined after a failure
      error = data::StreamError(*source.get(), code);
    } else if (next->empty()) {
      ended = true;
    } else {
      batch = std::move(next);
    }
  }
};

namespace {

struct SliceNode {
  std::shared_ptr<ArrowArrayHandle> owner;
  std::vector<ArrowArray> children;
  std::vector<ArrowArray*> child_pointers;
  ArrowArray dictionary{};
};

void ReleaseSlice(ArrowArray* array) {
  const std::unique_ptr<SliceNode> node(static_cast<SliceNode*>(array->private_data));
  for (ArrowArray& child : node->children)
    if (child.release != nullptr) child.release(&child);
  if (node->dictionary.release != nullptr) node->dictionary.release(&node->dictionary);
  array->release = nullptr;
}

// A node over the same buffers as `from`, with nodes of its own beneath it.
ArrowArray Share(const ArrowArray& from, const std::shared_ptr<ArrowArrayHandle>& owner) {
  auto node = std::make_unique<SliceNode>();
  node->owner = owner;
  for (int64_t i = 0; i < from.n_children; ++i) node->children.push_back(Share(*from.children[i], owner));
  for (ArrowArray& child : node->children) node->child_pointers.push_back(&child);
  ArrowArray to = from;
  to.children = node->child_pointers.empty() ? nullptr : node->child_pointers.data();
  if (from.dictionary != nullptr) {
    node->dictionary = Share(*from.dictionary, owner);
    to.dictionary = &node->dictionary;
  }
  to.release = ReleaseSlice;
  to.private_data = node.release();
  return to;
}

struct Slice {
  int64_t offset;
  int64_t length;
};

ArrowArray Cut(const std::shared_ptr<ArrowArrayHandle>& batch, Slice slice) {
  ArrowArray cut = Share(*batch->get(), batch);
  cut.length = slice.length;
  for (int64_t i = 0; i < cut.n_children; ++i) {
    ArrowArray& column = *cut.children[i];
    // None stays none and all stays all; in between somebody has to count again.
    if (column.null_count != 0) column.null_count = column.null_count == column.length ? slice.length : -1;
    column.offset += slice.offset;
    column.length = slice.length;
  }
  return cut;
}

struct Piece {
  std::shared_ptr<RowCutter::State> state;
  int64_t rows_left;
  std::string error;
};

Piece& PieceOf(ArrowArrayStream* stream) { return *static_cast<Piece*>(stream->private_data); }

int ErrnoOf(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInvalidArgument:
      return EINVAL;
    case ErrorKind::kUnsupported:
      return ENOSYS;
    default:
      return EIO;
  }
}

int PieceSchema(ArrowArrayStream* stream, ArrowSchema* out) {
  ArrowStream& source = PieceOf(stream).state->source;
  return source->get_schema(source.get(), out);
}

int PieceNext(ArrowArrayStream* stream, ArrowArray* out) {
  Piece& piece = PieceOf(stream);
  RowCutter::State& state = *piece.state;
  out->release = nullptr;
  if (piece.rows_left == 0) return 0;
  const Status filled = state.Fill();
  if (!filled.ok()) {
    piece.error = filled.error().message();
    return ErrnoOf(filled.kind());
  }
  if (state.ended) return 0;
  const int64_t left = state.batch->get()->length - state.batch_offset;
  const int64_t length = std::min(left, piece.rows_left);
  if (state.batch_offset == 0 && length == left) {
    state.batch->MoveTo(out);
    state.batch = nullptr;
  } else {
    *out = Cut(state.batch, {.offset = state.batch_offset, .length = length});
    state.batch_offset += length;
  }
  state.rows += length;
  piece.rows_left -= length;
  return 0;
}

const char* PieceError(ArrowArrayStream* stream) {
  const std::string& error = PieceOf(stream).error;
  return error.empty() ? nullptr : error.c_str();
}

void ReleasePiece(ArrowArrayStream* stream) {
  const std::unique_ptr<Piece> piece(static_cast<Piece*>(stream->private_data));
  stream->release = nullptr;
}

}  // namespace

RowCutter::RowCutter(ArrowStream source, std::function<Status(int64_t)> check) : state_(std::make_shared<State>()) {
  state_->source = std::move(source);
  state_->check = std::move(check);
}
RowCutter::~RowCutter() = default;

Result<bool> RowCutter::HasMore() {
  DS_RETURN_IF_ERROR(state_->Fill());
  return !state_->ended;
}

ArrowStream RowCutter::Next(int64_t rows) {
  ArrowStream stream;
  stream->get_schema = PieceSchema;
  stream->get_next = PieceNext;
  stream->get_last_error = PieceError;
  stream->release = ReleasePiece;
  stream->private_data = new Piece{state_, rows, {}};
  return stream;
}

Result<ArrowSchemaHandle> RowCutter::schema() {
  ArrowSchemaHandle schema;
  const int code = state_->source->get_schema(state_->source.get(), schema.get());
  if (code == 0) return schema;
  schema.get()->release = nullptr;
  return data::StreamError(*state_->source.get(), code);
}

int64_t RowCutter::rows_handed_out() const { return state_->rows; }
const std::optional<Error>& RowCutter::error() const { return state_->error; }

}  // namespace datashard::cli
