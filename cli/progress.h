// A progress line on standard error for long work: how far, how fast, how long still. Only on a terminal, and only
// after the work has taken long enough to be worth a line.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "cli/terminal.h"

namespace datashard::cli {

/// What a progress line shows. Rows count up; the bar follows `done` of `total` in whatever unit the work has.
struct ProgressState {
  std::string label;
  int64_t rows = 0;
  int64_t done = 0;              ///< bytes read, or rows
  std::optional<int64_t> total;  ///< none: no bar and no ETA
  bool in_bytes = false;
  double elapsed_s = 0;
  bool operator==(const ProgressState&) const = default;
};

/// The line for `state` in at most `width` columns, without line end or colour:
/// "flights.csv  [=========>          ]  47%  12.1 MB/s  156,000 rows  ETA 0:03".
std::string RenderProgress(const ProgressState& state, int32_t width);

/// One progress line on file descriptor 2. One thread at a time.
class Progress {
 public:
  explicit Progress(std::string label);
  /// Removes the line.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void SetLabel(std::string label) { state_.label = std::move(label); }
  void SetTotal(int64_t total) { state_.total = total; }
  void SetInBytes(bool in_bytes) { state_.in_bytes = in_bytes; }
  void SetDone(int64_t done);
  void SetRows(int64_t rows);

  double elapsed_s() const;
  /// Removes the line from the terminal, before other text is written there.
  void Clear();

 private:
  void MaybePaint();

  const Terminal terminal_;
  const std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point next_paint_;
  ProgressState state_;
  bool painted_ = false;
};

}  // namespace datashard::cli
