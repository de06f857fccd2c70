// Makes a table with a long history and says in JSON which old snapshots can be read: see history_maker.h.
#include <charconv>
#include <cstdio>
#include <cstring>
#include <string>

#include "history_maker.h"

namespace {

constexpr const char* kUsage =
    "usage: make_history DIRECTORY SNAPSHOTS [--readable COUNT] [--seed NUMBER] [--all-live]\n"
    "DIRECTORY must not exist. --all-live: no commit overwrites another, and old data files are missing.\n";

template <typename Number>
bool Parse(const char* text, Number& number) {
  const char* const end = text + std::strlen(text);
  const auto parsed = std::from_chars(text, end, number);
  return parsed.ec == std::errc() && parsed.ptr == end;
}

bool ParseArguments(int argc, char** argv, bench::HistoryPlan& plan) {
  if (argc < 3 || !Parse(argv[2], plan.snapshots)) return false;
  plan.path = argv[1];
  for (int i = 3; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "--all-live") {
      plan.all_live = true;
    } else if (i + 1 == argc || !(option == "--readable"   ? Parse(argv[++i], plan.readable)
                                  : option == "--seed" && Parse(argv[++i], plan.seed))) {
      return false;
    }
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  bench::HistoryPlan plan;
  if (!ParseArguments(argc, argv, plan)) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  const auto made = bench::MakeHistory(plan);
  if (!made.ok()) {
    std::fprintf(stderr, "make_history: %s\n", made.error().ToString().c_str());
    return 1;
  }
  std::string readable;
  for (const bench::ReadableSnapshot& one : made->readable) {
    readable += (readable.empty() ? "[" : ", [") + std::to_string(one.snapshot_id) + ", " + std::to_string(one.sequence_number) +
                ", " + std::to_string(one.timestamp_ms) + "]";
  }
  std::printf("{\"snapshots\": %lld, \"made_by_hand\": %lld, \"first_timestamp_ms\": %lld, \"step_ms\": %lld, \"readable\": [%s]}\n",
              static_cast<long long>(plan.snapshots), static_cast<long long>(plan.snapshots - bench::kRealAppends),
              static_cast<long long>(made->first_timestamp_ms), static_cast<long long>(bench::kStepMs), readable.c_str());
  return 0;
}
