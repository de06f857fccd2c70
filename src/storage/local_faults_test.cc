// The local store where the kernel, the file system or the disk refuse, and the order in which it makes things durable.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/child_process.h"
#include "storage/object_store.h"
#include "storage/posix_file.h"
#include "storage/temporary_directory.h"
#include "support/matchers.h"

namespace {
// What the next linkat and renameat2 answer after they have done their work; 0: the truth.
int lost_answer = 0;
// How many links this file system lets a file have; 0: as many as it likes.
nlink_t link_limit = 0;
int AnswerOf(long result) {
  if (result == 0 && lost_answer != 0) {
    errno = lost_answer;
    return -1;
  }
  return static_cast<int>(result);
}
}  // namespace

// These take the C library's place in this executable: a file server may do what it was asked and answer with an error,
// because its answer was lost or because it saw the request twice.
extern "C" int linkat(int from_fd, const char* from, int to_fd, const char* to, int flags) noexcept {
  struct stat info;
  if (link_limit != 0 && ::fstatat(from_fd, from, &info, 0) == 0 && info.st_nlink >= link_limit) {
    errno = EMLINK;
    return -1;
  }
  return AnswerOf(::syscall(SYS_linkat, from_fd, from, to_fd, to, flags));
}
extern "C" int renameat2(int from_fd, const char* from, int to_fd, const char* to, unsigned flags) noexcept {
  return AnswerOf(::syscall(SYS_renameat2, from_fd, from, to_fd, to, flags));
}

namespace datashard {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;

const RefusedCall kNoUnnamedFiles{
    .number = SYS_openat, .error = EOPNOTSUPP, .argument = 2, .mask = O_TMPFILE & ~O_DIRECTORY, .value = O_TMPFILE & ~O_DIRECTORY};
const RefusedCall kNoLinks{.number = SYS_linkat, .error = EPERM};
const RefusedCall kNoLinksThroughProc{
    .number = SYS_linkat, .error = ENOENT, .argument = 4, .mask = AT_SYMLINK_FOLLOW, .value = AT_SYMLINK_FOLLOW};
const RefusedCall kNoExclusiveRename{.number = SYS_renameat2, .error = EINVAL};

class LocalFaultsTest : public testing::Test {
 protected:
  LocalFaultsTest() {
    Result<std::unique_ptr<ObjectStore>> store = OpenLocalStore(directory_.path(), /*create=*/true);
    EXPECT_THAT(store, IsOk());
    store_ = std::move(store).value();
    EXPECT_THAT(store_->Replace("m/present", "x"), IsOk());
    // The first publication also syncs the directories above the root; the tests look at what comes after.
    EXPECT_THAT(store_->PutIfAbsent("first", "x"), IsOk());
    EXPECT_THAT(store_->Delete("first"), IsOk());
  }
  /// Runs `body` in a child for which these calls are refused.
  void Refusing(const std::vector<RefusedCall>& calls, const std::function<void()>& body) {
    EXPECT_TRUE(PassesInChild([&] {
      ASSERT_TRUE(RefuseCalls(calls));
      body();
    }));
  }
  /// Files below the root, temporaries included.
  std::set<std::string> Files() const {
    std::set<std::string> names;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(directory_.path())) {
      if (!entry.is_directory()) names.insert(fs::relative(entry.path(), directory_.path()).string());
    }
    return names;
  }
  Bytes Body(std::string_view key) {
    const Result<Bytes> body = store_->Get(key);
    return body.ok() ? *body : body.error().ToString();
  }

  TemporaryDirectory directory_;
  std::shared_ptr<ObjectStore> store_;
};

/// Ways in which a file system lets a complete file take a name that is free.
class NamingTest : public LocalFaultsTest, public testing::WithParamInterface<std::pair<const char*, std::vector<RefusedCall>>> {};
INSTANTIATE_TEST_SUITE_P(
    FileSystem, NamingTest,
    testing::Values(std::pair{"UnnamedFiles", std::vector<RefusedCall>{}},
                    std::pair{"NamedTemporaries", std::vector{kNoUnnamedFiles}},
                    std::pair{"NoProc", std::vector{kNoLinksThroughProc}},
                    std::pair{"UnnamedFilesButNoLinks", std::vector{kNoLinks}},
                    std::pair{"NeitherUnnamedFilesNorLinks", std::vector{kNoUnnamedFiles, kNoLinks}}),
    [](const auto& info) { return info.param.first; });

