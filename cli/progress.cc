// Painting is at most ten times a second: a terminal over a slow line must not slow the work.
#include "cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "cli/text.h"

namespace datashard::cli {
namespace {

constexpr std::chrono::milliseconds kFirstPaintAfter{500};
constexpr std::chrono::milliseconds kPaintEvery{100};
constexpr double kEtaAfter_s = 1.0;  // an earlier guess jumps about

// A progress line that cannot be written is not worth failing the work for.
void WriteToStderr(std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(STDERR_FILENO, text.data(), text.size());
    if (count <= 0) return;
    text.remove_prefix(static_cast<size_t>(count));
  }
}

}  // namespace

std::string RenderProgress(const ProgressState& state, int32_t width) {
  const double elapsed_s = std::max(state.elapsed_s, 0.001);
  const double rate = static_cast<double>(state.done) / elapsed_s;
  std::string tail = state.in_bytes ? fmt::format("  {}/s", HumanBytes(rate))
                                    : fmt::format("  {} rows/s", WithThousands(static_cast<int64_t>(rate)));
  tail += fmt::format("  {} rows", WithThousands(state.rows));
  if (!state.total || *state.total <= 0) return Shorten(state.label + tail, width);

  const double fraction = std::clamp(static_cast<double>(state.done) / static_cast<double>(*state.total), 0.0, 1.0);
  if (rate > 0 && state.elapsed_s >= kEtaAfter_s)
    tail += "  ETA " + HumanDuration(static_cast<double>(std::max<int64_t>(*state.total - state.done, 0)) / rate);
  const std::string percent = fmt::format("  {:3}%", static_cast<int>(fraction * 100));
  constexpr int32_t kBarMin = 10;
  constexpr int32_t kBarMax = 30;
  const int32_t fixed = DisplayWidth(percent) + DisplayWidth(tail) + 4;  // two spaces and two brackets
  const int32_t label_width = std::clamp(width - fixed - kBarMin, 0, DisplayWidth(state.label));
  const std::string label = label_width > 0 ? Shorten(state.label, label_width) : "";
  const int32_t bar = std::min(width - fixed - DisplayWidth(label), kBarMax);
  if (bar < kBarMin) return Shorten(percent.substr(2) + tail, width);
  const int32_t filled = static_cast<int32_t>(fraction * bar);
  std::string cells(static_cast<size_t>(filled), '=');
  if (filled < bar) cells += '>';
  cells.resize(static_cast<size_t>(bar), ' ');
  return fmt::format("{}  [{}]{}{}", label, cells, percent, tail);
}

Progress::Progress(std::string label)
    : terminal_(Terminal::Of(STDERR_FILENO)),
      start_(std::chrono::steady_clock::now()),
      next_paint_(start_ + kFirstPaintAfter) {
  state_.label = std::move(label);
}

Progress::~Progress() { Clear(); }

void Progress::SetDone(int64_t done) {
  state_.done = done;
  MaybePaint();
}

void Progress::SetRows(int64_t rows) {
  state_.rows = rows;
  if (!state_.in_bytes) state_.done = rows;
  MaybePaint();
}

double Progress::elapsed_s() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

void Progress::Clear() {
  if (painted_) WriteToStderr("\r\x1b[K");
  painted_ = false;
}

void Progress::MaybePaint() {
  if (!terminal_.moves_cursor) return;
  const auto now = std::chrono::steady_clock::now();
  if (now < next_paint_) return;
  next_paint_ = now + kPaintEvery;
  state_.elapsed_s = elapsed_s();
  // The width is asked anew: terminals are resized during long imports. One column stays free, else some wrap.
  const int32_t width = Terminal::Of(STDERR_FILENO).width - 1;
  WriteToStderr("\r" + RenderProgress(state_, width) + "\x1b[K");
  painted_ = true;
}

}  // namespace datashard::cli
