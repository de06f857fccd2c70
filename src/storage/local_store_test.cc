// What a directory has beyond the contract of all stores: roots, symbolic links, rights, strange files.
#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/child_process.h"
#include "storage/object_store.h"
#include "storage/temporary_directory.h"
#include "support/matchers.h"

namespace datashard {
namespace {

namespace fs = std::filesystem;

class LocalStoreTest : public testing::Test {
 protected:
  std::string In(std::string_view path) const { return directory_.path() + "/" + std::string(path); }
  std::shared_ptr<ObjectStore> Open(std::string_view path = "t") {
    Result<std::unique_ptr<ObjectStore>> store = OpenLocalStore(In(path), /*create=*/true);
    EXPECT_THAT(store, IsOk());
    return std::move(store).value();
  }
  void WriteFile(std::string_view path, std::string_view body) const { std::ofstream(In(path)) << body; }
  /// Every name below the directory, links not followed.
  std::set<std::string> Names() const {
    std::set<std::string> names;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(directory_.path()))
      names.insert(fs::relative(entry.path(), directory_.path()).string());
    return names;
  }
  static std::vector<std::string> Keys(ObjectStore& store, std::string_view prefix = "") {
    std::vector<std::string> keys;
    const Result<std::vector<ObjectInfo>> objects = store.List(prefix);
    EXPECT_THAT(objects, IsOk());
    if (objects.ok()) {
      for (const ObjectInfo& object : *objects) keys.push_back(object.key);
    }
    return keys;
  }
  static size_t OpenDescriptors() {
    return static_cast<size_t>(std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator()));
  }

  TemporaryDirectory directory_;
};

TEST_F(LocalStoreTest, MakesTheRootWithItsParentsOnlyWhenAsked) {
  EXPECT_THAT(OpenLocalStore(In("a/b c/ключ=1"), /*create=*/false), HasKind(ErrorKind::kNotFound));
  EXPECT_THAT(Names(), testing::IsEmpty());
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<ObjectStore> store, OpenLocalStore(In("a/b c/ключ=1/"), /*create=*/true));
  EXPECT_EQ(store->root_uri(), "file://" + In("a/b c/ключ=1"));
  EXPECT_THAT(store->PutIfAbsent("x", "1"), IsOk());
  EXPECT_THAT(OpenLocalStore(In("a/b c/ключ=1"), /*create=*/false), IsOk());
}

TEST_F(LocalStoreTest, TheRootMayBeRelativeAndItsPathMayContainLinks) {
  fs::create_directories(In("real/inner"));
  fs::create_directory_symlink(In("real"), In("link"));
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<ObjectStore> store, OpenLocalStore(In("link/inner/new"), /*create=*/true));
  EXPECT_EQ(store->root_uri(), "file://" + In("real/inner/new"));
  EXPECT_TRUE(PassesInChild([&] {
    ASSERT_EQ(::chdir(In("real").c_str()), 0);
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<ObjectStore> relative, OpenLocalStore("./inner/../other", /*create=*/true));
    EXPECT_EQ(relative->root_uri(), "file://" + In("real/other"));
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<ObjectStore> here, OpenLocalStore(".", /*create=*/false));
    EXPECT_EQ(here->root_uri(), "file://" + In("real"));
  }));
}