TEST_P(NamingTest, EveryWayIsWholeAndExclusive) {
  const std::string big(3'000'000, 'b');
  Refusing(GetParam().second, [&] {
    EXPECT_THAT(store_->PutIfAbsent("m/v1", "first"), IsOk());
    EXPECT_THAT(store_->PutIfAbsent("m/v1", "second"), HasKind(ErrorKind::kAlreadyExists));
    EXPECT_THAT(store_->PutIfAbsent("m/big", big), IsOk());
    const std::unique_ptr<WriteGroup> group = store_->NewWriteGroup();
    EXPECT_THAT(group->Put("m/a", "a"), IsOk());
    EXPECT_THAT(group->Put("m/a", "b"), HasKind(ErrorKind::kAlreadyExists));
    ASSERT_OK_AND_ASSIGN(std::unique_ptr<ObjectWriter> writer, group->Open("m/w"));
    ASSERT_THAT(writer->Append(big), IsOk());
    ASSERT_OK_AND_ASSIGN(std::unique_ptr<ObjectWriter> dropped, group->Open("m/dropped"));
    ASSERT_THAT(dropped->Append(big), IsOk());
    EXPECT_THAT(store_->List("m/").value(), testing::SizeIs(4)) << "present, v1, big and a: temporaries are hidden";
    dropped.reset();
    EXPECT_THAT(writer->Finish(), IsOk());
    EXPECT_THAT(group->Sync(), IsOk());
    EXPECT_THAT(store_->Replace("m/v1", "replaced"), IsOk());
  });
  EXPECT_EQ(Files(), (std::set<std::string>{"m/a", "m/big", "m/present", "m/v1", "m/w"})) << "nothing else is left";
  EXPECT_EQ(Body("m/v1"), "replaced");
  EXPECT_EQ(Body("m/a"), "a");
  EXPECT_TRUE(Body("m/big") == big);
  EXPECT_TRUE(Body("m/w") == big);
}

TEST_P(NamingTest, OfManyProcessesExactlyOneWinsEachName) {
  constexpr int kProcesses = 6;
  constexpr int kNames = 40;
  struct Shared {
    std::atomic<int> wins, losses, others, winner[kNames];
  };
  void* const memory = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  auto* const shared = new (memory) Shared{};
  std::vector<pid_t> children;
  for (int process = 1; process <= kProcesses; ++process) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      if (!RefuseCalls(GetParam().second)) ::_exit(1);
      for (int name = 0; name < kNames; ++name) {
        const Status put = store_->PutIfAbsent("m/v" + std::to_string(name), std::to_string(process));
        if (put.ok()) shared->winner[name] = process;
        ++(put.ok() ? shared->wins : put.kind() == ErrorKind::kAlreadyExists ? shared->losses : shared->others);
      }
      ::_exit(0);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(shared->wins, kNames);
  EXPECT_EQ(shared->losses, kNames * (kProcesses - 1));
  EXPECT_EQ(shared->others, 0);
  for (int name = 0; name < kNames; ++name) EXPECT_EQ(Body("m/v" + std::to_string(name)), std::to_string(shared->winner[name]));
  EXPECT_EQ(Files().size(), static_cast<size_t>(kNames) + 1);
  ::munmap(memory, sizeof(Shared));
}

TEST_P(NamingTest, AnErrorThatAnswersOurOwnLinkIsSeenThrough) {
  for (const int error : {EEXIST, EIO, ETIMEDOUT, ESTALE}) {
    Refusing(GetParam().second, [&] {
      lost_answer = error;
      const std::string name = "m/v" + std::to_string(error);
      EXPECT_THAT(store_->PutIfAbsent(name, "ours"), IsOk()) << "the name has the inode that we hold open";
      EXPECT_THAT(store_->NewWriteGroup()->Put(name + "-data", "ours"), IsOk());
    });
    EXPECT_EQ(Body("m/v" + std::to_string(error)), "ours");
  }
  EXPECT_EQ(Files().size(), 9u) << "no temporaries are left";
}

