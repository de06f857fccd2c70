// Opening a ring: whole, ours, or a clear error.
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include <fstream>
#include <set>

#include "ring/locks.h"
#include "ring/ring_test_support.h"

namespace datashard::ring {
namespace {

void WriteFile(const std::string& path, ByteView content, mode_t mode = 0600) {
  std::ofstream(path, std::ios::binary) << content;
  ASSERT_EQ(::chmod(path.c_str(), mode), 0);
}

Bytes ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(file), {});
}

TEST(RingFile, IsMadeWithItsDirectoryForItsOwnerOnly) {
  const RingDirectory directory;
  const auto ring = OpenRing(directory.place());
  struct stat info = {};
  ASSERT_EQ(::stat(directory.place().directory.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0700u);
  ASSERT_EQ(::stat(directory.file().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
  EXPECT_EQ(info.st_nlink, 1u);
  EXPECT_EQ(static_cast<size_t>(info.st_size), sizeof(Shared));
  EXPECT_GE(static_cast<size_t>(info.st_blocks) * 512, sizeof(Shared)) << "not all of it is allocated";
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory.place().directory), {}), 1) << "litter";
}

TEST(RingFile, IsMadeWithTheRightModesWhateverTheUmask) {
  const RingDirectory directory;
  Child child([&](Child&) {
    ::umask(0777);
    EXPECT_THAT(Ring::Open(directory.place()), IsOk());
  });
  EXPECT_EQ(child.Join(), 0);
  EXPECT_THAT(Ring::Open(directory.place()), IsOk());
}

TEST(RingFile, HasTheLayoutOfItsPage) {
  const RingDirectory directory;
  const auto ring = OpenRing(directory.place());
  const Bytes head = ReadFile(directory.file()).substr(0, sizeof(Preamble));
  EXPECT_EQ(head.substr(0, 8), "DSRING\r\n");
  EXPECT_EQ(head.substr(8, 8), ByteView("\x02\0\0\0\0\0\0\0", 8));
  EXPECT_EQ(head.substr(24), ring->id());
  EXPECT_THAT(ring->id(), testing::MatchesRegex("[0-9a-f]+"));
  EXPECT_EQ(ring->id().size(), 32u);
  EXPECT_EQ(offsetof(Shared, slots), 4096u);
  EXPECT_EQ(offsetof(Shared, payloads), 135168u);
  EXPECT_EQ(offsetof(Shared, bases), 4198400u);
  EXPECT_EQ(offsetof(Shared, blobs), 4198528u);
  EXPECT_EQ(offsetof(SlotHeader, replies), 48u);
  EXPECT_EQ(sizeof(Shared), 4726784u);
  EXPECT_EQ(Lock::OfSlot(0).byte(), 1);
  EXPECT_EQ(Lock::OfSlot(1023).byte(), 1024);
  EXPECT_EQ(Lock::OfTerm(65).byte(), (1 << 20) + 1);
  // The last byte of one slot's payload is followed by the first of the next.
  RawRing raw(directory.file());
  EXPECT_EQ(PayloadOf(*raw, 64) - PayloadOf(*raw, 63), 4096);
  EXPECT_EQ(PayloadOf(*raw, 1023) + kSmallWords, raw->payloads.data() + raw->payloads.size());
}

TEST(RingFile, IsTheSameForAllWhoOpenItAndAnotherOneWhenMadeAgain) {
  const RingDirectory directory;
  const auto one = OpenRing(directory.place());
  const auto two = OpenRing(directory.place());
  EXPECT_EQ(one->id(), two->id());
  ASSERT_TRUE(std::filesystem::remove(directory.file()));
  EXPECT_NE(OpenRing(directory.place())->id(), one->id());
}

TEST(RingFile, TellsRegistrationAndClosureToAll) {
  const RingDirectory directory;
  const auto one = OpenRing(directory.place());
  const auto two = OpenRing(directory.place());
  EXPECT_FALSE(two->registered());
  EXPECT_FALSE(two->closed());
  one->MarkRegistered();
  EXPECT_TRUE(two->registered());
  EXPECT_FALSE(two->closed());
  one->Close();
  EXPECT_TRUE(two->closed());
}

