#include "cli/output.h"

#include <fcntl.h>
#include <unistd.h>

#include <csignal>

#include "cli/progress.h"
#include "support/matchers.h"

namespace datashard::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(CsvRecord, QuotesWhatNeedsIt) {
  EXPECT_EQ(CsvRecord({"a", "b c", "1"}), "a,b c,1\n");
  EXPECT_EQ(CsvRecord({"a,b", "say \"hi\"", "x\ny", "x\ry"}), "\"a,b\",\"say \"\"hi\"\"\",\"x\ny\",\"x\ry\"\n");
}

TEST(CsvRecord, NullIsEmptyAndEmptyTextIsQuoted) {
  EXPECT_EQ(CsvRecord({std::nullopt, "", std::nullopt}), ",\"\",\n");
  EXPECT_EQ(CsvRecord({""}), "\"\"\n");
}

TEST(JsonObject, KeepsTheOrderOfItsKeys) {
  EXPECT_EQ(JsonObject()
                .Text("b", "x\"")
                .Number("a", 5)
                .Number("none", std::nullopt)
                .Flag("f", true)
                .Seconds("s", 1.25)
                .Raw("l", JsonList({"1", "2"}))
                .Done(),
            R"({"b":"x\"","a":5,"none":null,"f":true,"s":1.250,"l":[1,2]})");
  EXPECT_EQ(JsonObject().Done(), "{}");
}

// What `write` puts into an Output that is a pipe.
std::string Piped(const std::function<Status(Output&)>& write) {
  int ends[2] = {-1, -1};
  EXPECT_EQ(pipe(ends), 0);
  Output out(ends[1]);
  EXPECT_THAT(write(out), IsOk());
  EXPECT_THAT(out.Flush(), IsOk());
  close(ends[1]);
  std::string text(65'536, '\0');
  const ssize_t size = read(ends[0], text.data(), text.size());
  close(ends[0]);
  text.resize(size < 0 ? 0 : static_cast<size_t>(size));
  return text;
}

TEST(TextTable, AlignsNumbersRightAndCutsNothingInAPipe) {
  const std::string long_text(200, 'x');
  const std::string text = Piped([&](Output& out) -> Status {
    TextTable table(out, {{"id", TextTable::Style::kNumber}, {"name"}, {"ok"}});
    DS_RETURN_IF_ERROR(table.AddRow({"7", "漢", std::nullopt}));
    DS_RETURN_IF_ERROR(table.AddRow({"1234", "\x1b[31mred", long_text}));
    return table.Finish();
  });
  EXPECT_THAT(text, HasSubstr("  id  name         ok\n"));
  EXPECT_THAT(text, HasSubstr("   7  漢           null\n"));
  EXPECT_THAT(text, HasSubstr("1234  \\x1b[31mred  " + long_text + "\n"));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  EXPECT_THAT(text, Not(HasSubstr("2 rows")));
}

TEST(TextTable, RowsAfterTheSampleAreWrittenToo) {
  const std::string text = Piped([&](Output& out) -> Status {
    TextTable table(out, {{"n", TextTable::Style::kNumber}});
    for (size_t i = 0; i < TextTable::kSampleRows + 2; ++i) DS_RETURN_IF_ERROR(table.AddRow({std::to_string(i)}));
    DS_RETURN_IF_ERROR(table.AddRow({"123456789"}));
    return table.Finish();
  });
  EXPECT_THAT(text, HasSubstr("\n  0\n"));
  EXPECT_THAT(text, HasSubstr("\n201\n123456789\n"));
}

TEST(Output, AReaderThatHasGoneIsToldFromAFullDisk) {
  const auto before = std::signal(SIGPIPE, SIG_IGN);
  int ends[2] = {-1, -1};
  ASSERT_EQ(pipe(ends), 0);
  close(ends[0]);
  Output gone(ends[1]);
  ASSERT_THAT(gone.Write("x"), IsOk());
  EXPECT_THAT(gone.Flush(), HasKind(ErrorKind::kUnavailable));
  EXPECT_TRUE(gone.reader_gone());
  close(ends[1]);
  std::signal(SIGPIPE, before);

  const int full_fd = open("/dev/full", O_WRONLY);
  ASSERT_GE(full_fd, 0);
  Output full(full_fd);
  ASSERT_THAT(full.Write("x"), IsOk());
  EXPECT_THAT(full.Flush(), HasMessage("No space left"));
  EXPECT_FALSE(full.reader_gone());
  close(full_fd);
}

TEST(Progress, ShowsBarRateRowsAndEta) {
  const ProgressState state{.label = "flights.csv",
                            .rows = 156'000,
                            .done = 15'000'000,
                            .total = 30'000'000,
                            .in_bytes = true,
                            .elapsed_s = 3};
  EXPECT_EQ(RenderProgress(state, 100),
            "flights.csv  [===============>              ]   50%  5.0 MB/s  156,000 rows  ETA 0:03");
}

TEST(Progress, WithoutATotalThereIsNoBarAndNoEta) {
  const ProgressState state{
      .label = "standard input", .rows = 5'000, .done = 100'000, .in_bytes = true, .elapsed_s = 2};
  EXPECT_EQ(RenderProgress(state, 100), "standard input  50.0 kB/s  5,000 rows");
}

TEST(Progress, NeverIsWiderThanItsTerminal) {
  ProgressState state{.label = "a very long name of a file that goes on and on.csv.gz",
                      .rows = 1'000'000'000,
                      .done = 7,
                      .total = 9,
                      .in_bytes = true,
                      .elapsed_s = 50};
  for (int32_t width = 20; width < 140; ++width)
    EXPECT_LE(RenderProgress(state, width).size(), static_cast<size_t>(width) + 2) << width;
  state.done = 11;  // more than there should be: a file that grew
  EXPECT_THAT(RenderProgress(state, 120), HasSubstr("100%"));
}

}  // namespace
}  // namespace datashard::cli