TEST_F(LocalFaultsTest, DroppedBodiesShareInodesAsFarAsTheFileSystemAllows) {
  const auto inode = [&](const std::string& key) {
    struct stat info {};
    EXPECT_EQ(::stat((directory_.path() + "/" + key).c_str(), &info), 0);
    return info.st_ino;
  };
  for (int i = 0; i < 10; ++i) ASSERT_THAT(store_->PutIfAbsent("m/v" + std::to_string(i), "body"), IsOk());
  link_limit = 4;  // the shared file's own name is one
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 10; ++i) EXPECT_THAT(store_->DropBody("m/v" + std::to_string(i), "gone"), IsOk());
  }
  EXPECT_EQ(inode("m/v0"), inode("m/v1"));
  EXPECT_NE(inode("m/v0"), inode("m/v9"));
  std::set<ino_t> inodes;
  for (int i = 0; i < 10; ++i) inodes.insert(inode("m/v" + std::to_string(i)));
  EXPECT_LE(inodes.size(), 5u);
  EXPECT_EQ(Files().size(), 11 + inodes.size()) << "no temporary is left, though a dropped name was dropped again";
  // Another store finds the shared files, and room in them once names are gone.
  for (int i = 0; i < 10; ++i) ASSERT_THAT(store_->Delete("m/v" + std::to_string(i)), IsOk());
  const size_t files = Files().size();
  ASSERT_OK_AND_ASSIGN(const auto other, OpenLocalStore(directory_.path(), /*create=*/false));
  ASSERT_THAT(other->Replace("m/v0", "body"), IsOk());
  EXPECT_THAT(other->DropBody("m/v0", "gone"), IsOk());
  EXPECT_EQ(Files().size(), files + 1);
  // A shared file that holds something else is not used.
  std::ofstream(directory_.path() + "/.datashard-tombstone-0") << "garbage";
  ASSERT_OK_AND_ASSIGN(const auto third, OpenLocalStore(directory_.path(), /*create=*/false));
  ASSERT_THAT(third->Replace("m/v1", "body"), IsOk());
  EXPECT_THAT(third->DropBody("m/v1", "gone"), IsOk());
  EXPECT_EQ(Body("m/v1"), "gone");
  link_limit = 0;
}

TEST_F(LocalFaultsTest, WithoutHardLinksADroppedBodyIsASmallFile) {
  Refusing({kNoLinks}, [&] { EXPECT_THAT(store_->DropBody("m/present", "gone"), IsOk()); });
  EXPECT_EQ(Body("m/present"), "gone");
  EXPECT_THAT(Files(), ElementsAre("m/present"));
}

TEST_F(LocalFaultsTest, ABackupOfHardLinksDoesNotHideAReplacement) {
  ASSERT_OK_AND_ASSIGN(const auto reader, store_->OpenReader("m/present"));
  const std::unique_ptr<WriteGroup> group = store_->NewWriteGroup();
  ASSERT_OK_AND_ASSIGN(const auto v1, group->Prepare("m/v1", "1"));
  ASSERT_THAT(group->Sync(), IsOk());
  ASSERT_THAT(v1->Publish(), IsOk());
  for (const char* const name : {"present", "v1"})
    fs::create_hard_link(directory_.path() + "/m/" + name, directory_.path() + "/" + name + "-copy");
  EXPECT_TRUE(reader->StillNamed().value());
  EXPECT_TRUE(v1->StillNamed().value());
  ASSERT_THAT(store_->DropBody("m/present", "gone"), IsOk());
  ASSERT_THAT(store_->DropBody("m/v1", "gone"), IsOk());
  EXPECT_FALSE(reader->StillNamed().value());
  EXPECT_FALSE(v1->StillNamed().value());
}