TEST(RingFile, ThatWasClosedIsKeptByItsUsersAndNeverJoinedAgain) {
  const RingDirectory directory;
  const auto one = OpenRing(directory.place());
  const auto two = OpenRing(directory.place());
  one->Close();
  two->Close();  // by everybody who sees the same error
  const auto fresh = OpenRing(directory.place());
  EXPECT_NE(fresh->id(), one->id());
  EXPECT_FALSE(fresh->closed());
  one->Close();
  EXPECT_EQ(OpenRing(directory.place())->id(), fresh->id()) << "closing the old ring once more took the name of the new one";
  EXPECT_EQ(two->id(), one->id());
}

TEST(RingFile, WhoseCloserDiedBeforeItTookTheNameIsNotJoined) {
  const RingDirectory directory;
  const auto one = OpenRing(directory.place());
  RawRing(directory.file())->header.closed.store(1);
  const auto fresh = OpenRing(directory.place());
  EXPECT_NE(fresh->id(), one->id());
  EXPECT_EQ(OpenRing(directory.place())->id(), fresh->id());
}

TEST(RingFile, OfGarbageIsCorruption) {
  const RingDirectory directory;
  std::filesystem::create_directory(directory.place().directory);
  ::chmod(directory.place().directory.c_str(), 0700);
  for (const size_t size : {size_t{0}, size_t{20}, sizeof(Shared)}) {
    WriteFile(directory.file(), Bytes(size, 'z'));
    const auto ring = Ring::Open(directory.place());
    EXPECT_THAT(ring, HasKind(ErrorKind::kCorruption)) << size;
    EXPECT_THAT(ring, HasMessage(directory.file() + " is not a ring. Delete it when no writer runs"));
    EXPECT_EQ(ReadFile(directory.file()).size(), size) << "it was touched";
  }
}

TEST(RingFile, ThatWasCutOrHasNoIdIsCorruption) {
  const RingDirectory directory;
  const auto keeper = OpenRing(directory.place());
  Bytes content = ReadFile(directory.file());
  WriteFile(directory.file(), content.substr(0, 100'000));
  EXPECT_THAT(Ring::Open(directory.place()), HasKind(ErrorKind::kCorruption));
  EXPECT_THAT(Ring::Open(directory.place()), HasMessage("100000 bytes"));
  content[30] = 'Z';
  WriteFile(directory.file(), content);
  EXPECT_THAT(Ring::Open(directory.place()), HasKind(ErrorKind::kCorruption));
}

TEST(RingFile, OfAnotherLayoutIsUnsupported) {
  const RingDirectory directory;
  const auto keeper = OpenRing(directory.place());
  Bytes content = ReadFile(directory.file());
  content[8] = 7;
  WriteFile(directory.file(), content);
  EXPECT_THAT(Ring::Open(directory.place()), HasKind(ErrorKind::kUnsupported));
  EXPECT_THAT(Ring::Open(directory.place()), HasMessage("layout 7"));
  WriteFile(directory.file(), content.substr(0, 5000));
  EXPECT_THAT(Ring::Open(directory.place()), HasMessage("layout 7")) << "its size is its own business";
}

TEST(RingFile, OfTooManyRightsIsUnsupported) {
  const RingDirectory directory;
  const auto keeper = OpenRing(directory.place());
  for (const mode_t mode : {0640, 0606, 0700, 0400, 04600}) {
    ASSERT_EQ(::chmod(directory.file().c_str(), mode), 0);
    if (::geteuid() != 0 && mode == 0400) continue;  // cannot be opened at all
    EXPECT_THAT(Ring::Open(directory.place()), HasKind(ErrorKind::kUnsupported)) << mode;
    EXPECT_THAT(Ring::Open(directory.place()), HasMessage("not 0600"));
  }
  ASSERT_EQ(::chmod(directory.file().c_str(), 0600), 0);
  ASSERT_EQ(::chmod(directory.place().directory.c_str(), 0750), 0);
  EXPECT_THAT(Ring::Open(directory.place()), HasKind(ErrorKind::kUnsupported));
  EXPECT_THAT(Ring::Open(directory.place()), HasMessage("0750, not 0700"));
}

TEST(RingFile, OfAnotherUserIsUnsupported) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may give files away";
  const RingDirectory directory;
  const auto keeper = OpenRing(directory.place());
  ASSERT_EQ(::chown(directory.file().c_str(), 12345, 12345), 0);
  EXPECT_THAT(Ring::Open(directory.place()), HasKind(ErrorKind::kUnsupported));
  EXPECT_THAT(Ring::Open(directory.place()), HasMessage("belongs to user 12345"));
  ASSERT_EQ(::chown(directory.file().c_str(), 0, 0), 0);
  ASSERT_EQ(::chown(directory.place().directory.c_str(), 12345, 12345), 0);
  EXPECT_THAT(Ring::Open(directory.place()), HasKind(ErrorKind::kUnsupported));
  EXPECT_THAT(Ring::Open(directory.place()), HasMessage("belongs to user 12345"));
}

TEST(RingFile, InADirectoryOfAnotherUserIsDenied) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may become another user";
  const RingDirectory directory;
  Child child([&](Child&) {
    ASSERT_EQ(::setresuid(12345, 12345, 12345), 0);
    EXPECT_THAT(Ring::Open(directory.place()), HasKind(ErrorKind::kDenied));
  });
  EXPECT_EQ(child.Join(), 0);
}

