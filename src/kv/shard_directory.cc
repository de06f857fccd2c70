#include "kv/shard_directory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <atomic>
#include <utility>

#include "base/error.h"
#include "storage/posix_file.h"

namespace datashard::kv {
namespace {

uint64_t NewCacheId() {
  static std::atomic<uint64_t> next{1};
  return next.fetch_add(1, std::memory_order_relaxed);
}

Error CutOff(const std::string& uri, const ByteRange& range, int64_t size_bytes) {
  return Corruption("{}: bytes {} to {} are needed, and it has {}; the object is cut off or damaged", uri, range.offset_bytes,
                    range.offset_bytes + range.size_bytes, size_bytes);
}

bool Within(const ByteRange& range, int64_t size_bytes) {
  return range.offset_bytes >= 0 && range.size_bytes >= 0 && range.size_bytes <= size_bytes - range.offset_bytes;
}

class MappedFile final : public ShardFile {
 public:
  static Result<std::unique_ptr<ShardFile>> Map(const std::string& path, std::string uri) {
    const Fd file(Uninterrupted([&] { return open(path.c_str(), O_RDONLY | O_CLOEXEC); }));
    if (!file.valid()) return IoError(errno, "open", uri);
    struct stat info {};
    if (fstat(file.get(), &info) != 0) return IoError(errno, "look at", uri);
    if (!S_ISREG(info.st_mode)) return NotFound("{} is not a file", uri);
    void* start = nullptr;
    if (info.st_size > 0) {
      start = mmap(nullptr, static_cast<size_t>(info.st_size), PROT_READ, MAP_SHARED, file.get(), 0);
      if (start == MAP_FAILED) return IoError(errno, "map", uri);
    }
    return std::unique_ptr<ShardFile>(new MappedFile(std::move(uri), start, info.st_size));
  }
  ~MappedFile() override {
    if (start_ != nullptr) munmap(start_, static_cast<size_t>(size_bytes_));
  }

  const std::string& uri() const override { return uri_; }
  int64_t size_bytes() const override { return size_bytes_; }
  std::optional<ByteView> mapped() const override { return whole(); }
  std::vector<Result<Bytes>> Read(std::span<const ByteRange> ranges) const override {
    std::vector<Result<Bytes>> read;
    for (const ByteRange& range : ranges) {
      if (Within(range, size_bytes_)) {
        read.push_back(Bytes(whole().substr(static_cast<size_t>(range.offset_bytes), static_cast<size_t>(range.size_bytes))));
      } else {
        read.push_back(CutOff(uri_, range, size_bytes_));
      }
    }
    return read;
  }
  uint64_t cache_id() const override { return cache_id_; }

 private:
  MappedFile(std::string uri, void* start, int64_t size_bytes) : uri_(std::move(uri)), start_(start), size_bytes_(size_bytes) {}
  ByteView whole() const { return {static_cast<const char*>(start_), static_cast<size_t>(size_bytes_)}; }

  const std::string uri_;
  void* const start_;
  const int64_t size_bytes_;
  const uint64_t cache_id_ = NewCacheId();
};

class StoredFile final : public ShardFile {
 public:
  StoredFile(std::string uri, std::unique_ptr<ObjectReader> reader) : uri_(std::move(uri)), reader_(std::move(reader)) {}

  const std::string& uri() const override { return uri_; }
  int64_t size_bytes() const override { return reader_->size_bytes(); }
  std::optional<ByteView> mapped() const override { return std::nullopt; }
  std::vector<Result<Bytes>> Read(std::span<const ByteRange> ranges) const override {
    for (const ByteRange& range : ranges) {
      if (!Within(range, size_bytes())) return std::vector<Result<Bytes>>(ranges.size(), CutOff(uri_, range, size_bytes()));
    }
    std::vector<Result<Bytes>> read = reader_->ReadRanges(ranges);
    for (size_t i = 0; i < read.size(); ++i) {
      if (!read[i].ok()) {
        read[i] = std::move(read[i]).error().In(uri_);
      } else if (static_cast<int64_t>(read[i]->size()) != ranges[i].size_bytes) {
        read[i] = CutOff(uri_, ranges[i], ranges[i].offset_bytes + static_cast<int64_t>(read[i]->size()));
      }
    }
    return read;
  }
  uint64_t cache_id() const override { return cache_id_; }

 private:
  const std::string uri_;
  const std::unique_ptr<ObjectReader> reader_;
  const uint64_t cache_id_ = NewCacheId();
};

// What both kinds of directories have in common: a store, and what stands before every name in it.
class Directory : public ShardDirectory {
 public:
  Directory(std::string uri, std::string prefix, BlockCache& cache)
      : uri_(std::move(uri)), prefix_(std::move(prefix)), cache_(cache) {}

  const std::string& uri() const override { return uri_; }
  BlockCache& cache() const override { return cache_; }
  Result<Bytes> Get(std::string_view name) const override { return store().Get(KeyOf(name)); }
  Result<std::vector<std::string>> List(std::string_view prefix) const override {
    DS_ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, store().List(KeyOf(prefix)));
    std::vector<std::string> names;
    for (const ObjectInfo& object : objects) names.push_back(object.key.substr(prefix_.size()));
    return names;
  }

 protected:
  virtual ObjectStore& store() const = 0;
  std::string KeyOf(std::string_view name) const { return prefix_ + std::string(name); }
  std::string UriOf(std::string_view name) const { return uri_ + "/" + std::string(name); }

 private:
  const std::string uri_;
  const std::string prefix_;
  BlockCache& cache_;
};

class MappedDirectory final : public Directory {
 public:
  MappedDirectory(std::string path, std::string uri, std::unique_ptr<ObjectStore> store, BlockCache& cache)
      : Directory(std::move(uri), "", cache), path_(std::move(path)), store_(std::move(store)) {}
  Result<std::unique_ptr<ShardFile>> Open(std::string_view name) const override {
    return MappedFile::Map(path_ + "/" + std::string(name), UriOf(name));
  }

 private:
  ObjectStore& store() const override { return *store_; }
  const std::string path_;
  const std::unique_ptr<ObjectStore> store_;
};

class StoredDirectory final : public Directory {
 public:
  StoredDirectory(ObjectStore& store, std::string prefix, BlockCache& cache)
      : Directory(store.root_uri() + "/" + prefix, prefix + "/", cache), store_(store) {}
  Result<std::unique_ptr<ShardFile>> Open(std::string_view name) const override {
    DS_ASSIGN_OR_RETURN(std::unique_ptr<ObjectReader> reader, store_.OpenReader(KeyOf(name)));
    return std::unique_ptr<ShardFile>(new StoredFile(UriOf(name), std::move(reader)));
  }

 private:
  ObjectStore& store() const override { return store_; }
  ObjectStore& store_;
};

}  // namespace

Result<std::unique_ptr<ShardDirectory>> OpenMappedDirectory(std::string path, std::string uri, BlockCache& cache) {
  DS_ASSIGN_OR_RETURN(std::unique_ptr<ObjectStore> store, OpenLocalStore(path, /*create=*/false));
  return std::unique_ptr<ShardDirectory>(new MappedDirectory(std::move(path), std::move(uri), std::move(store), cache));
}

std::unique_ptr<ShardDirectory> OpenStoredDirectory(ObjectStore& store, std::string prefix, BlockCache& cache) {
  return std::make_unique<StoredDirectory>(store, std::move(prefix), cache);
}

}  // namespace datashard::kv
