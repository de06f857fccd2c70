// A writer of dev/stress.py as a C++ program: appends rows one by one, a thread for each lane, until it is done, told to stop,
// or killed. The same steps as dev/stress_writer.py, which describes them and the file of the progress.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "datashard/table.h"
#include "one_row.h"

namespace {

using Word = std::atomic<int64_t>;
static_assert(sizeof(Word) == 8 && Word::is_always_lock_free);
enum Phase : int64_t { kWait = 0, kGo = 1, kStop = 2 };

struct Progress {
  Progress(const char* path, int64_t lanes) {
    const size_t size_bytes = 8 * (1 + 3 * static_cast<size_t>(lanes));
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) bench::Die(path);
    void* const memory = mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) bench::Die(path);
    close(fd);
    phase = static_cast<Word*>(memory);
    settled = phase + 1;
    ready = settled + lanes;
    longest_us = ready + lanes;
  }
  Word* phase;
  Word* settled;
  Word* ready;
  Word* longest_us;
};

struct Task {
  int64_t writer;
  int64_t appends;
  size_t row_bytes;
  int errors;
};

void Note(const Task& task, int64_t row, std::string message) {
  for (char& c : message) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  const std::string line = std::to_string(row) + "\t" + message + "\n";
  if (write(task.errors, line.data(), line.size()) != static_cast<ssize_t>(line.size())) bench::Die("errors");
}

void Work(datashard::Table& table, Progress& progress, const Task& task, int64_t lane, int64_t first) {
  progress.ready[lane] = 1;
  while (*progress.phase == kWait) std::this_thread::sleep_for(std::chrono::milliseconds(100));
  for (int64_t number = first; number < task.appends && *progress.phase != kStop; ++number) {
    const int64_t row = lane * task.appends + number;
    std::string note = std::to_string(lane) + "/" + std::to_string(number);
    if (note.size() < task.row_bytes) note.resize(task.row_bytes, ' ');
    const auto start = std::chrono::steady_clock::now();
    const auto appended = table.Append(bench::OneRow({{"id", row}, {"writer", task.writer}, {"note", std::move(note), true}}));
    const auto took = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - start);
    if (!appended.ok()) Note(task, row, appended.error().ToString());
    if (took.count() > progress.longest_us[lane]) progress.longest_us[lane] = took.count();
    progress.settled[lane] = number + 1;
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 9) {
    std::fprintf(stderr, "usage: %s TABLE PROGRESS ERRORS LANES APPENDS WRITER ROW_BYTES LANE:FIRST...\n", argv[0]);
    return 2;
  }
  Progress progress(argv[2], std::atoll(argv[4]));
  const Task task{std::atoll(argv[6]), std::atoll(argv[5]), std::strtoull(argv[7], nullptr, 10), open(argv[3], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)};
  if (task.errors < 0) bench::Die(argv[3]);
  auto opened = datashard::Table::Open(argv[1]);
  if (!opened.ok()) {
    std::fprintf(stderr, "%s\n", opened.error().ToString().c_str());
    return 1;
  }
  std::vector<std::thread> threads;
  for (int i = 8; i < argc; ++i) {
    const std::string lane = argv[i];
    threads.emplace_back(Work, std::ref(**opened), std::ref(progress), std::cref(task), std::atoll(lane.c_str()),
                         std::atoll(lane.c_str() + lane.find(':') + 1));
  }
  for (std::thread& thread : threads) thread.join();
  return 0;
}