TEST(RingFile, BehindALinkIsUnsupported) {
  const RingDirectory directory;
  const auto keeper = OpenRing(directory.place());
  const std::string other = directory.place().directory + "/other";
  std::filesystem::create_hard_link(directory.file(), other);
  EXPECT_THAT(Ring::Open(directory.place()), HasKind(ErrorKind::kUnsupported));
  EXPECT_THAT(Ring::Open(directory.place()), HasMessage("2 names"));
  std::filesystem::remove(directory.file());
  std::filesystem::create_symlink(other, directory.file());
  EXPECT_THAT(Ring::Open(directory.place()), HasKind(ErrorKind::kUnsupported));
  EXPECT_THAT(Ring::Open(directory.place()), HasMessage("symbolic link"));
  std::filesystem::create_directory_symlink(directory.place().directory, directory.root() + "/link");
  EXPECT_THAT(Ring::Open({directory.root() + "/link", "ab"}), HasKind(ErrorKind::kUnsupported));
}

TEST(RingFile, ThatIsNoFileIsUnsupported) {
  const RingDirectory directory;
  const auto keeper = OpenRing({directory.place().directory, "ab"});
  std::filesystem::create_directory(directory.file());
  EXPECT_THAT(Ring::Open(directory.place()), HasKind(ErrorKind::kUnsupported));
  std::filesystem::remove(directory.file());
  ASSERT_EQ(::mkfifo(directory.file().c_str(), 0600), 0);
  EXPECT_THAT(Ring::Open(directory.place()), HasKind(ErrorKind::kUnsupported));
  EXPECT_THAT(Ring::Open(directory.place()), HasMessage("not a regular file"));
}

TEST(RingFile, NeedsAKeyThatStaysInItsDirectory) {
  const RingDirectory directory;
  for (const std::string& key : {std::string(), std::string("../ab"), std::string("AB"), std::string(300, 'a')})
    EXPECT_THAT(Ring::Open({directory.place().directory, key}), HasKind(ErrorKind::kInvalidArgument)) << key;
}

TEST(RingFile, WithoutSharedMemoryIsUnavailable) {
  EXPECT_THAT(Ring::Open({"/nowhere-at-all/rings", "ab"}), HasKind(ErrorKind::kUnavailable));
}

TEST(RingFile, OnAFullFileSystemIsUnavailableAndLeavesNothing) {
  const RingDirectory directory;
  Child child([&](Child&) {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("tmpfs", directory.root().c_str(), "tmpfs", 0, "size=1m") != 0)
      ::_exit(77);
    const auto ring = Ring::Open(directory.place());
    EXPECT_THAT(ring, HasKind(ErrorKind::kUnavailable));
    EXPECT_THAT(ring, HasMessage("No space left"));
    EXPECT_TRUE(std::filesystem::is_empty(directory.place().directory));
    // As soon as there is space, there is a ring.
    ASSERT_EQ(::mount("tmpfs", directory.root().c_str(), "tmpfs", MS_REMOUNT, "size=16m"), 0);
    EXPECT_THAT(Ring::Open(directory.place()), IsOk());
  });
  const int status = child.Join();
  if (status == 77) GTEST_SKIP() << "no mounts allowed here";
  EXPECT_EQ(status, 0);
}

