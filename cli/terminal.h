// What the two output channels are: a person's terminal or a pipe, how wide, with colour or without.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace datashard::cli {

struct Terminal {
  bool is_terminal = false;
  bool colour = false;        ///< a terminal that is not "dumb", and NO_COLOR is unset or empty
  bool moves_cursor = false;  ///< can repaint a line: a terminal that is not "dumb"
  int32_t width = 80;         ///< columns

  /// As file descriptor `fd` (1 or 2) and the environment say: TERM, NO_COLOR, COLUMNS where the terminal has no size.
  static Terminal Of(int fd);

  std::string Bold(std::string_view text) const { return Paint("1", text); }
  std::string Dim(std::string_view text) const { return Paint("2", text); }
  std::string Red(std::string_view text) const { return Paint("31", text); }

 private:
  std::string Paint(std::string_view code, std::string_view text) const;
};

}  // namespace datashard::cli
