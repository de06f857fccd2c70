#include "cli/row_cutter.h"

#include <cerrno>
#include <memory>
#include <numeric>
#include <vector>

#include "support/matchers.h"

namespace datashard::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A stream of int64 batches of one column, made of the bare C structs. It counts the batches that are still alive.
struct Source {
  std::vector<std::vector<int64_t>> batches;
  int64_t fail_at = -1;  // the batch whose pull fails
  size_t next = 0;
  std::shared_ptr<int64_t> alive = std::make_shared<int64_t>(0);
};

struct BatchOwner {
  std::vector<int64_t> values;
  const void* column_buffers[2] = {nullptr, nullptr};
  const void* row_buffers[1] = {nullptr};
  ArrowArray column{};
  ArrowArray* columns[1] = {nullptr};
  std::shared_ptr<int64_t> alive;
};

int NextBatch(ArrowArrayStream* stream, ArrowArray* out) {
  auto& source = *static_cast<Source*>(stream->private_data);
  out->release = nullptr;
  if (static_cast<int64_t>(source.next) == source.fail_at) return EINVAL;
  if (source.next == source.batches.size()) return 0;
  auto* owner = new BatchOwner{.values = source.batches[source.next++], .alive = source.alive};
  ++*owner->alive;
  owner->column_buffers[1] = owner->values.data();
  owner->column = {.length = static_cast<int64_t>(owner->values.size()),
                   .n_buffers = 2,
                   .buffers = owner->column_buffers,
                   .release = [](ArrowArray* array) { array->release = nullptr; }};
  owner->columns[0] = &owner->column;
  *out = {.length = owner->column.length,
          .n_buffers = 1,
          .n_children = 1,
          .buffers = owner->row_buffers,
          .children = owner->columns,
          .release =
              [](ArrowArray* array) {
                const std::unique_ptr<BatchOwner> batch(static_cast<BatchOwner*>(array->private_data));
                --*batch->alive;
                array->release = nullptr;
              },
          .private_data = owner};
  return 0;
}

ArrowStream StreamOf(Source& source) {
  ArrowStream stream;
  stream->get_schema = [](ArrowArrayStream*, ArrowSchema*) { return ENOSYS; };
  stream->get_next = NextBatch;
  stream->get_last_error = [](ArrowArrayStream*) -> const char* { return "line 7 does not parse"; };
  stream->release = [](ArrowArrayStream* self) { self->release = nullptr; };
  stream->private_data = &source;
  return stream;
}

std::vector<int64_t> Rows(ArrowStream stream) {
  std::vector<int64_t> rows;
  while (true) {
    ArrowArrayHandle batch;
    EXPECT_EQ(stream->get_next(stream.get(), batch.get()), 0);
    if (batch.empty()) return rows;
    EXPECT_EQ(batch->offset, 0);
    const ArrowArray& column = *batch->children[0];
    EXPECT_EQ(column.length, batch->length);
    const auto* values = static_cast<const int64_t*>(column.buffers[1]) + column.offset;
    rows.insert(rows.end(), values, values + column.length);
  }
}

TEST(RowCutter, PiecesFollowEachOtherWithoutGapsWhateverTheBatches) {
  for (int64_t size = 1; size < 13; ++size) {
    Source source{.batches = {{0, 1, 2}, {}, {3}, {4, 5, 6, 7, 8}, {9, 10}}};
    RowCutter rows(StreamOf(source));
    std::vector<int64_t> all;
    while (true) {
      ASSERT_OK_AND_ASSIGN(const bool more, rows.HasMore());
      if (!more) break;
      const std::vector<int64_t> piece = Rows(rows.Next(size));
      EXPECT_TRUE(static_cast<int64_t>(piece.size()) == size || all.size() + piece.size() == 11u);
      all.insert(all.end(), piece.begin(), piece.end());
      EXPECT_EQ(rows.rows_handed_out(), static_cast<int64_t>(all.size()));
    }
    std::vector<int64_t> expected(11);
    std::iota(expected.begin(), expected.end(), 0);
    EXPECT_EQ(all, expected) << "pieces of " << size;
    EXPECT_EQ(*source.alive, 0) << "pieces of " << size;
  }
}

TEST(RowCutter, ASliceKeepsItsBatchAliveAndMayLoseColumnsToAConsumer) {
  Source source{.batches = {{0, 1, 2, 3}}};
  auto rows = std::make_unique<RowCutter>(StreamOf(source));
  ArrowStream piece = rows->Next(2);
  ArrowArrayHandle slice;
  ASSERT_EQ(piece->get_next(piece.get(), slice.get()), 0);
  ArrowArrayHandle column(slice->children[0]);  // moved out: the slice must not release it again
  slice.Reset();
  piece.Reset();
  rows.reset();
  EXPECT_EQ(*source.alive, 1);
  EXPECT_EQ(static_cast<const int64_t*>(column->buffers[1])[1], 1);
  column.Reset();
  EXPECT_EQ(*source.alive, 0);
}

TEST(RowCutter, NoRowsMeansNoPiece) {
  Source source{.batches = {{}, {}}};
  RowCutter rows(StreamOf(source));
  ASSERT_OK_AND_ASSIGN(const bool more, rows.HasMore());
  EXPECT_FALSE(more);
  EXPECT_THAT(Rows(rows.Next(5)), IsEmpty());
}

TEST(RowCutter, AFailedSourceKeepsItsErrorAndGivesNothingMore) {
  Source source{.batches = {{0, 1}, {2}}, .fail_at = 1};
  RowCutter rows(StreamOf(source));
  ArrowStream piece = rows.Next(10);
  ArrowArrayHandle batch;
  ASSERT_EQ(piece->get_next(piece.get(), batch.get()), 0);
  batch.Reset();
  EXPECT_EQ(rows.error(), std::nullopt) << "nothing failed yet";
  EXPECT_EQ(piece->get_next(piece.get(), batch.get()), EINVAL);
  EXPECT_STREQ(piece->get_last_error(piece.get()), rows.error()->message().c_str());
  EXPECT_THAT(rows.HasMore(), HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(rows.HasMore(), HasMessage("line 7 does not parse"));
}

TEST(RowCutter, TheCheckAroundABatchStopsThePull) {
  Source source{.batches = {{0, 1}, {2, 3}, {4, 5}}};
  std::vector<int64_t> seen;
  RowCutter rows(StreamOf(source), [&](int64_t taken) {
    seen.push_back(taken);
    return taken < 4 ? Status() : Status(Error(ErrorKind::kUnavailable, "interrupted"));
  });
  EXPECT_EQ(Rows(rows.Next(4)).size(), 4u);
  EXPECT_THAT(rows.HasMore(), HasMessage("interrupted"));
  EXPECT_THAT(seen, ElementsAre(0, 0, 2, 2, 4, 4));
  EXPECT_EQ(source.next, 2u);
}

TEST(RowCutter, ABatchThatWasPulledDuringAnInterruptionIsNotHandedOut) {
  Source source{.batches = {{0, 1}}};
  RowCutter rows(StreamOf(source), [&](int64_t) {
    return source.next == 0 ? Status() : Status(Error(ErrorKind::kUnavailable, "interrupted"));
  });
  EXPECT_THAT(rows.HasMore(), HasMessage("interrupted"));
  EXPECT_EQ(source.next, 1u);
  EXPECT_EQ(*source.alive, 0);
}

}  // namespace
}  // namespace datashard::cli
