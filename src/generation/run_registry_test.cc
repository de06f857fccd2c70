// Records of runs: their bytes, the registry, and the heartbeat that keeps them fresh.
#include <gmock/gmock.h>

#include <mutex>

#include "base/random.h"
#include "generation/object_run_registry.h"
#include "generation/run_heartbeat.h"
#include "generation/run_record.h"
#include "generation/yaml_text.h"
#include "sim/sim_clock.h"
#include "support/matchers.h"

namespace datashard::generation {
namespace {

struct Surroundings {
  sim::SimClock clock;
  std::unique_ptr<Random> random = SeededRandom(7);
  MetricSums metrics;
  Outside outside{clock, *random, metrics, SilentLog()};
};

RunRecord SomeRecord() {
  return {.run_id = "0f3c", .writer_type = "python", .started_at = sim::SimClock::kStart, .updated_at = sim::SimClock::kStart,
          .lease_expires_at = sim::SimClock::kStart + std::chrono::minutes(10), .s3_prefix = "s3://b/p", .shard_prefix = "shards",
          .db_path_template = "db={db_id:05d}"};
}

TEST(YamlText, IsWhatPyYamlWrites) {
  // Made with PyYAML 6: yaml.safe_dump({"k": text}).
  const std::pair<std::string, const char*> texts[] = {
      {"a b", "k: a b\n"},
      {"", "k: ''\n"},
      {"1.5", "k: '1.5'\n"},
      {"12", "k: '12'\n"},
      {"0x1f", "k: '0x1f'\n"},
      {"yes", "k: 'yes'\n"},
      {"~", "k: '~'\n"},
      {"s3://b/p", "k: s3://b/p\n"},
      {"db={db_id:05d}", "k: db={db_id:05d}\n"},
      {"it's", "k: it's\n"},
      {"- a", "k: '- a'\n"},
      {"a: b", "k: 'a: b'\n"},
      {"a #b", "k: 'a #b'\n"},
      {"a:", "k: 'a:'\n"},
      {"#x", "k: '#x'\n"},
      {"word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word end", "k: word word word word word word word word word word word word word word word word\n  word word word word word word word word word word word word word word end\n"},
      {"line\nbreak", "k: 'line\n\n  break'\n"},
      {"two\n\nlines and 'q'", "k: 'two\n\n\n  lines and ''q'''\n"},
      {" lead", "k: ' lead'\n"},
      {"trail ", "k: 'trail '\n"},
      {"tab\011here", "k: \"tab\\there\"\n"},
      {"h\303\251llo \342\202\254 \360\237\230\200", "k: \"h\\xE9llo \\u20AC \\U0001F600\"\n"},
      {"2026-11-21T07:38:13.884350Z", "k: '2026-11-21T07:38:13.884350Z'\n"},
      {"2026-11-21", "k: '2026-11-21'\n"},
      {"1e5", "k: 1e5\n"},
      {"1.0e+5", "k: '1.0e+5'\n"},
      {"12:30", "k: '12:30'\n"},
      {"null", "k: 'null'\n"},
      {"---x", "k: '---x'\n"},
      {"a\\b\"c", "k: a\\b\"c\n"},
      {"%x", "k: '%x'\n"},
      {"a, b [c]", "k: a, b [c]\n"},
      {"ends\n", "k: 'ends\n\n  '\n"},
      {"quoted: long text long text long text long text long text long text long text long text long text long text long text long text ", "k: 'quoted: long text long text long text long text long text long text long text\n  long text long text long text long text long text '\n"},
      {"\303\274 long text long text long text long text long text long text long text long text long text long text long text long text ", "k: \"\\xFC long text long text long text long text long text long text long text long\\\n  \\ text long text long text long text long text \"\n"},
      {"a \nb", "k: \"a \\nb\"\n"},
      {std::string("\000\033", 2), "k: \"\\0\\e\"\n"},
      {"0755", "k: '0755'\n"},
      {"=", "k: '='\n"},
      {"-", "k: '-'\n"},
      {"-x", "k: -x\n"},
      {"!x", "k: '!x'\n"},
      {"0123456789", "k: 0123456789\n"},
  };
  for (const auto& [text, line] : texts) EXPECT_EQ(YamlLine("k", text), line) << text;
}

TEST(RunRecord, IsThatOfTheFormatsPage) {
  EXPECT_EQ(RunRecordText(SomeRecord()),
            "db_path_template: db={db_id:05d}\nerror_message: null\nerror_type: null\nformat_version: 1\n"
            "lease_expires_at: '2030-01-01T00:10:00.000000Z'\nmanifest_ref: null\nrun_id: 0f3c\ns3_prefix: s3://b/p\nshard_prefix: shards\n"
            "started_at: '2030-01-01T00:00:00.000000Z'\nstatus: running\nupdated_at: '2030-01-01T00:00:00.000000Z'\nwriter_type: python\n");
}

TEST(RunRecord, WhatIsWrittenIsRead) {
  RunRecord record = SomeRecord();
  record.status = RunRecord::Status::kFailed;
  record.error_type = "ValueError";
  record.error_message = "no: 'such' thing\n\nin \xc3\xbc " + std::string(90, 'x') + " \"y\"";
  record.manifest_ref = "null";
  ASSERT_OK_AND_ASSIGN(const RunRecord read, ReadRunRecord(RunRecordText(record)));
  EXPECT_EQ(read.error_message, record.error_message);
  EXPECT_EQ(read.manifest_ref, "null");
  EXPECT_EQ(RunRecordText(read), RunRecordText(record));
  record.error_message = std::string(5000, 'm');
  EXPECT_EQ(ReadRunRecord(RunRecordText(record)).value().error_message->size(), 2000u);
}

TEST(RunRecord, ADamagedOneIsRefused) {
  const std::string good = RunRecordText(SomeRecord());
  const auto replaced = [&](const std::string& what, const std::string& with) { return std::string(good).replace(good.find(what), what.size(), with); };
  EXPECT_THAT(ReadRunRecord(replaced("format_version: 1", "format_version: 2")), HasKind(ErrorKind::kUnsupported));
  for (const std::string& text : {std::string(), std::string("- a"), std::string("a: ["), std::string(100'000, ' '), std::string(60'000, '['),
                                  replaced("status: running", "status: asleep"), replaced("status: running", "status: [running]"),
                                  replaced("run_id: 0f3c\n", ""), replaced("2030-01-01T00:10", "2030-01-01T25:10"), good.substr(0, 40)})
    EXPECT_THAT(ReadRunRecord(text), HasKind(ErrorKind::kCorruption)) << text.substr(0, 100);
}

TEST(RunRegistry, ARecordIsMadeReplacedAndRead) {
  Surroundings here;
  const std::shared_ptr<ObjectStore> objects = OpenMemoryStore("m", here.clock);
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<RunRegistry> registry,
                       NewObjectRunRegistry(std::make_shared<SnapshotPlace>("s3://b/p", objects), "runs", here.outside));
  RunRecord record = SomeRecord();
  ASSERT_OK_AND_ASSIGN(const std::string ref, registry->Create(record));
  EXPECT_THAT(ref, testing::MatchesRegex("s3://b/p/runs/2030-01-01T00:00:00.000000Z_run_id=0f3c_[0-9a-f]+/run.yaml"));
  EXPECT_EQ(RunOfRecordKey(ref), "0f3c");
  record.status = RunRecord::Status::kSucceeded;
  ASSERT_THAT(registry->Update(ref, record), IsOk());
  EXPECT_EQ(registry->Load(ref).value().status, RunRecord::Status::kSucceeded);
  EXPECT_EQ(objects->List("").value().size(), 1u);
  EXPECT_THAT(registry->Load("s3://b/p/_CURRENT"), HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(registry->Update("s3://b/q/runs/x/run.yaml", record), HasKind(ErrorKind::kInvalidArgument));
}

/// Remembers what it is given; refuses where it is told to.
class RecordingRegistry final : public RunRegistry {
 public:
  Result<std::string> Create(const RunRecord& record) override {
    DS_RETURN_IF_ERROR(Update("", record));
    return std::string("ref");
  }
  Status Update(const std::string&, const RunRecord& record) override {
    const std::lock_guard lock(mutex_);
    if (refuses_) return Error(ErrorKind::kDenied, "read-only");
    records_.push_back(record);
    return {};
  }
  Result<RunRecord> Load(const std::string&) override { return records().back(); }
  void Refuse(bool refuses) {
    const std::lock_guard lock(mutex_);
    refuses_ = refuses;
  }
  std::vector<RunRecord> records() {
    const std::lock_guard lock(mutex_);
    return records_;
  }

