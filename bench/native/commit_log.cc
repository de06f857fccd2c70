// Writer to one shared log: a line per record by O_APPEND, then fdatasync.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "writer.h"

int main(int argc, char** argv) {
  return bench::RunWriter(argc, argv, [](const std::string& directory) -> bench::Append {
    const std::string path = directory + "/log";
    const int fd = open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0) bench::Die(path);
    return [fd](const bench::Record& record) -> std::string {
      const std::string line = bench::ToJsonLine(record);
      if (write(fd, line.data(), line.size()) != static_cast<ssize_t>(line.size())) return std::strerror(errno);
      return fdatasync(fd) == 0 ? "" : std::strerror(errno);
    };
  });
}
