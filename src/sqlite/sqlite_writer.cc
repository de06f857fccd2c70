#include <optional>
#include <utility>

#include "base/error.h"
#include "sqlite/file_header.h"
#include "sqlite/format.h"
#include "sqlite/page_checksums.h"
#include "sqlite/page_stream.h"
#include "sqlite/sqlite_shard.h"
#include "sqlite/tree_writer.h"

namespace datashard::sqlite {
namespace {

constexpr uint32_t kRoot = 2;  // where the engine has it

class SqliteWriter final : public kv::DatabaseWriter {
 public:
  SqliteWriter(SqliteWriterOptions options, kv::OutputFactory outputs) : options_(options), outputs_(std::move(outputs)) {}

  Status Add(ByteView key, ByteView value) override {
    DS_RETURN_IF_ERROR(Start());
    if (last_key_ && key <= *last_key_) {
      return InvalidArgument("a key of {} bytes is not above the key before it, of {} bytes; keys are added in ascending order, each once",
                             key.size(), last_key_->size());
    }
    // The record's header: its own size, then what k and v are: 12 + twice the size, for a blob.
    char header[1 + 2 * 9];
    if (key.size() + value.size() + sizeof header > kPayloadBytesMax) {
      return InvalidArgument("a key of {} and a value of {} bytes: a row of SQLite has at most {} bytes", key.size(), value.size(),
                             kPayloadBytesMax);
    }
    const char* end = WriteVarint(WriteVarint(header + 1, 12 + 2 * uint64_t{key.size()}), 12 + 2 * uint64_t{value.size()});
    const auto header_bytes = static_cast<size_t>(end - header);
    header[0] = static_cast<char>(header_bytes);
    DS_RETURN_IF_ERROR(tree_->Add(ByteView(header, header_bytes), key, value));
    if (!last_key_) last_key_.emplace();
    last_key_->assign(key);
    return {};
  }

  Result<std::vector<kv::BuiltObject>> Finish() override {
    DS_RETURN_IF_ERROR(Start());
    DS_RETURN_IF_ERROR(tree_->Finish());
    DS_RETURN_IF_ERROR(pages_->Rewrite(1, FirstPage(pages_->page_size(), pages_->page_count(), kRoot)));
    std::vector<kv::BuiltObject> objects;
    if (options_.page_checksums) {
      std::unique_ptr<kv::Output> checksums = outputs_();
      DS_RETURN_IF_ERROR(checksums->Append(EncodePageChecksums(pages_->page_size(), pages_->checksums())));
      objects.push_back({std::string(kPageChecksumsName), "application/octet-stream", std::move(checksums)});
    }
    objects.push_back({std::string(kDatabaseName), "application/x-sqlite3", std::move(database_)});
    return objects;
  }

 private:
  // Options are checked here and not when it is made, so that there is one way an error can come.
  Status Start() {
    if (tree_) return {};
    if (!IsPageSize(options_.page_size)) {
      return InvalidArgument("SQLite pages of {} bytes; a power of two of {} to {} is needed", options_.page_size, kPageSizeMin, kPageSizeMax);
    }
    const auto page_size = static_cast<uint32_t>(options_.page_size);
    database_ = outputs_();
    pages_.emplace(*database_, PageStream::Options{.page_size = page_size, .lock_byte = kLockByte, .checksums = options_.page_checksums});
    for (uint32_t page = 0; page < kRoot; ++page) DS_RETURN_IF_ERROR(pages_->Append(Bytes(page_size, '\0')));
    tree_.emplace(*pages_, kRoot);
    return {};
  }

  const SqliteWriterOptions options_;
  const kv::OutputFactory outputs_;
  std::unique_ptr<kv::Output> database_;
  std::optional<PageStream> pages_;
  std::optional<TreeWriter> tree_;
  std::optional<Bytes> last_key_;
};

}  // namespace

std::unique_ptr<kv::DatabaseWriter> NewSqliteWriter(SqliteWriterOptions options, kv::OutputFactory outputs) {
  return std::make_unique<SqliteWriter>(options, std::move(outputs));
}

}  // namespace datashard::sqlite