TEST_F(LocalStoreTest, ARootThatCannotBeADirectoryIsRefusedClearly) {
  WriteFile("file", "x");
  fs::create_symlink(In("nowhere"), In("dangling"));
  fs::create_symlink("loop", In("loop"));
  for (const bool create : {false, true}) {
    EXPECT_THAT(OpenLocalStore(In("file"), create), HasKind(ErrorKind::kInvalidArgument));
    EXPECT_THAT(OpenLocalStore(In("file"), create), HasMessage("is a file"));
    EXPECT_THAT(OpenLocalStore(In("file/below"), create), HasKind(ErrorKind::kInvalidArgument));
    EXPECT_THAT(OpenLocalStore(In("dangling"), create), HasKind(ErrorKind::kInvalidArgument));
    EXPECT_THAT(OpenLocalStore(In("dangling"), create), HasMessage("symbolic link to something that does not exist"));
    EXPECT_THAT(OpenLocalStore(In("loop"), create), HasKind(ErrorKind::kInvalidArgument));
    EXPECT_THAT(OpenLocalStore("", create), HasKind(ErrorKind::kInvalidArgument));
    EXPECT_THAT(OpenLocalStore(std::string_view("/tmp\0x", 6), create), HasKind(ErrorKind::kInvalidArgument));
    EXPECT_THAT(OpenLocalStore(In(std::string(300, 'n')), create), HasKind(ErrorKind::kInvalidArgument));
  }
  EXPECT_THAT(OpenLocalStore(In("missing/../t"), /*create=*/true), HasMessage("'..'"));
  EXPECT_THAT(OpenLocalStore(In("dangling/t"), /*create=*/true), HasKind(ErrorKind::kInvalidArgument));
  EXPECT_FALSE(fs::exists(In("nowhere")));
}

TEST_F(LocalStoreTest, MissingRightsAreDenied) {
  const std::shared_ptr<ObjectStore> store = Open("open");
  ASSERT_THAT(store->Replace("secret", "x"), IsOk());
  ASSERT_THAT(store->Replace("closed/x", "x"), IsOk());
  ASSERT_EQ(::chmod(directory_.path().c_str(), 0755), 0);
  ASSERT_EQ(::chmod(In("open/secret").c_str(), 0), 0);
  ASSERT_EQ(::chmod(In("open/closed").c_str(), 0), 0);
  ASSERT_EQ(::chmod(In("open").c_str(), 0555), 0);
  EXPECT_TRUE(PassesInChild([&] {
    // Rights do not bind root.
    constexpr uid_t kNobody = 65534;
    if (::geteuid() == 0) {
      ASSERT_EQ(::setgroups(0, nullptr), 0);
      ASSERT_EQ(::setresgid(kNobody, kNobody, kNobody), 0);
      ASSERT_EQ(::setresuid(kNobody, kNobody, kNobody), 0);
    }
    EXPECT_THAT(OpenLocalStore(In("new"), /*create=*/true), HasKind(ErrorKind::kDenied));
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<ObjectStore> ours, OpenLocalStore(In("open"), /*create=*/true));
    const std::unique_ptr<WriteGroup> group = ours->NewWriteGroup();
    EXPECT_THAT(group->Put("a", "x"), HasKind(ErrorKind::kDenied));
    EXPECT_THAT(group->Put("new/a", "x"), HasMessage(In("open/new")));
    EXPECT_THAT(ours->PutIfAbsent("v1", "x"), HasKind(ErrorKind::kDenied));
    EXPECT_THAT(ours->Replace("hint", "x"), HasKind(ErrorKind::kDenied));
    EXPECT_THAT(ours->Delete("secret"), HasKind(ErrorKind::kDenied));
    EXPECT_THAT(ours->Get("secret"), HasKind(ErrorKind::kDenied));
    EXPECT_THAT(ours->Get("closed/x"), HasKind(ErrorKind::kDenied));
    EXPECT_THAT(ours->List(""), HasKind(ErrorKind::kDenied)) << "never a part of what is there";
    EXPECT_THAT(ours->ServerTime(), HasKind(ErrorKind::kDenied));
  }));
  ASSERT_EQ(::chmod(In("open/closed").c_str(), 0755), 0);
}

