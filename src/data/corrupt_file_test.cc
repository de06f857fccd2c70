// Damaged files: whatever bit flips and wherever a file ends, a read fails or gives exactly the rows that were written.
#include <gtest/gtest.h>

#include <random>

#include "data/data_test_support.h"

namespace datashard::data {
namespace {

struct Written {
  Schema schema;
  std::shared_ptr<ObjectStore> store;
  DataFile file;
  Bytes bytes;
  TablePtr rows;
};

Written WriteSome() {
  Written w{.schema = SchemaOf({{"id!", "long"}, {"word", "string"}, {"x", "double"}, {"d", "decimal(9, 2)"}}), .store = TestStore()};
  arrow::Int64Builder ids;
  arrow::StringBuilder words;
  arrow::DoubleBuilder reals;
  for (int64_t i = 0; i < 1200; ++i) {
    EXPECT_TRUE(ids.Append(i * i).ok() && (i % 7 == 0 ? words.AppendNull() : words.Append(i % 3 == 0 ? "three" : "other")).ok() &&
                reals.Append(static_cast<double>(i) / 3).ok());
  }
  const auto batch = Batch({{"id", ids.Finish().ValueOrDie()}, {"word", words.Finish().ValueOrDie()}, {"x", reals.Finish().ValueOrDie()},
                            {"d", arrow::MakeArrayOfNull(arrow::decimal128(9, 2), 1200).ValueOrDie()}});
  w.file = *WriteFile(*w.store, "f", w.schema, {batch}, {.row_group_rows = 700});
  w.bytes = *w.store->Get("f");
  w.rows = *Scan(w.store, PlanOf(w.schema, {{"f", w.file}}));
  return w;
}

// Pages carry a CRC; their headers and the footer do not, and are kept honest by what has to agree: sizes, row counts,
// types, encodings. With every single bit of this file flipped in turn, no read gave other rows; one bit per byte here.
TEST(Damage, AFlippedBitFailsTheReadOrChangesNothing) {
  Written w = WriteSome();
  size_t failed = 0;
  size_t same = 0;
  for (size_t at = 0; at < w.bytes.size(); ++at) {
    Bytes damaged = w.bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << (at * 5 % 8)));
    ASSERT_THAT(w.store->Replace("f", damaged), IsOk());
    const auto read = Scan(w.store, PlanOf(w.schema, {{"f", w.file}}));
    if (!read.ok()) {
      EXPECT_THAT(read, HasKind(ErrorKind::kCorruption)) << at;
      EXPECT_THAT(read, HasMessage("data file f")) << at;
      ++failed;
      continue;
    }
    EXPECT_TRUE(SameRows(**read, *w.rows)) << at;
    ++same;
  }
  EXPECT_GT(failed, w.bytes.size() / 2);
  EXPECT_GT(same, 0u);  // unused parts: statistics, page index
}

TEST(Damage, PagesAreChecked) {
  Written w = WriteSome();
  // The last bytes before the second row group's first page belong to a page of the first one.
  Bytes damaged = w.bytes;
  damaged[static_cast<size_t>(w.file.split_offsets[1]) - 1] ^= 1;
  ASSERT_THAT(w.store->Replace("f", damaged), IsOk());
  const auto read = Scan(w.store, PlanOf(w.schema, {{"f", w.file}}));
  EXPECT_THAT(read, HasKind(ErrorKind::kCorruption));
  EXPECT_THAT(read, HasSubject(ErrorSubject::kDataFile));
}

TEST(Damage, ATruncatedFileIsRefusedWhereverItEnds) {
  Written w = WriteSome();
  for (size_t size = 0; size < w.bytes.size(); size += 1 + w.bytes.size() / 300) {
    ASSERT_THAT(w.store->Replace("f", ByteView(w.bytes).substr(0, size)), IsOk());
    EXPECT_THAT(Scan(w.store, PlanOf(w.schema, {{"f", w.file}})), HasKind(ErrorKind::kCorruption)) << size;
    DataFile lying = w.file;  // a manifest that agrees on the size does not help
    lying.file_size_in_bytes = static_cast<int64_t>(size);
    EXPECT_THAT(Scan(w.store, PlanOf(w.schema, {{"f", lying}})), HasKind(ErrorKind::kCorruption)) << size;
  }
}

TEST(Damage, NoiseIsNoParquetFile) {
  Written w = WriteSome();
  std::minstd_rand random(17);
  for (int round = 0; round < 200; ++round) {
    Bytes noise = w.bytes;
    const size_t from = random() % noise.size();
    const size_t to = std::min(noise.size(), from + 1 + random() % 64);
    for (size_t i = from; i < to; ++i) noise[i] = static_cast<char>(random());
    ASSERT_THAT(w.store->Replace("f", noise), IsOk());
    const auto read = Scan(w.store, PlanOf(w.schema, {{"f", w.file}}));
    ASSERT_EQ(read.ok() ? (*read)->num_rows() : 1200, 1200) << round;
  }
}

}  // namespace
}  // namespace datashard::data
