// Writing to standard output; see output.h. SIGPIPE is ignored by main, so a reader that left shows as EPIPE here.
#include "cli/output.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "cli/text.h"

namespace datashard::cli {
namespace {

constexpr size_t kBufferBytes = 64 << 10;
constexpr int32_t kGap = 2;           // columns between two cells
constexpr int32_t kTextWidthMin = 8;  // below this a shortened text says nothing
constexpr std::string_view kNullText = "null";

std::string Spaces(int32_t count) { return std::string(static_cast<size_t>(std::max(count, 0)), ' '); }

}  // namespace

Status Output::Write(std::string_view text) {
  buffer_ += text;
  return buffer_.size() < kBufferBytes ? Status() : Flush();
}

Status Output::Flush() {
  size_t written = 0;
  while (written < buffer_.size()) {
    const ssize_t count = ::write(fd_, buffer_.data() + written, buffer_.size() - written);
    if (count >= 0) {
      written += static_cast<size_t>(count);
    } else if (errno != EINTR) {
      const int error_number = errno;
      reader_gone_ = error_number == EPIPE;
      buffer_.clear();
      return Error(ErrorKind::kUnavailable, fmt::format("cannot write the output: {}", std::strerror(error_number)));
    }
  }
  buffer_.clear();
  return {};
}

TextTable::TextTable(Output& out, std::vector<Column> columns, std::string thing)
    : out_(out), columns_(std::move(columns)), thing_(std::move(thing)) {
  for (Column& column : columns_) column.name = Printable(column.name);
}

Status TextTable::AddRow(const Cells& cells) {
  Cells row(columns_.size());
  for (size_t i = 0; i < std::min(row.size(), cells.size()); ++i)
    if (cells[i]) row[i] = Printable(*cells[i]);
  ++rows_;
  if (!sampling_) return WriteRow(row);
  sample_.push_back(std::move(row));
  return sample_.size() < kSampleRows ? Status() : WriteSample();
}

Status TextTable::Finish() {
  if (sampling_) DS_RETURN_IF_ERROR(WriteSample());
  if (!out_.terminal().is_terminal) return {};
  std::string footer = fmt::format("{} {}{}", WithThousands(rows_), thing_, rows_ == 1 ? "" : "s");
  const size_t hidden = columns_.size() - columns_shown_;
  if (hidden > 0)
    footer += fmt::format(", {} more {} (--columns or --format jsonl shows them)", hidden,
                          hidden == 1 ? "column" : "columns");
  return out_.Write(out_.terminal().Dim(footer) + "\n");
}

// Takes from the widest text column, one column of the terminal at a time, until the rows fit.
void TextTable::FitWidths() {
  columns_shown_ = columns_.size();
  if (!out_.terminal().is_terminal) return;
  const auto total = [&] {
    int32_t sum = -kGap;
    for (size_t i = 0; i < columns_shown_; ++i) sum += widths_[i] + kGap;
    return sum;
  };
  while (total() > out_.terminal().width) {
    size_t widest = columns_shown_;
    for (size_t i = 0; i < columns_shown_; ++i)
      if (columns_[i].style == Style::kText && widths_[i] > kTextWidthMin &&
          (widest == columns_shown_ || widths_[i] > widths_[widest]))
        widest = i;
    if (widest < columns_shown_) {
      --widths_[widest];
    } else if (columns_shown_ > 1) {
      --columns_shown_;
    } else {
      return;
    }
  }
}

Status TextTable::WriteSample() {
  sampling_ = false;
  for (const Column& column : columns_) widths_.push_back(std::max(DisplayWidth(column.name), 1));
  for (const Cells& row : sample_)
    for (size_t i = 0; i < row.size(); ++i)
      widths_[i] = std::max(widths_[i], DisplayWidth(row[i] ? *row[i] : kNullText));
  FitWidths();
  std::string header;
  std::string rule;
  for (size_t i = 0; i < columns_shown_; ++i) {
    const std::string name = Shorten(columns_[i].name, widths_[i]);
    const std::string padding = Spaces(widths_[i] - DisplayWidth(name));
    if (i > 0) header += Spaces(kGap);
    if (i > 0) rule += Spaces(kGap);
    header += columns_[i].style == Style::kNumber ? padding + name : i + 1 < columns_shown_ ? name + padding : name;
    for (int32_t column = 0; column < widths_[i]; ++column) rule += "─";
  }
  DS_RETURN_IF_ERROR(out_.Write(out_.terminal().Bold(header) + "\n" + out_.terminal().Dim(rule) + "\n"));
  for (const Cells& row : sample_) DS_RETURN_IF_ERROR(WriteRow(row));
  sample_.clear();
  return {};
}

Status TextTable::WriteRow(const Cells& cells) {
  std::string line;
  for (size_t i = 0; i < columns_shown_; ++i) {
    if (i > 0) line += Spaces(kGap);
    const bool cut = out_.terminal().is_terminal && columns_[i].style == Style::kText;
    const std::string_view full = cells[i] ? std::string_view(*cells[i]) : kNullText;
    const std::string text = cut ? Shorten(full, widths_[i]) : std::string(full);
    const std::string padding = Spaces(widths_[i] - DisplayWidth(text));
    const std::string shown = cells[i] ? text : out_.terminal().Dim(text);
    line += columns_[i].style == Style::kNumber ? padding + shown : shown + padding;
  }
  line.resize(line.find_last_not_of(' ') + 1);
  return out_.Write(line + "\n");
}

std::string CsvRecord(const Cells& cells) {
  std::string record;
  for (size_t i = 0; i < cells.size(); ++i) {
    if (i > 0) record += ',';
    if (!cells[i]) continue;
    const std::string& text = *cells[i];
    // A single empty cell would be an empty line, so an empty text is always quoted; that also tells it from null.
    if (!text.empty() && text.find_first_of(",\"\r\n") == std::string::npos) {
      record += text;
      continue;
    }
    record += '"';
    for (const char c : text) {
      if (c == '"') record += '"';
      record += c;
    }
    record += '"';
  }
  return record + "\n";
}

JsonObject& JsonObject::Raw(std::string_view key, std::string_view json) {
  if (!text_.empty()) text_ += ",";
  text_ += JsonString(key);
  text_ += ":";
  text_ += json;
  return *this;
}
JsonObject& JsonObject::Text(std::string_view key, std::string_view value) { return Raw(key, JsonString(value)); }
JsonObject& JsonObject::Number(std::string_view key, int64_t value) { return Raw(key, fmt::format("{}", value)); }
JsonObject& JsonObject::Number(std::string_view key, std::optional<int64_t> value) {
  return Raw(key, value ? fmt::format("{}", *value) : "null");
}
JsonObject& JsonObject::Seconds(std::string_view key, double value) { return Raw(key, fmt::format("{:.3f}", value)); }
JsonObject& JsonObject::Flag(std::string_view key, bool value) { return Raw(key, value ? "true" : "false"); }

std::string JsonList(const std::vector<std::string>& items) {
  std::string list = "[";
  for (const std::string& item : items) {
    if (list.size() > 1) list += ",";
    list += item;
  }
  return list + "]";
}

}  // namespace datashard::cli