TEST_F(LocalStoreTest, AFileWhereADirectoryIsNeededIsNamed) {
  const std::shared_ptr<ObjectStore> store = Open();
  ASSERT_THAT(store->Replace("data", "a file"), IsOk());
  fs::create_directory_symlink(In("gone"), In("t/dangling"));
  fs::create_directory(In("t/taken"));
  const std::unique_ptr<WriteGroup> group = store->NewWriteGroup();
  for (const char* const key : {"data/x", "data/deep/x", "dangling/x", "dangling/deep/x"}) {
    EXPECT_THAT(group->Put(key, "x"), HasKind(ErrorKind::kInvalidArgument)) << key;
    EXPECT_THAT(store->PutIfAbsent(key, "x"), HasKind(ErrorKind::kInvalidArgument)) << key;
    EXPECT_THAT(store->Replace(key, "x"), HasKind(ErrorKind::kInvalidArgument)) << key;
  }
  EXPECT_THAT(group->Put("data/x", "x"), HasMessage(In("t/data")));
  EXPECT_THAT(store->PutIfAbsent("taken", "x"), HasKind(ErrorKind::kAlreadyExists));
  EXPECT_THAT(store->Replace("taken", "x"), HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(store->Replace(std::string(300, 'n'), "x"), HasKind(ErrorKind::kInvalidArgument));
  EXPECT_EQ(Names(), (std::set<std::string>{"t", "t/data", "t/dangling", "t/taken"})) << "no temporaries left";
}

/// The same with openat2 and with the walk that replaces it on old kernels.
class LocalLinksTest : public LocalStoreTest, public testing::WithParamInterface<bool> {
 protected:
  void Run(const std::function<void()>& body) {
    EXPECT_TRUE(PassesInChild([&] {
      if (GetParam()) {
        ASSERT_TRUE(RefuseCalls({{.number = SYS_openat2, .error = ENOSYS}}));
      }
      body();
    }));
  }
};
INSTANTIATE_TEST_SUITE_P(Kernel, LocalLinksTest, testing::Bool(), [](const testing::TestParamInfo<bool>& info) {
  return info.param ? "WithoutOpenat2" : "WithOpenat2";
});

TEST_P(LocalLinksTest, LinksThatStayBelowTheRootAreFollowed) {
  Run([&] {
    const std::shared_ptr<ObjectStore> store = Open();
    ASSERT_THAT(store->Replace("real/sub/x", "inside"), IsOk());
    fs::create_directory_symlink("real", In("t/relative"));
    fs::create_directory_symlink(In("t/real"), In("t/absolute"));
    fs::create_directory_symlink("../../real/../real/./sub", In("t/real/sub/around"));
    fs::create_symlink("real/sub/x", In("t/file"));
    for (const char* const key : {"relative/sub/x", "absolute/sub/x", "real/sub/around/x", "file"}) {
      ASSERT_OK_AND_ASSIGN(const Bytes body, store->Get(key));
      EXPECT_EQ(body, "inside") << key;
      EXPECT_THAT(store->Head(key), IsOk()) << key;
    }
    const std::unique_ptr<WriteGroup> group = store->NewWriteGroup();
    EXPECT_THAT(group->Put("relative/new/y", "y"), IsOk());
    EXPECT_THAT(group->Put("absolute/z", "z"), IsOk());
    EXPECT_THAT(group->Sync(), IsOk());
    EXPECT_THAT(store->PutIfAbsent("relative/v1", "1"), IsOk());
    EXPECT_THAT(Keys(*store, "relative/"), testing::ElementsAre("relative/new/y", "relative/sub/x", "relative/v1", "relative/z"));
    EXPECT_THAT(Keys(*store), testing::ElementsAre("file", "real/new/y", "real/sub/x", "real/v1", "real/z"))
        << "each file once: links to directories are not descended into";
    EXPECT_THAT(store->Delete("file"), IsOk());
    EXPECT_THAT(store->Get("real/sub/x"), IsOk()) << "deleting a link leaves what it names";
  });
}

TEST_P(LocalLinksTest, LinksThatLeaveTheRootAreRefused) {
  Run([&] {
    const std::shared_ptr<ObjectStore> store = Open();
    fs::create_directories(In("outside"));
    fs::create_directories(In("t-neighbour"));
    WriteFile("outside/secret", "secret");
    WriteFile("t-neighbour/secret", "secret");
    fs::create_directories(In("t/sub"));
    fs::create_directory_symlink("../outside", In("t/relative"));
    fs::create_directory_symlink(In("outside"), In("t/absolute"));
    fs::create_directory_symlink(In("t-neighbour"), In("t/prefix"));
    fs::create_directory_symlink("../../outside", In("t/sub/deeper"));
    fs::create_directory_symlink("../t/../outside", In("t/around"));
    fs::create_directory_symlink("/proc/self/cwd", In("t/magic"));
    fs::create_symlink(In("outside/secret"), In("t/file"));
    for (const char* const key : {"relative/secret", "absolute/secret", "prefix/secret", "sub/deeper/secret",
                                  "around/secret", "magic/secret", "file"}) {
      EXPECT_THAT(store->Get(key), HasKind(ErrorKind::kInvalidArgument)) << key;
      EXPECT_THAT(store->Get(key), HasMessage(In("t/" + std::string(key)))) << key;
      EXPECT_THAT(store->GetRange(key, {.offset_bytes = 0, .size_bytes = 1}), HasKind(ErrorKind::kInvalidArgument)) << key;
      EXPECT_THAT(store->OpenReader(key), HasKind(ErrorKind::kInvalidArgument)) << key;
      EXPECT_THAT(store->Head(key), HasKind(ErrorKind::kInvalidArgument)) << key;
      if (std::string_view(key) == "file") continue;
      const std::string fresh = std::string(key, std::string_view(key).rfind('/')) + "/new";
      EXPECT_THAT(store->NewWriteGroup()->Put(fresh, "x"), HasKind(ErrorKind::kInvalidArgument)) << fresh;
      EXPECT_THAT(store->NewWriteGroup()->Open(fresh), HasKind(ErrorKind::kInvalidArgument)) << fresh;
      EXPECT_THAT(store->PutIfAbsent(fresh, "x"), HasKind(ErrorKind::kInvalidArgument)) << fresh;
      EXPECT_THAT(store->PutIfAbsent(fresh + "/deep", "x"), HasKind(ErrorKind::kInvalidArgument)) << fresh;
      EXPECT_THAT(store->Replace(fresh, "x"), HasKind(ErrorKind::kInvalidArgument)) << fresh;
      EXPECT_THAT(store->Delete(key), HasKind(ErrorKind::kInvalidArgument)) << key;
      EXPECT_THAT(store->List(fresh + "/"), HasKind(ErrorKind::kInvalidArgument)) << key;
    }
    EXPECT_THAT(store->PutIfAbsent("file", "x"), HasKind(ErrorKind::kAlreadyExists));
    EXPECT_THAT(Keys(*store), testing::IsEmpty()) << "what cannot be read is no object";
    EXPECT_THAT(store->Replace("file", "ours"), IsOk()) << "takes the link's place";
    EXPECT_EQ(fs::file_size(In("outside/secret")), 6u);
    EXPECT_EQ(fs::file_size(In("t/file")), 4u);
    EXPECT_EQ(std::distance(fs::directory_iterator(In("outside")), fs::directory_iterator()), 1);
  });
}

TEST_P(LocalLinksTest, StrangeFilesAreNoObjectsAndBlockNobody) {
  Run([&] {
    const std::shared_ptr<ObjectStore> store = Open();
    ASSERT_EQ(::mkfifo(In("t/pipe").c_str(), 0666), 0);
    fs::create_symlink("loop", In("t/loop"));
    fs::create_directory_symlink(".", In("t/here"));
    fs::create_symlink("nowhere", In("t/dangling"));
    ASSERT_THAT(store->Replace("x", "x"), IsOk());
    EXPECT_THAT(store->Get("pipe"), HasKind(ErrorKind::kNotFound));
    EXPECT_THAT(store->Head("pipe"), HasKind(ErrorKind::kNotFound));
    EXPECT_THAT(store->Get("here"), HasKind(ErrorKind::kNotFound));
    EXPECT_THAT(store->Get("dangling"), HasKind(ErrorKind::kNotFound));
    EXPECT_THAT(store->Get("loop"), HasKind(ErrorKind::kInvalidArgument));
    EXPECT_THAT(store->Get("here/here/here/x"), IsOk());
    EXPECT_THAT(Keys(*store), testing::ElementsAre("x"));
  });
}

TEST_F(LocalStoreTest, AFileThatShrinksWhileItIsReadIsCorrupt) {
  const std::shared_ptr<ObjectStore> store = Open();
  ASSERT_THAT(store->Replace("a", std::string(1000, 'x')), IsOk());
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<ObjectReader> reader, store->OpenReader("a"));
  fs::resize_file(In("t/a"), 400);
  char buffer[1000];
  EXPECT_THAT(reader->ReadAt(0, 400, buffer), IsOk());
  EXPECT_THAT(reader->ReadAt(300, 700, buffer), HasKind(ErrorKind::kCorruption));
  EXPECT_THAT(reader->ReadAt(300, 700, buffer), HasMessage("expected 700 bytes at offset 300, found 100"));
}