 private:
  std::mutex mutex_;
  bool refuses_ = false;
  std::vector<RunRecord> records_;
};

/// Until the registry has heard of the run `count` times.
void AwaitRecords(RecordingRegistry& registry, size_t count) {
  while (registry.records().size() < count) SystemClock().Sleep(std::chrono::milliseconds(1));
}

TEST(RunHeartbeat, BeatsUntilTheLastWord) {
  Surroundings here;
  RecordingRegistry registry;
  RunHeartbeat heart(registry, SomeRecord(), here.outside, {.lease = std::chrono::minutes(10), .interval = std::chrono::milliseconds(1)});
  here.clock.Sleep(std::chrono::minutes(1));
  AwaitRecords(registry, 3);
  EXPECT_EQ(registry.records()[0].lease_expires_at, sim::SimClock::kStart + std::chrono::minutes(10));
  EXPECT_EQ(registry.records()[2].lease_expires_at, sim::SimClock::kStart + std::chrono::minutes(11));
  EXPECT_EQ(registry.records()[2].started_at, sim::SimClock::kStart);
  heart.SetManifestRef("m");
  heart.Succeed();
  const size_t count = registry.records().size();
  heart.Fail("E", "too late");
  EXPECT_EQ(registry.records().size(), count);
  const RunRecord last = registry.records().back();
  EXPECT_EQ(last.status, RunRecord::Status::kSucceeded);
  EXPECT_EQ(last.manifest_ref, "m");
  EXPECT_EQ(last.lease_expires_at, last.updated_at);
  EXPECT_EQ(heart.record_ref(), "ref");
}

TEST(RunHeartbeat, ARegistryThatRefusesHarmsNothingAndIsTriedAgain) {
  Surroundings here;
  RecordingRegistry registry;
  registry.Refuse(true);
  RunHeartbeat heart(registry, SomeRecord(), here.outside, {.interval = std::chrono::milliseconds(1)});
  EXPECT_EQ(heart.record_ref(), std::nullopt);
  registry.Refuse(false);
  AwaitRecords(registry, 1);
  heart.Fail("ValueError", "bad");
  EXPECT_EQ(registry.records().back().status, RunRecord::Status::kFailed);
  EXPECT_EQ(registry.records().back().error_message, "bad");
}

}  // namespace
}  // namespace datashard::generation
