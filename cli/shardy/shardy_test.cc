#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "cli/shardy/arguments.h"
#include "cli/shardy/batch.h"
#include "cli/shardy/render.h"
#include "cli/shardy/repl.h"
#include "cli/shardy/value_text.h"
#include "support/matchers.h"

namespace datashard::cli::shardy {
namespace {

using namespace std::string_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ValueText, ShowsBytesInEveryEncoding) {
  EXPECT_EQ(ValueText("", ValueEncoding::kBase64), "");
  EXPECT_EQ(ValueText("f", ValueEncoding::kBase64), "Zg==");
  EXPECT_EQ(ValueText("fo", ValueEncoding::kBase64), "Zm8=");
  EXPECT_EQ(ValueText("foobar", ValueEncoding::kBase64), "Zm9vYmFy");
  EXPECT_EQ(ValueText("\xff\x00\x01"s.substr(0, 3), ValueEncoding::kHex), "ff0001");
  EXPECT_EQ(ValueText("a\xc3\xa9", ValueEncoding::kUtf8), "a\xc3\xa9");
}

TEST(ValueText, ReplacesWhatIsNotUtf8) {
  const std::string replacement = "\xEF\xBF\xBD";
  EXPECT_EQ(ValidUtf8("a\xff" "b"), "a" + replacement + "b");
  EXPECT_EQ(ValidUtf8("\xc0\xaf"), replacement + replacement) << "an overlong form";
  EXPECT_EQ(ValidUtf8("\xed\xa0\x80"), replacement + replacement + replacement) << "a surrogate";
  EXPECT_EQ(ValidUtf8("\xe2\x82"), replacement + replacement) << "cut off";
  EXPECT_EQ(ValidUtf8("\xf0\x9f\x98\x80"), "\xf0\x9f\x98\x80");
}

TEST(Words, AreCutAsAShellDoes) {
  EXPECT_THAT(*Words("get  42\t"), ElementsAre("get", "42"));
  EXPECT_THAT(*Words(R"(get "a b" 'c "d"' e\ f "")"), ElementsAre("get", "a b", "c \"d\"", "e f", ""));
  EXPECT_THAT(*Words("   "), ElementsAre());
  EXPECT_THAT(Words("get \"a"), HasKind(ErrorKind::kInvalidArgument));
}

TEST(ParseAge, TakesDaysToSeconds) {
  EXPECT_EQ(ParseAge("7d")->count(), 7 * 86'400);
  EXPECT_EQ(ParseAge("1.5h")->count(), 5'400);
  EXPECT_EQ(ParseAge("30m")->count(), 1'800);
  EXPECT_EQ(ParseAge("45s")->count(), 45);
  EXPECT_EQ(ParseAge("45")->count(), 45);
  for (const char* wrong : {"", "d", "7w", "-1d", "1e300d", "nand"}) EXPECT_THAT(ParseAge(wrong), HasKind(ErrorKind::kInvalidArgument)) << wrong;
}

TEST(ParseBatch, ReadsEveryOp) {
  const auto batch = ParseBatch(R"(
on_error: continue
commands:
  - {op: get, key: 42, routing_context: {region: eu}}
  - {op: multiget, keys: [1, two]}
  - op: health
    staleness_threshold: 2.5
  - {op: history, limit: 3}
  - {op: refresh}
)");
  ASSERT_THAT(batch, IsOk());
  EXPECT_FALSE(batch->stop_on_error);
  ASSERT_EQ(batch->items.size(), 5u);
  EXPECT_THAT(batch->items[0].keys, ElementsAre("42"));
  EXPECT_THAT(batch->items[0].context, ElementsAre(std::pair<std::string, std::string>("region", "eu")));
  EXPECT_THAT(batch->items[1].keys, ElementsAre("1", "two"));
  EXPECT_EQ(batch->items[2].staleness_threshold_s, 2.5);
  EXPECT_EQ(batch->items[3].limit, 3);
}

TEST(ParseBatch, SaysWhatIsWrongAndWhere) {
  const std::pair<const char*, const char*> wrong[] = {
      {"", "a script is"},
      {"commands: 5", "a script is"},
      {"commands:\n  - {op: get}", "line 2: get has no key"},
      {"commands:\n  - {op: fetch, key: 1}", "there is no op fetch"},
      {"commands:\n  - {op: info, key: 1}", "info takes no key"},
      {"commands:\n  - {key: 1}", "no op"},
      {"commands:\n  - {op: history, limit: 0}", "limit"},
      {"commands:\n  - {op: multiget, keys: 5}", "keys is not a list"},
      {"commands: [}", "line 1"},
      {"commands: []\non_error: perhaps", "stop or continue"},
  };
  for (const auto& [yaml, message] : wrong) {
    const auto batch = ParseBatch(yaml);
    ASSERT_THAT(batch, HasKind(ErrorKind::kInvalidArgument)) << yaml;
    EXPECT_THAT(batch.error().message(), HasSubstr(message)) << yaml;
  }
}

TEST(Render, HasFourFormats) {
  const Json get = {{"op", "get"}, {"key", "42"}, {"found", true}, {"value", "aGk="}};
  EXPECT_EQ(Render(get, Format::kJsonLines, "null"), "{\"op\":\"get\",\"key\":\"42\",\"found\":true,\"value\":\"aGk=\"}\n");
  EXPECT_EQ(Render(get, Format::kText, "null"), "42=aGk=\n");
  EXPECT_EQ(Render(get, Format::kTable, "null"), "KEY  VALUE\n42   aGk=\n");
  const Json many = {{"op", "multiget"}, {"results", {{{"key", "1"}, {"found", false}}, {{"key", "long"}, {"found", true}, {"value", "v"}}}}};
  EXPECT_EQ(Render(many, Format::kTable, "none"), "KEY   VALUE\n1     none\nlong  v\n");
  EXPECT_EQ(Render(many, Format::kText, "none"), "1=none\nlong=v\n");
  EXPECT_EQ(Render(Json{{"op", "route"}, {"key", "a"}, {"db_id", 3}}, Format::kText, ""), "a -> shard 3\n");
}

TEST(Render, LetsNothingFromASnapshotReachATerminalUnescaped) {
  const Json get = {{"op", "get"}, {"key", "k\x1b[2J"}, {"found", true}, {"value", "v\r\n"}};
  for (const Format format : {Format::kText, Format::kTable, Format::kJson, Format::kJsonLines}) {
    const std::string text = Render(get, format, "null");
    EXPECT_EQ(text.find('\x1b'), std::string::npos);
    EXPECT_EQ(text.find('\r'), std::string::npos);
  }
}

class Configuration : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "/shardy-test-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    for (const char* name : {"SHARDY_CURRENT", "SHARDY_CONFIG", "SHARDY_CREDENTIALS", "SHARDY_MANIFEST_DSN"}) unsetenv(name);
    setenv("HOME", directory_.c_str(), 1);
  }
  std::string Write(const std::string& name, const std::string& text) {
    const std::string path = directory_ + "/" + name;
    std::ofstream(path) << text;
    std::filesystem::permissions(path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    return path;
  }

  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string directory_;
};

TEST_F(Configuration, PrefixAndPointerAreCutAtTheLastSlash) {
  GlobalArguments arguments;
  arguments.current_url = "s3://bucket/a/b/_CURRENT";
  const auto config = LoadConfig(arguments);
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->prefix, "s3://bucket/a/b");
  EXPECT_EQ(config->current_key, "_CURRENT");
  EXPECT_EQ(config->format, Format::kJsonLines);
  for (const char* wrong : {"_CURRENT", "s3://bucket/a/", "/_CURRENT"}) {
    arguments.current_url = wrong;
    EXPECT_THAT(LoadConfig(arguments), HasKind(ErrorKind::kInvalidArgument)) << wrong;
  }
}

TEST_F(Configuration, OptionsWinOverTheEnvironmentAndThatOverTheFile) {
  GlobalArguments arguments;
  arguments.config = Write("reader.toml", R"([reader]
current_url = "s3://file/p/_CURRENT"
reader_backend = "sqlite"
sqlite_mode = "range"
max_workers = 7
thread_safety = "pool"
[output]
format = "table"
value_encoding = "hex"
null_repr = "nil"
)");
  EXPECT_EQ(LoadConfig(arguments)->prefix, "s3://file/p");
  EXPECT_EQ(LoadConfig(arguments)->format, Format::kTable);
  EXPECT_EQ(LoadConfig(arguments)->value_encoding, ValueEncoding::kHex);
  EXPECT_EQ(LoadConfig(arguments)->null_repr, "nil");
  EXPECT_EQ(LoadConfig(arguments)->reader.shard_format, "sqlite");
  EXPECT_EQ(LoadConfig(arguments)->reader.sqlite_mode, SqliteMode::kRange);
  EXPECT_EQ(LoadConfig(arguments)->reader.max_workers, 7);
  setenv("SHARDY_CURRENT", "s3://environment/p/_CURRENT", 1);
  EXPECT_EQ(LoadConfig(arguments)->prefix, "s3://environment/p");
  arguments.current_url = "s3://option/p/_CURRENT";
  arguments.output_format = "text";
  EXPECT_EQ(LoadConfig(arguments)->prefix, "s3://option/p");
  EXPECT_EQ(LoadConfig(arguments)->format, Format::kText);
}

TEST_F(Configuration, CredentialsAreAProfileAndAnOpenFileIsWarnedAbout) {
  GlobalArguments arguments;
  arguments.current_url = "s3://b/p/_CURRENT";
  const std::string path = Write("credentials.toml", R"([default]
endpoint_url = "http://127.0.0.1:9000"
access_key_id = "a"
secret_access_key = "s"
verify_ssl = false
)");
  arguments.credentials = path;
  auto config = LoadConfig(arguments);
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->reader.s3.access_key_id, "a");
  EXPECT_EQ(config->reader.s3.verify_ssl, false);
  EXPECT_EQ(config->reader.s3.max_attempts, 3);
  EXPECT_THAT(config->warnings, ElementsAre());
  std::filesystem::permissions(path, std::filesystem::perms::group_read, std::filesystem::perm_options::add);
  EXPECT_THAT(LoadConfig(arguments)->warnings, ElementsAre(HasSubstr("mode 0640")));
}

TEST_F(Configuration, SaysWhatIsWrongInAFile) {
  GlobalArguments arguments;
  arguments.current_url = "s3://b/p/_CURRENT";
  const std::pair<const char*, const char*> wrong[] = {
      {"[reader]\nmax_workers = \"4\"", "max_workers is not an integer"},
      {"[reader]\nmax_worker = 4", "there is no key max_worker"},
      {"[readers]\n", "there is no section [readers]"},
      {"[reader\n", "line"},
      {"[output]\nformat = \"xml\"", "json, jsonl, table, text"},
      {"[reader]\nreader_backend = \"rocksdb\"", "slatedb, sqlite"},
      {"[manifest_store]\nbackend = \"postgres\"", "SHARDY_MANIFEST_DSN"},
  };
  for (const auto& [text, message] : wrong) {
    arguments.config = Write("reader.toml", text);
    const auto config = LoadConfig(arguments);
    ASSERT_THAT(config, HasKind(ErrorKind::kInvalidArgument)) << text;
    EXPECT_THAT(config.error().message(), HasSubstr(message)) << text;
  }
  arguments.config = directory_ + "/missing.toml";
  EXPECT_THAT(LoadConfig(arguments), HasKind(ErrorKind::kNotFound));
}

TEST_F(Configuration, WithoutAnySnapshotItSaysWhereOneIsLookedFor) {
  const auto config = LoadConfig({});
  ASSERT_THAT(config, HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(config.error().message(), HasSubstr("SHARDY_CURRENT"));
}

TEST(ShardyArguments, RefAndOffsetExcludeOneAnother) {
  const char* both[] = {"shardy", "--ref", "r", "--offset", "1", "info"};
  EXPECT_THAT(ParseArguments(6, both), HasKind(ErrorKind::kInvalidArgument));
  const char* rollback[] = {"shardy", "rollback"};
  EXPECT_THAT(ParseArguments(2, rollback), HasKind(ErrorKind::kInvalidArgument));
  const char* none[] = {"shardy"};
  EXPECT_TRUE(std::holds_alternative<ReplCommand>(ParseArguments(1, none)->command));
  const char* get[] = {"shardy", "get", "k", "--routing-context", "a=1", "--strict"};
  const auto parsed = ParseArguments(6, get);
  ASSERT_THAT(parsed, IsOk());
  EXPECT_TRUE(std::get<GetCommand>(parsed->command).strict);
}

}  // namespace
}  // namespace datashard::cli::shardy