TEST(RingFile, BeyondTheLimitOfFileSizesIsUnavailableAndKillsNobody) {
  const RingDirectory directory;
  Child child([&](Child&) {
    const struct rlimit limit = {1 << 20, 1 << 20};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
    EXPECT_THAT(Ring::Open(directory.place()), HasKind(ErrorKind::kUnavailable));
    EXPECT_FALSE(std::filesystem::exists(directory.file()));
  });
  EXPECT_EQ(child.Join(), 0);
  const auto keeper = OpenRing(directory.place());
  Child joins([&](Child&) {
    const struct rlimit limit = {1 << 20, 1 << 20};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
    EXPECT_THAT(Ring::Open(directory.place()), IsOk());
  });
  EXPECT_EQ(joins.Join(), 0);
}

TEST(RingFile, IsOneForEightProcessesThatOpenItAtOnce) {
  constexpr int kProcesses = 8;
  for (int round = 0; round < 10; ++round) {
    const RingDirectory directory;
    std::vector<std::unique_ptr<Child>> children;
    for (int i = 0; i < kProcesses; ++i)
      children.push_back(std::make_unique<Child>([&, i](Child& parent) {
        parent.Tell();
        ASSERT_TRUE(parent.Hear());
        const auto ring = OpenRing(directory.place());
        std::ofstream(directory.root() + "/id" + std::to_string(i)) << ring->id();
        parent.Tell();
        ASSERT_TRUE(parent.Hear());  // none leaves before all have come, or it would be made anew
      }));
    for (auto& child : children) ASSERT_TRUE(child->Hear());
    for (auto& child : children) child->Tell();
    for (auto& child : children) ASSERT_TRUE(child->Hear());
    const auto ring = OpenRing(directory.place());
    for (auto& child : children) child->Tell();
    std::set<Bytes> ids;
    for (int i = 0; i < kProcesses; ++i) {
      EXPECT_EQ(children[static_cast<size_t>(i)]->Join(), 0);
      ids.insert(ReadFile(directory.root() + "/id" + std::to_string(i)));
    }
    EXPECT_THAT(ids, testing::ElementsAre(ring->id()));
  }
}

TEST(RingFile, GoesWithItsLastUser) {
  const RingDirectory directory;
  auto one = OpenRing(directory.place());
  auto two = OpenRing(directory.place());
  one.reset();
  EXPECT_TRUE(std::filesystem::exists(directory.file()));
  two.reset();
  EXPECT_FALSE(std::filesystem::exists(directory.file()));
}

TEST(RingFile, OfKilledUsersGoesWhenAnotherRingIsMade) {
  const RingDirectory directory;
  Child child([&](Child& parent) {
    const auto ring = OpenRing(directory.place());
    parent.Tell();
    (void)parent.Hear();
    ::_exit(0);  // as if killed: no destructor runs
  });
  ASSERT_TRUE(child.Hear());
  const RingPlace other{directory.place().directory, "ab"};
  auto made = OpenRing(other);
  EXPECT_TRUE(std::filesystem::exists(directory.file())) << "its user lives";
  made.reset();
  child.Tell();
  EXPECT_EQ(child.Join(), 0);
  EXPECT_TRUE(std::filesystem::exists(directory.file()));
  made = OpenRing(other);
  EXPECT_FALSE(std::filesystem::exists(directory.file()));
  EXPECT_TRUE(std::filesystem::exists(other.directory + "/ab"));
}

TEST(RingFile, IsThereForEveryProcessThatComesWhileOthersLeave) {
  const RingDirectory directory;
  std::vector<std::unique_ptr<Child>> children;
  for (int i = 0; i < 4; ++i)
    children.push_back(std::make_unique<Child>([&](Child&) {
      for (int round = 0; round < 300; ++round) ASSERT_THAT(Ring::Open(directory.place()), IsOk());
    }));
  for (auto& child : children) EXPECT_EQ(child->Join(), 0);
  EXPECT_FALSE(std::filesystem::exists(directory.file()));
}

}  // namespace
}  // namespace datashard::ring