TEST_F(LocalStoreTest, ASizeAloneDoesNotTakeMemory) {
  const std::shared_ptr<ObjectStore> store = Open();
  ASSERT_THAT(store->Replace("sparse", "x"), IsOk());
  fs::resize_file(In("t/sparse"), uintmax_t{1} << 40);
  EXPECT_THAT(store->Get("sparse"), HasKind(ErrorKind::kUnsupported));
  EXPECT_THAT(store->GetRange("sparse", {.offset_bytes = 0, .size_bytes = INT64_MAX}), HasKind(ErrorKind::kUnsupported));
  ASSERT_OK_AND_ASSIGN(const Bytes range, store->GetRange("sparse", {.offset_bytes = 0, .size_bytes = 2}));
  EXPECT_EQ(range, std::string("x\0", 2));
}

TEST_F(LocalStoreTest, ADirectoryThatTookAnothersPlaceReceivesTheFiles) {
  const std::shared_ptr<ObjectStore> store = Open();
  const std::unique_ptr<WriteGroup> group = store->NewWriteGroup();
  ASSERT_THAT(group->Put("data/a", "a"), IsOk());
  ASSERT_THAT(group->Sync(), IsOk());
  ASSERT_THAT(store->PutIfAbsent("metadata/v1", "1"), IsOk());
  fs::rename(In("t/data"), In("data-away"));
  fs::rename(In("t/metadata"), In("metadata-away"));
  ASSERT_THAT(group->Put("data/b", "b"), IsOk());
  ASSERT_THAT(group->Sync(), IsOk());
  ASSERT_THAT(store->PutIfAbsent("metadata/v1", "1"), IsOk());
  EXPECT_TRUE(fs::exists(In("t/data/b")));
  EXPECT_TRUE(fs::exists(In("t/metadata/v1")));
}

