#include "shardread/local_copies.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"
#include "shardread/objects_check.h"

namespace datashard::shardread {
namespace {

constexpr std::string_view kDatabase = "shard.db";
constexpr std::string_view kIdentity = "shard.identity.json";
constexpr int64_t kPieceBytes = int64_t{4} << 20;
constexpr size_t kPiecesAtOnce = 4;
constexpr int64_t kIdentityBytesMax = 64 << 10;

std::string In(const std::string& directory, std::string_view name) { return directory + "/" + std::string(name); }

Fd OpenFile(const std::string& path, int flags) { return Fd(Uninterrupted([&] { return open(path.c_str(), flags | O_CLOEXEC, 0644); })); }

std::string IdentityOf(const ShardMeta& shard) {
  nlohmann::json identity;
  identity["checkpoint_id"] = shard.checkpoint_id ? nlohmann::json(*shard.checkpoint_id) : nlohmann::json();
  identity["db_url"] = *shard.db_url;
  return identity.dump(-1, ' ', /*ensure_ascii=*/false, nlohmann::json::error_handler_t::replace);
}

// Compared as JSON: shardyfusion writes the same with other spaces.
bool HasIdentity(const std::string& directory, const ShardMeta& shard) {
  const Fd file = OpenFile(In(directory, kIdentity), O_RDONLY);
  std::string text(kIdentityBytesMax, '\0');
  const int64_t size = file.valid() ? ReadAllAt(file.get(), 0, kIdentityBytesMax, text.data()) : 0;
  if (size <= 0) return false;
  text.resize(static_cast<size_t>(size));
  const auto found = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  return !found.is_discarded() && found == nlohmann::json::parse(IdentityOf(shard), nullptr, false);
}

bool HasSize(const std::string& directory, const ShardMeta& shard) {
  struct stat info {};
  if (stat(In(directory, kDatabase).c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return false;
  const ShardObject* const object = FindObject(shard, kDatabase);
  const int64_t expected = object != nullptr ? object->size_bytes : shard.db_bytes;
  return info.st_size == expected || (object == nullptr && expected == 0);
}

Status SyncNames(const std::string& directory) {
  const Fd opened = OpenFile(directory, O_RDONLY | O_DIRECTORY);
  if (!opened.valid()) return IoError(errno, "open", directory);
  if (const int failed = SyncDirectory(opened.get()); failed != 0) return IoError(failed, "sync", directory);
  return {};
}

Status Rename(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) != 0) return IoError(errno, "rename", from);
  return {};
}

// The file is durable and whole before it has its name.
Status WriteFile(const std::string& directory, std::string_view name, ByteView body) {
  const std::string path = In(directory, name);
  const std::string temporary = path + ".tmp";
  {
    const Fd file = OpenFile(temporary, O_WRONLY | O_CREAT | O_TRUNC);
    if (!file.valid()) return IoError(errno, "create", temporary);
    if (const int failed = WriteAll(file.get(), body); failed != 0) return IoError(failed, "write", temporary);
    if (fsync(file.get()) != 0) return IoError(errno, "sync", temporary);
  }
  return Rename(temporary, path);
}

Status CopyObject(ObjectReader& object, const std::string& uri, int file, const std::string& path) {
  for (int64_t at = 0; at < object.size_bytes();) {
    std::vector<ByteRange> ranges;
    while (ranges.size() < kPiecesAtOnce && at < object.size_bytes()) {
      ranges.push_back({.offset_bytes = at, .size_bytes = std::min(kPieceBytes, object.size_bytes() - at)});
      at += ranges.back().size_bytes;
    }
    std::vector<Result<Bytes>> pieces = object.ReadRanges(ranges);
    for (size_t i = 0; i < pieces.size(); ++i) {
      if (!pieces[i].ok()) return std::move(pieces[i]).error().In(uri);
      if (static_cast<int64_t>(pieces[i]->size()) != ranges[i].size_bytes) {
        return Corruption("{}: {} bytes at {} were expected, {} came", uri, ranges[i].size_bytes, ranges[i].offset_bytes, pieces[i]->size());
      }
      if (const int failed = WriteAll(file, *pieces[i]); failed != 0) return IoError(failed, "write", path);
    }
  }
  return {};
}

// What was written is still in the page cache: hashing it there costs little, and finds what the way to it damaged.
Status CheckWritten(const ShardObject& expected, int file, int64_t size_bytes, const std::string& uri) {
  if (size_bytes == 0) return CheckObject(expected, {}, uri);
  void* const start = mmap(nullptr, static_cast<size_t>(size_bytes), PROT_READ, MAP_SHARED, file, 0);
  if (start == MAP_FAILED) return IoError(errno, "map", uri);
  Status checked = CheckObject(expected, {static_cast<const char*>(start), static_cast<size_t>(size_bytes)}, uri);
  munmap(start, static_cast<size_t>(size_bytes));
  return checked;
}

// A file that stood here for long, or was copied by others: what the disk made of it is looked at as in a snapshot on this machine.
bool IsIntact(const std::string& directory, const ShardMeta& shard) {
  const ShardObject* const expected = FindObject(shard, kDatabase);
  if (expected == nullptr) return true;
  const Fd file = OpenFile(In(directory, kDatabase), O_RDONLY);
  return file.valid() && CheckWritten(*expected, file.get(), expected->size_bytes, directory).ok();
}

struct Kept {
  std::string directory;
  int64_t size_bytes = 0;
  Instant used;
};

std::vector<Kept> KeptBelow(const std::string& root) {
  std::vector<Kept> kept;
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(opendir(root.c_str()), closedir);
  if (listing == nullptr) return kept;
  while (const dirent* const entry = readdir(listing.get())) {
    const std::string_view name = entry->d_name;
    if (!name.starts_with("shard=")) continue;
    const std::string directory = In(root, name);
    struct stat file {};
    struct stat lock {};
    if (stat(In(directory, kDatabase).c_str(), &file) != 0 || !S_ISREG(file.st_mode)) continue;
    const bool has_lock = stat(In(directory, ".cache.lock").c_str(), &lock) == 0;
    kept.push_back({directory, file.st_size, ModifiedTime(has_lock ? lock : file)});
  }
  std::ranges::sort(kept, {}, &Kept::used);
  return kept;
}

bool Lock(const Fd& file, int how) { return file.valid() && Uninterrupted([&] { return flock(file.get(), how | LOCK_NB); }) == 0; }

// Only where no process has it open or is about to.
bool Evict(const std::string& directory) {
  const Fd changing = OpenFile(In(directory, ".cache.lock"), O_RDWR | O_CREAT);
  if (!Lock(changing, LOCK_EX)) return false;
  const Fd file = OpenFile(In(directory, kDatabase), O_RDONLY);
  if (!Lock(file, LOCK_EX)) return false;
  (void)unlink(In(directory, kIdentity).c_str());
  return unlink(In(directory, kDatabase).c_str()) == 0;
}

}  // namespace

Result<Fd> LocalCopies::LockForChange(const std::string& directory) const {
  const std::string path = In(directory, ".cache.lock");
  Fd file = OpenFile(path, O_RDWR | O_CREAT);
  if (!file.valid()) return IoError(errno, "open", path);
  while (!Lock(file, LOCK_EX)) {
    if (errno != EWOULDBLOCK) return IoError(errno, "lock", path);
    DS_RETURN_IF_ERROR(AskInterrupted());
    clock_.Sleep(std::chrono::milliseconds(10));  // another process copies this shard
  }
  (void)futimens(file.get(), nullptr);  // used now, for the order of eviction
  return file;
}

void LocalCopies::MakeRoom(int64_t wanted_bytes, const std::string& directory) const {
  if (bytes_max_ <= 0) return;
  std::vector<Kept> kept = KeptBelow(root_);
  std::erase_if(kept, [&](const Kept& one) { return one.directory == directory; });  // replaced by what is wanted
  int64_t sum = wanted_bytes;
  for (const Kept& one : kept) sum += one.size_bytes;
  for (const Kept& one : kept) {
    if (sum <= bytes_max_) return;
    if (Evict(one.directory)) sum -= one.size_bytes;
  }
}

Status LocalCopies::Download(const ShardMeta& shard, ObjectStore& store, const std::string& key, bool verify, const std::string& directory) const {
  const std::string uri = *shard.db_url + "/" + std::string(kDatabase);
  const std::string path = In(directory, kDatabase);
  const std::string temporary = path + ".tmp";
  DS_ASSIGN_OR_RETURN(const std::unique_ptr<ObjectReader> object, store.OpenReader(key));
  MakeRoom(object->size_bytes(), directory);
  const auto copied = [&]() -> Status {
    const Fd file = OpenFile(temporary, O_RDWR | O_CREAT | O_TRUNC);
    if (!file.valid()) return IoError(errno, "create", temporary);
    DS_RETURN_IF_ERROR(CopyObject(*object, uri, file.get(), temporary));
    const ShardObject* const expected = FindObject(shard, kDatabase);
    if (verify && expected != nullptr) DS_RETURN_IF_ERROR(CheckWritten(*expected, file.get(), object->size_bytes(), uri));
    if (fsync(file.get()) != 0) return IoError(errno, "sync", temporary);
    return {};
  }();
  if (!copied.ok()) {
    (void)unlink(temporary.c_str());
    return copied;
  }
  // The identity goes before the file does: at no moment, also after a loss of power, does one stand beside another shard's file.
  (void)unlink(In(directory, kIdentity).c_str());
  DS_RETURN_IF_ERROR(SyncNames(directory));
  DS_RETURN_IF_ERROR(Rename(temporary, path));
  DS_RETURN_IF_ERROR(SyncNames(directory));
  return WriteFile(directory, kIdentity, IdentityOf(shard));
}

Result<LocalCopy> LocalCopies::Obtain(const ShardMeta& shard, ObjectStore& store, const std::string& key, bool verify, Reuse reuse) const {
  const std::string directory = In(root_, fmt::format("shard={:05}", shard.db_id));
  std::error_code failed;
  std::filesystem::create_directories(directory, failed);
  if (failed) return IoError(failed.value(), "make", directory);
  DS_ASSIGN_OR_RETURN(Fd changing, LockForChange(directory));
  const bool is_here = reuse == Reuse::kYes && HasIdentity(directory, shard) && HasSize(directory, shard) && (!verify || IsIntact(directory, shard));
  if (!is_here) DS_RETURN_IF_ERROR(Download(shard, store, key, verify, directory));
  Fd used = OpenFile(In(directory, kDatabase), O_RDONLY);
  if (!used.valid()) return IoError(errno, "open", In(directory, kDatabase));
  if (!Lock(used, LOCK_SH)) return IoError(errno, "lock", In(directory, kDatabase));
  return LocalCopy(directory, is_here, std::move(changing), std::move(used));
}

}  // namespace datashard::shardread