class WatchTest : public LocalFaultsTest {
 protected:
  std::unique_ptr<NameWatch> watch_ = store_->WatchNames("m", [](std::string_view name) { return name.ends_with(".x"); });
  std::vector<std::string> Seen() { return watch_->Matching().value(); }
};

TEST_F(WatchTest, AQueueThatOverflowsIsMadeUpForByALook) {
  ASSERT_THAT(store_->Replace("m/a.x", "1"), IsOk());
  EXPECT_THAT(Seen(), ElementsAre("m/a.x"));
  std::ifstream setting("/proc/sys/fs/inotify/max_queued_events");
  int events = 0;
  setting >> events;
  if (events < 1 || events > 100'000) GTEST_SKIP() << "the queue is too long to overflow";
  const std::string one = directory_.path() + "/m/one";
  const std::string two = directory_.path() + "/m/two";
  std::ofstream(one) << "x";
  ASSERT_THAT(store_->Delete("m/a.x"), IsOk());
  for (int i = 0; i <= events / 2; ++i) ASSERT_EQ(::rename((i % 2 == 0 ? one : two).c_str(), (i % 2 == 0 ? two : one).c_str()), 0);
  ASSERT_THAT(store_->Replace("m/b.x", "1"), IsOk());
  EXPECT_THAT(Seen(), ElementsAre("m/b.x"));
}

TEST_F(WatchTest, ADirectoryThatIsMadeAnewIsFollowed) {
  ASSERT_THAT(store_->Replace("m/a.x", "1"), IsOk());
  EXPECT_THAT(Seen(), ElementsAre("m/a.x"));
  fs::rename(directory_.path() + "/m", directory_.path() + "/away");
  EXPECT_THAT(Seen(), testing::IsEmpty());
  ASSERT_THAT(store_->Replace("m/b.x", "1"), IsOk());
  EXPECT_THAT(Seen(), ElementsAre("m/b.x"));
  fs::remove_all(directory_.path() + "/m");
  ASSERT_THAT(store_->Replace("m/c.x", "1"), IsOk());
  EXPECT_THAT(Seen(), ElementsAre("m/c.x"));
}

TEST_F(WatchTest, ARenameIsToldFromADeletion) {
  ASSERT_THAT(store_->Replace("m/a.x", "1"), IsOk());
  EXPECT_THAT(Seen(), ElementsAre("m/a.x"));
  EXPECT_EQ(watch_->Last().number, 0) << "it was there before";
  fs::rename(directory_.path() + "/m/a.x", directory_.path() + "/m/a.y");
  EXPECT_THAT(Seen(), testing::IsEmpty());
  EXPECT_EQ(watch_->Last().kind, NameEvent::Kind::kRenamed);
  EXPECT_EQ(watch_->Last().number, 1);
}

TEST_F(WatchTest, AForkChildDoesNotTakeItsParentsEvents) {
  EXPECT_THAT(Seen(), testing::IsEmpty());
  ASSERT_THAT(store_->Replace("m/a.x", "1"), IsOk());
  EXPECT_TRUE(PassesInChild([&] {
    EXPECT_THAT(Seen(), ElementsAre("m/a.x"));
    ASSERT_THAT(store_->Replace("m/b.x", "1"), IsOk());
    EXPECT_THAT(Seen(), ElementsAre("m/a.x", "m/b.x"));
  }));
  EXPECT_THAT(Seen(), ElementsAre("m/a.x", "m/b.x"));
}

TEST_F(WatchTest, AllWatchesOfAProcessShareOneQueue) {
  const auto queues = [] {
    std::error_code ignored;
    return std::ranges::count_if(fs::directory_iterator("/proc/self/fd"), [&](const fs::directory_entry& entry) {
      return fs::read_symlink(entry.path(), ignored) == "anon_inode:inotify";
    });
  };
  EXPECT_EQ(queues(), 0);
  std::vector<std::unique_ptr<NameWatch>> watches;
  for (int i = 0; i < 300; ++i) {
    const std::string key = fmt::format("d{}", i / 2);
    ASSERT_THAT(store_->Replace(key + "/a.x", "1"), IsOk());
    watches.push_back(store_->WatchNames(key, [i](std::string_view name) { return name.ends_with(i % 2 == 0 ? ".x" : ".y"); }));
    EXPECT_EQ(watches.back()->Matching().value().size(), i % 2 == 0 ? 1u : 0u);
  }
  ASSERT_THAT(store_->Replace("d7/b.y", "1"), IsOk());
  ASSERT_THAT(store_->Delete("d7/a.x"), IsOk());
  EXPECT_THAT(watches[14]->Matching().value(), testing::IsEmpty()) << "another watch had read the events";
  EXPECT_THAT(watches[15]->Matching().value(), ElementsAre("d7/b.y"));
  watches[15].reset();
  ASSERT_THAT(store_->Replace("d7/c.x", "1"), IsOk());
  EXPECT_THAT(watches[14]->Matching().value(), ElementsAre("d7/c.x")) << "the directory is still followed for the other one";
  EXPECT_EQ(queues(), 1);
  watches.clear();
  EXPECT_EQ(queues(), 0);
}

TEST_F(WatchTest, WithoutAQueueTheDirectoryIsLookedThrough) {
  Refusing({{.number = SYS_inotify_init1, .error = EMFILE}}, [&] {
    EXPECT_THAT(Seen(), testing::IsEmpty());
    ASSERT_THAT(store_->Replace("m/a.x", "1"), IsOk());
    EXPECT_THAT(Seen(), ElementsAre("m/a.x"));
    ASSERT_THAT(store_->Delete("m/a.x"), IsOk());
    EXPECT_THAT(Seen(), testing::IsEmpty());
  });
}

TEST_F(LocalFaultsTest, AFileSystemWithoutExclusiveCreateIsRefused) {
  Refusing({kNoLinks, kNoExclusiveRename}, [&] {
    EXPECT_THAT(store_->PutIfAbsent("m/v1", "1"), HasKind(ErrorKind::kUnsupported));
    EXPECT_THAT(store_->PutIfAbsent("m/v1", "1"), HasMessage("neither hard links nor an exclusive rename"));
    EXPECT_THAT(store_->Get("m/present"), IsOk()) << "reading works";
  });
  EXPECT_THAT(Files(), ElementsAre("m/present"));
}

TEST_F(LocalFaultsTest, AFullDiskPublishesNothing) {
  for (const RefusedCall& full : {RefusedCall{.number = SYS_write, .error = ENOSPC, .argument = 2, .value = 5},
                                  RefusedCall{.number = SYS_fdatasync, .error = ENOSPC},
                                  RefusedCall{.number = SYS_linkat, .error = ENOSPC},
                                  RefusedCall{.number = SYS_fdatasync, .error = EDQUOT}}) {
    Refusing({full}, [&] {
      const Status put = store_->PutIfAbsent("m/v1", "12345");
      EXPECT_THAT(put, HasKind(ErrorKind::kUnavailable));
      EXPECT_THAT(put, HasMessage("disk full"));
      EXPECT_THAT(put, HasMessage(directory_.path() + "/m/v1"));
      EXPECT_THAT(put, HasMessage("nothing was published"));
    });
  }
  Refusing({{.number = SYS_write, .error = ENOSPC, .argument = 2, .value = 5}}, [&] {
    const std::unique_ptr<WriteGroup> group = store_->NewWriteGroup();
    EXPECT_THAT(group->Put("m/a", "12345"), HasMessage("disk full"));
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<ObjectWriter> writer, group->Open("m/w"));
    EXPECT_THAT(writer->Append("12345"), IsOk()) << "kept in memory";
    EXPECT_THAT(writer->Finish(), HasMessage("disk full"));
    EXPECT_THAT(store_->Replace("m/present", "12345"), HasMessage("disk full"));
  });
  EXPECT_THAT(Files(), ElementsAre("m/present"));
  EXPECT_EQ(Body("m/present"), "x");
}

