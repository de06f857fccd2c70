// Terminal::Of asks the kernel and the environment once per channel.
#include "cli/terminal.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

namespace datashard::cli {
namespace {

std::string_view Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

int32_t WidthOf(int fd) {
  constexpr int32_t kWidthDefault = 80;
  winsize size{};
  int32_t width = ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
  if (width == 0) {
    const std::string_view columns = Environment("COLUMNS");
    std::from_chars(columns.data(), columns.data() + columns.size(), width);
  }
  return width <= 0 ? kWidthDefault : std::clamp(width, 20, 10'000);
}

}  // namespace

Terminal Terminal::Of(int fd) {
  Terminal terminal;
  terminal.is_terminal = isatty(fd) == 1;
  if (!terminal.is_terminal) return terminal;
  terminal.moves_cursor = Environment("TERM") != "dumb";
  terminal.colour = terminal.moves_cursor && Environment("NO_COLOR").empty();
  terminal.width = WidthOf(fd);
  return terminal;
}

std::string Terminal::Paint(std::string_view code, std::string_view text) const {
  return colour ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : std::string(text);
}

}  // namespace datashard::cli