TEST_F(LocalStoreTest, ARemovedRootIsNotWrittenInto) {
  const std::shared_ptr<ObjectStore> store = Open();
  ASSERT_THAT(store->PutIfAbsent("metadata/v1", "1"), IsOk());
  fs::remove_all(In("t"));
  fs::create_directory(In("t"));  // another table of the same name is another table
  EXPECT_THAT(store->Get("metadata/v1"), HasKind(ErrorKind::kNotFound));
  EXPECT_THAT(store->PutIfAbsent("metadata/v2", "2"), HasKind(ErrorKind::kNotFound));
  EXPECT_THAT(store->PutIfAbsent("v2", "2"), HasKind(ErrorKind::kNotFound));
  EXPECT_THAT(store->Replace("hint", "2"), HasKind(ErrorKind::kNotFound));
  EXPECT_THAT(store->NewWriteGroup()->Put("a", "a"), HasKind(ErrorKind::kNotFound));
  EXPECT_THAT(store->NewWriteGroup()->Put("data/a", "a"), HasMessage("removed"));
  EXPECT_TRUE(fs::is_empty(In("t")));
}

TEST_F(LocalStoreTest, DescriptorsAreClosedAndNotInherited) {
  const size_t before = OpenDescriptors();
  {
    const std::shared_ptr<ObjectStore> store = Open();
    const std::unique_ptr<WriteGroup> group = store->NewWriteGroup();
    for (int i = 0; i < 200; ++i) ASSERT_THAT(group->Put(std::to_string(i) + "/x", "x"), IsOk());
    EXPECT_LE(OpenDescriptors(), before + 140) << "a group holds a bounded number of files";
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<ObjectWriter> writer, group->Open("w"));
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<ObjectReader> reader, store->OpenReader("1/x"));
    for (const fs::directory_entry& entry : fs::directory_iterator("/proc/self/fd")) {
      std::error_code error;
      const std::string target = fs::read_symlink(entry.path(), error).string();
      if (error || !target.starts_with(directory_.path())) continue;
      const int flags = ::fcntl(std::stoi(entry.path().filename()), F_GETFD);
      EXPECT_NE(flags & FD_CLOEXEC, 0) << target;
    }
    EXPECT_THAT(store->Get("missing"), HasKind(ErrorKind::kNotFound));
    EXPECT_THAT(store->List(""), IsOk());
    EXPECT_THAT(store->PutIfAbsent("1/x", "x"), HasKind(ErrorKind::kAlreadyExists));
    EXPECT_THAT(store->ServerTime(), IsOk());
  }
  EXPECT_EQ(OpenDescriptors(), before);
}