TEST_F(LocalFaultsTest, AnErrorBeforeTheLinkMeansCertainlyNotThere) {
  for (const RefusedCall& broken : {RefusedCall{.number = SYS_fdatasync, .error = EIO},
                                    RefusedCall{.number = SYS_write, .error = EIO, .argument = 2, .value = 5}}) {
    Refusing({broken}, [&] { EXPECT_THAT(store_->PutIfAbsent("m/v1", "12345"), HasKind(ErrorKind::kUnavailable)); });
  }
  // The directory m2 is new, so its name in the root must be durable before anything in it is published.
  Refusing({{.number = SYS_fsync, .error = EIO}},
           [&] { EXPECT_THAT(store_->PutIfAbsent("m2/v1", "1"), HasKind(ErrorKind::kUnavailable)); });
  EXPECT_THAT(Files(), ElementsAre("m/present"));
}

TEST_F(LocalFaultsTest, AnErrorAfterTheLinkIsUnknown) {
  Refusing({{.number = SYS_fsync, .error = EIO}}, [&] {
    // Directly in the root, so that there are no parents whose sync would fail before the link.
    EXPECT_THAT(store_->PutIfAbsent("v1", "1"), HasKind(ErrorKind::kCommitUnknown));
    EXPECT_THAT(store_->PutIfAbsent("v1", "1"), HasKind(ErrorKind::kAlreadyExists));
  });
  EXPECT_EQ(Body("v1"), "1");
}

