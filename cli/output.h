// Standard output: a buffered writer that notices a reader that has gone, tables for a terminal, CSV records, and JSON
// objects for what is not rows.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "datashard/result.h"
#include "cli/terminal.h"

namespace datashard::cli {

/// Buffers up to 64 KiB. Nothing is written by the destructor: Flush reports errors, a destructor could not.
class Output {
 public:
  explicit Output(int fd) : fd_(fd), terminal_(Terminal::Of(fd)) {}
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  /// Errors: kUnavailable; reader_gone() tells a closed pipe, which is no failure of ours, from a full disk.
  Status Write(std::string_view text);
  Status Flush();
  bool reader_gone() const { return reader_gone_; }
  const Terminal& terminal() const { return terminal_; }

 private:
  const int fd_;
  const Terminal terminal_;
  std::string buffer_;
  bool reader_gone_ = false;
};

using Cells = std::vector<std::optional<std::string>>;

/// Rows as aligned columns. The first kSampleRows rows set the widths, then rows are written as they come. On a
/// terminal texts are shortened and, where even that does not fit, the last columns left out and counted in the footer.
/// Elsewhere nothing is cut.
class TextTable {
 public:
  static constexpr size_t kSampleRows = 200;
  enum class Style {
    kText,    ///< shortened where the terminal is too narrow
    kWhole,   ///< dates, times and the like: half of one says something wrong
    kNumber,  ///< the same, and aligned to the right
  };
  struct Column {
    std::string name;
    Style style = Style::kText;
  };
  /// `thing` is what the footer counts: "row".
  TextTable(Output& out, std::vector<Column> columns, std::string thing = "row");

  Status AddRow(const Cells& cells);
  /// Writes what is still sampled, and on a terminal a line with the number of rows.
  Status Finish();

 private:
  Status WriteSample();
  Status WriteRow(const Cells& cells);
  void FitWidths();

  Output& out_;
  std::vector<Column> columns_;
  const std::string thing_;
  std::vector<int32_t> widths_;
  std::vector<Cells> sample_;
  size_t columns_shown_ = 0;
  bool sampling_ = true;
  int64_t rows_ = 0;
};

/// One CSV record (RFC 4180) with its line end "\n": null is empty, an empty text is "".
std::string CsvRecord(const Cells& cells);

/// A JSON object written key by key, in order.
class JsonObject {
 public:
  JsonObject& Text(std::string_view key, std::string_view value);
  JsonObject& Number(std::string_view key, int64_t value);
  JsonObject& Number(std::string_view key, std::optional<int64_t> value);  ///< none: null
  JsonObject& Seconds(std::string_view key, double value);                 ///< three digits after the point
  JsonObject& Flag(std::string_view key, bool value);
  /// `json` is JSON already.
  JsonObject& Raw(std::string_view key, std::string_view json);
  std::string Done() const { return "{" + text_ + "}"; }

 private:
  std::string text_;
};

/// The texts of `items`, each JSON, as a list.
std::string JsonList(const std::vector<std::string>& items);

}  // namespace datashard::cli