TEST_F(LocalStoreTest, NewFilesFollowTheUmask) {
  const std::shared_ptr<ObjectStore> store = Open();
  EXPECT_TRUE(PassesInChild([&] {
    ::umask(027);
    ASSERT_THAT(store->PutIfAbsent("d/a", "x"), IsOk());
    ASSERT_THAT(store->NewWriteGroup()->Put("d/b", "x"), IsOk());
    ASSERT_THAT(store->Replace("d/c", "x"), IsOk());
  }));
  for (const char* const name : {"t/d/a", "t/d/b", "t/d/c"})
    EXPECT_EQ(static_cast<int>(fs::status(In(name)).permissions()), 0640) << name;
  EXPECT_EQ(static_cast<int>(fs::status(In("t/d")).permissions()), 0750);
}

TEST_F(LocalStoreTest, ReplacingAHintAgainAndAgainMakesTwoFilesAndLeavesOne) {
  const auto store = Open();
  std::set<ino_t> inodes;
  for (int number = 7; number < 200; ++number) {
    ASSERT_THAT(store->ReplaceHint("d/hint", std::to_string(number)), IsOk());
    EXPECT_EQ(*store->Get("d/hint"), std::to_string(number));
    struct stat info;
    ASSERT_EQ(::stat(std::string(In("t/d/hint")).c_str(), &info), 0);
    inodes.insert(info.st_ino);
  }
  EXPECT_LE(inodes.size(), 2u);
  ASSERT_THAT(store->ReplaceHint("d/hint", "8"), IsOk());
  EXPECT_EQ(*store->Get("d/hint"), "8") << "a shorter body after a longer one";
  const std::string longer(100, '9');
  ASSERT_THAT(store->ReplaceHint("d/hint", longer), IsOk());
  EXPECT_EQ(*store->Get("d/hint"), longer);
  EXPECT_EQ(store->List("")->size(), 1u) << "the spare file is no object";
}

TEST_F(LocalStoreTest, AFileWithOtherNamesIsNotWrittenToWhenItWasReplaced) {
  const auto store = Open();
  ASSERT_THAT(store->ReplaceHint("hint", "1"), IsOk());
  ASSERT_THAT(store->ReplaceHint("hint", "2"), IsOk());
  std::filesystem::create_hard_link(In("t/hint"), In("t/kept"));
  for (int number = 3; number < 6; ++number) ASSERT_THAT(store->ReplaceHint("hint", std::to_string(number)), IsOk());
  EXPECT_EQ(*store->Get("kept"), "2");
  EXPECT_EQ(*store->Get("hint"), "5");
}

}  // namespace
}  // namespace datashard