TEST_F(LocalFaultsTest, ALostAnswerToTheLinkIsUnknown) {
  Refusing({{.number = SYS_linkat, .error = EIO}}, [&] {
    EXPECT_THAT(store_->PutIfAbsent("m/v1", "1"), HasKind(ErrorKind::kCommitUnknown));
    EXPECT_THAT(store_->NewWriteGroup()->Put("m/a", "1"), HasKind(ErrorKind::kUnavailable)) << "nobody knows that name";
  });
}

TEST_F(LocalFaultsTest, DirectoriesThatCannotBeSyncedCountAsSynced) {
  Refusing({{.number = SYS_fsync, .error = EINVAL}}, [&] { EXPECT_THAT(store_->PutIfAbsent("v1", "1"), IsOk()); });
}

TEST_F(LocalFaultsTest, AGroupIsUselessAfterAFailedSync) {
  for (const long call : {SYS_fdatasync, SYS_fsync}) {
    Refusing({{.number = call, .error = EIO}}, [&] {
      const std::unique_ptr<WriteGroup> group = store_->NewWriteGroup();
      ASSERT_THAT(group->Put("m/a" + std::to_string(call), "a"), IsOk());
      EXPECT_THAT(group->Sync(), HasKind(ErrorKind::kUnavailable));
      EXPECT_THAT(group->Sync(), HasMessage("failed before")) << "a second sync must not claim success";
      EXPECT_THAT(group->Put("m/b", "b"), HasMessage("failed before"));
      EXPECT_THAT(group->Open("m/b"), HasMessage("failed before"));
    });
  }
}

TEST_F(LocalFaultsTest, WriteBackThatFailsAtOnceFailsThePut) {
  Refusing({{.number = SYS_sync_file_range, .error = EIO}},
           [&] { EXPECT_THAT(store_->NewWriteGroup()->Put("m/a", "a"), HasKind(ErrorKind::kUnavailable)); });
  Refusing({{.number = SYS_sync_file_range, .error = ENOSYS}}, [&] {
    const std::unique_ptr<WriteGroup> group = store_->NewWriteGroup();
    EXPECT_THAT(group->Put("m/b", "b"), IsOk()) << "where there is no such call the sync does the work";
    EXPECT_THAT(group->Sync(), IsOk());
  });
  EXPECT_THAT(Files(), ElementsAre("m/b", "m/present"));
}

