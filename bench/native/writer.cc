#include "writer.h"

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

namespace bench {
namespace {

constexpr int64_t kIdsPerWriter = 10'000'000;  // as in bench/commit_worker.py
constexpr int kWarmUpAttempts = 50;

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string Quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out + "\"";
}

}  // namespace

Record MakeRecord(int64_t id) {
  static const char* const kStatuses[] = {"queued", "running", "success", "failed", "retrying"};
  return {id, "user-" + std::to_string(id * 7919 % 1'000'003), kStatuses[id % 5], static_cast<double>(id) * 0.25,
          id % 11 != 0, 1'700'000'000'000 + id * 13};
}

std::string ToJsonLine(const Record& record) {
  char amount[40] = "null";
  if (record.has_amount) std::snprintf(amount, sizeof amount, "%.2f", record.amount);
  return "{\"id\": " + std::to_string(record.id) + ", \"user\": \"" + record.user + "\", \"status\": \"" + record.status +
         "\", \"amount\": " + amount + ", \"started_at\": " + std::to_string(record.started_at) + "}\n";
}

int RunWriter(int argc, char** argv, const Open& open) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: %s DIRECTORY WRITER SECONDS\n", argv[0]);
    return 2;
  }
  const std::string directory = argv[1];
  const std::string writer = argv[2];
  const double seconds = std::atof(argv[3]);
  const int64_t first = std::atoll(writer.c_str()) * kIdsPerWriter;
  const Append append = open(directory);

  int64_t number = 0;
  std::vector<std::pair<int64_t, std::string>> raised;
  for (;;) {
    std::string error = append(MakeRecord(first + number++));
    if (error.empty()) break;
    if (number == kWarmUpAttempts) {
      std::fprintf(stderr, "the warm-up never succeeded: %s\n", error.c_str());
      return 1;
    }
    raised.emplace_back(number - 1, std::move(error));
  }
  const size_t warm_up_raised = raised.size();
  std::puts("ready");
  std::fflush(stdout);
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }  // its end is the signal for all writers at once

  std::vector<double> latencies;
  int64_t in_time = 0;
  const double start = Now();
  double now = start;
  while (now < start + seconds) {
    const double before = now;
    std::string error = append(MakeRecord(first + number++));
    now = Now();
    if (error.empty()) {
      latencies.push_back(now - before);
      if (now <= start + seconds) ++in_time;
    } else {
      raised.emplace_back(number - 1, std::move(error));
    }
  }

  const std::string path = directory + "/../latencies-" + writer;
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr || std::fwrite(latencies.data(), sizeof(double), latencies.size(), file) != latencies.size() ||
      std::fclose(file) != 0) {
    Die(path);
  }
  std::string report = "{\"attempts\": " + std::to_string(number) + ", \"in_time\": " + std::to_string(in_time) +
                       ", \"warm_up_raised\": " + std::to_string(warm_up_raised) + ", \"raised\": [";
  for (size_t i = 0; i < raised.size(); ++i) {
    report += (i == 0 ? "[" : ", [") + std::to_string(raised[i].first) + ", " + Quoted(raised[i].second) + "]";
  }
  std::puts((report + "]}").c_str());
  return 0;
}

void Die(const std::string& what) {
  std::fprintf(stderr, "%s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(1);
}

}  // namespace bench