TEST_F(LocalFaultsTest, AnAppendIsTwoWavesOfSyncs) {
  const auto first = [&] {
    const std::unique_ptr<WriteGroup> group = store_->NewWriteGroup();
    ASSERT_THAT(group->Put("data/f", "1"), IsOk());
    ASSERT_THAT(group->Put("n/m/0/f", "2"), IsOk());
    ASSERT_THAT(group->Put("n/m/0/l", "3"), IsOk());
    ASSERT_OK_AND_ASSIGN(const auto v1, group->Prepare("n/v1", "4"));
    ASSERT_THAT(group->Sync(), IsOk());
    ASSERT_THAT(v1->Publish(), IsOk());
    ASSERT_THAT(store_->Replace("n/hint", "1"), IsOk());
    // Directories whose names are durable are not synced for their names again.
    ASSERT_THAT(group->Put("data/g", "5"), IsOk());
    ASSERT_THAT(group->Put("n/m/0/g", "6"), IsOk());
    ASSERT_OK_AND_ASSIGN(const auto v2, group->Prepare("n/v2", "7"));
    ASSERT_THAT(group->Sync(), IsOk());
    ASSERT_THAT(v2->Publish(), IsOk());
  };
  std::vector<std::string> trace = TraceDurability(directory_.path(), first);
  if (trace.empty()) GTEST_SKIP() << "processes may not be traced here";
  for (std::string& action : trace) {
    if (action.starts_with("rename n/hint")) action = "rename n/hint";
  }
  EXPECT_THAT(trace, ElementsAre("link data/f", "link n/m/0/f", "link n/m/0/l",                                       //
                                 "fdatasync (unnamed)", "fdatasync (unnamed)", "fdatasync (unnamed)", "fdatasync (unnamed)",
                                 "fsync data", "fsync n/m/0", "fsync n/m", "fsync n", "fsync .",                     //
                                 "link n/v1", "fsync n", "rename n/hint",                                            //
                                 "link data/g", "link n/m/0/g", "fdatasync (unnamed)", "fdatasync (unnamed)",
                                 "fdatasync (unnamed)", "fsync data", "fsync n/m/0", "link n/v2", "fsync n"));
}

TEST_F(LocalFaultsTest, AGroupLeftToTheOperatingSystemWaitsForNoDisk) {
  const auto commit = [&] {
    const std::unique_ptr<WriteGroup> group = store_->NewWriteGroup();
    group->LeaveToOs();
    ASSERT_THAT(group->Put("data/f", "1"), IsOk());
    ASSERT_OK_AND_ASSIGN(const auto version, group->Prepare("n/v1", "2"));
    ASSERT_THAT(group->Sync(), IsOk());
    ASSERT_THAT(version->Publish(), IsOk());
  };
  const std::vector<std::string> trace = TraceDurability(directory_.path(), commit);
  if (trace.empty()) GTEST_SKIP() << "processes may not be traced here";
  EXPECT_THAT(trace, ElementsAre("link data/f", "link n/v1"));
}

TEST_F(LocalFaultsTest, AWriterThatOutlivesAPartOfItsGroupIsSyncedToo) {
  const std::vector<std::string> trace = TraceDurability(directory_.path(), [&] {
    const std::unique_ptr<WriteGroup> group = store_->NewWriteGroup();
    ASSERT_OK_AND_ASSIGN(std::unique_ptr<ObjectWriter> writer, group->Open("slow/w"));
    for (int i = 0; i < 70; ++i) ASSERT_THAT(group->Put("m/" + std::to_string(i), "x"), IsOk());
    ASSERT_THAT(writer->Finish(), IsOk());
    ASSERT_THAT(group->Sync(), IsOk());
  });
  if (trace.empty()) GTEST_SKIP() << "processes may not be traced here";
  const auto linked = std::find(trace.begin(), trace.end(), "link slow/w");
  ASSERT_NE(linked, trace.end());
  EXPECT_GE(std::count(trace.begin(), linked, "fdatasync (unnamed)"), 60) << "a large group is made durable in parts";
  EXPECT_THAT(std::vector<std::string>(linked, trace.end()), testing::Contains("fsync slow"));
  EXPECT_EQ(std::count(trace.begin(), trace.end(), "fdatasync (unnamed)"), 71);
}

TEST_F(LocalFaultsTest, ANewRootIsDurableWithItsParents) {
  const std::vector<std::string> trace = TraceDurability(directory_.path(), [&] {
    ASSERT_OK_AND_ASSIGN(const auto fresh, OpenLocalStore(directory_.path() + "/a/b/c", /*create=*/true));
    ASSERT_THAT(fresh->PutIfAbsent("v1", "x"), IsOk());
  });
  if (trace.empty()) GTEST_SKIP() << "processes may not be traced here";
  const auto at = [&](std::string_view action) { return std::find(trace.begin(), trace.end(), action) - trace.begin(); };
  for (const char* parent : {"fsync a/b", "fsync a", "fsync ."}) EXPECT_LT(at(parent), at("link a/b/c/v1")) << parent;
  EXPECT_LT(at("link a/b/c/v1"), static_cast<ptrdiff_t>(trace.size()));
}

TEST_F(LocalFaultsTest, AFileSizeLimitIsAnErrorAndLeavesNothing) {
  EXPECT_TRUE(PassesInChild([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{.rlim_cur = 100'000, .rlim_max = 100'000};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
    // The kernel first writes a part and refuses the rest in the next call.
    EXPECT_THAT(store_->NewWriteGroup()->Put("m/a", std::string(150'000, 'a')), HasKind(ErrorKind::kUnavailable));
    EXPECT_THAT(store_->PutIfAbsent("m/v1", std::string(150'000, 'a')), HasKind(ErrorKind::kUnavailable));
    EXPECT_THAT(store_->Replace("m/present", std::string(150'000, 'a')), HasKind(ErrorKind::kUnavailable));
  }));
  EXPECT_THAT(Files(), ElementsAre("m/present"));
}

TEST_F(LocalFaultsTest, TooManyOpenFilesSaysSo) {
  rlimit usual{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &usual), 0);
  const rlimit few{.rlim_cur = 3, .rlim_max = usual.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  const Result<Bytes> read = store_->Get("m/present");
  const Status put = store_->PutIfAbsent("m/v1", "1");
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &usual), 0);
  EXPECT_THAT(read, HasMessage("ulimit -n"));
  EXPECT_THAT(put, HasKind(ErrorKind::kUnavailable));
}

TEST_F(LocalFaultsTest, AForkChildThatDropsAWriterDoesNotHarmTheParent) {
  Refusing({kNoUnnamedFiles}, [&] {
    const std::unique_ptr<WriteGroup> group = store_->NewWriteGroup();
    ASSERT_OK_AND_ASSIGN(std::unique_ptr<ObjectWriter> writer, group->Open("m/w"));
    ASSERT_THAT(writer->Append("ours"), IsOk());
    EXPECT_TRUE(PassesInChild([&] { writer.reset(); }));
    EXPECT_THAT(writer->Finish(), IsOk());
    EXPECT_THAT(group->Sync(), IsOk());
  });
  EXPECT_EQ(Body("m/w"), "ours");
}

TEST(PosixFile, PartialAndInterruptedWritesAreCompleted) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const Fd from(ends[0]);
  Fd to(ends[1]);
  static std::atomic<int> signals = 0;
  struct sigaction action {};
  action.sa_handler = [](int) { ++signals; };  // without SA_RESTART
  struct sigaction previous {};
  ASSERT_EQ(::sigaction(SIGUSR1, &action, &previous), 0);
  std::string body(8 << 20, '\0');
  for (size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>(i % 251);
  std::atomic<bool> done = false;
  int error = -1;
  std::thread writer([&] {
    error = WriteAll(to.get(), body);
    (void)to.Close();
    done = true;
  });
  const pthread_t writer_id = writer.native_handle();
  std::thread disturber([&] {
    while (!done) {
      ::pthread_kill(writer_id, SIGUSR1);
      ::usleep(50);
    }
  });
  std::string received;
  char buffer[1 << 16];
  for (ssize_t count; (count = Uninterrupted([&] { return ::read(from.get(), buffer, sizeof buffer); })) > 0;)
    received.append(buffer, static_cast<size_t>(count));
  disturber.join();
  writer.join();
  EXPECT_EQ(::sigaction(SIGUSR1, &previous, nullptr), 0);
  EXPECT_EQ(error, 0);
  EXPECT_GT(signals, 0);
  EXPECT_TRUE(received == body);
}

}  // namespace
}  // namespace datashard
