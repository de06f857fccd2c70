#include "storage/local_write_group.h"

#include <map>
#include <optional>
#include <vector>

#include "base/check.h"
#include "storage/keys.h"
#include "storage/new_file.h"

namespace datashard {
namespace {

// Files and directories held open for the sync at most; a group of more is made durable in parts.
constexpr size_t kPendingMax = 64;
// A streaming writer collects this much before it calls the kernel, and starts write-back this often.
constexpr size_t kBufferBytes = 256 << 10;
constexpr int64_t kWriteBackBytes = 8 << 20;

/// What the group and its open writers share; a writer may be destroyed after its group.
class GroupState {
 public:
  GroupState(const Beneath& beneath, DirectoryTree& tree) : beneath_(beneath), tree_(tree) {}

  /// A file in the directory of `key`, which is opened once for all files of one sync.
  Result<NewFile> Create(std::string_view key) {
    DS_RETURN_IF_ERROR(CheckUsable());
    DS_RETURN_IF_ERROR(CheckObjectKey(key));
    const std::string directory_key(SplitKey(key).first);
    const auto known = directories_.find(directory_key);
    DirectoryPtr directory;
    if (known != directories_.end()) {
      directory = known->second.directory;
    } else {
      DS_ASSIGN_OR_RETURN(directory, tree_.FindOrMake(directory_key));
      directories_.emplace(directory_key, PendingDirectory{directory});
    }
    return NewFile::Create(std::move(directory), beneath_.PathOf(key));
  }

  /// The complete `file` waits for Sync without a name.
  Result<std::shared_ptr<NewFile>> Keep(NewFile file) {
    DS_RETURN_IF_ERROR(CheckUsable());
    if (!left_to_os_) DS_RETURN_IF_ERROR(file.StartWriteBack());
    files_.push_back(std::make_shared<NewFile>(std::move(file)));
    return files_.back();
  }

  /// The complete `file` gets its name and waits for Sync.
  Status Publish(NewFile file, std::string_view key) {
    DS_RETURN_IF_ERROR(CheckUsable());
    if (!left_to_os_) DS_RETURN_IF_ERROR(file.StartWriteBack());
    Status linked = file.LinkExclusively(SplitKey(key).second);
    // Nobody knows the name yet, so an unknown outcome is just one more file that no table mentions.
    if (!linked.ok() && linked.kind() == ErrorKind::kCommitUnknown)
      return Error(ErrorKind::kUnavailable, linked.error().message());
    DS_RETURN_IF_ERROR(std::move(linked));
    // A part of the group may have been synced since the file was begun.
    directories_.try_emplace(file.directory()->key, PendingDirectory{file.directory()}).first->second.has_new_names = true;
    files_.push_back(std::make_shared<NewFile>(std::move(file)));
    return files_.size() >= kPendingMax || directories_.size() >= kPendingMax ? Sync() : Status();
  }

  void LeaveToOs() { left_to_os_ = true; }
  bool left_to_os() const { return left_to_os_; }

  Status Sync() {
    DS_RETURN_IF_ERROR(CheckUsable());
    if (left_to_os_) {
      files_.clear();
      directories_.clear();
      return {};
    }
    Status synced = SyncPending();
    if (!synced.ok()) failure_ = synced.error();
    return synced;
  }

 private:
  struct PendingDirectory {
    DirectoryPtr directory;
    bool has_new_names = false;
  };

  Status SyncPending() {
    for (const std::shared_ptr<NewFile>& file : files_) DS_RETURN_IF_ERROR(file->SyncData());
    files_.clear();
    std::vector<DirectoryPtr> directories;
    for (const auto& [key, pending] : directories_) {
      directories.push_back(pending.directory);
      if (!pending.has_new_names) continue;
      if (const int error = SyncDirectory(pending.directory->fd.get()); error != 0)
        return IoError(error, "sync directory", beneath_.PathOf(key));
    }
    DS_RETURN_IF_ERROR(tree_.SyncParents(directories));
    directories_.clear();
    return {};
  }

  Status CheckUsable() const {
    if (!failure_) return {};
    return Error(failure_->kind(), failure_->message()).In("this group of writes failed before; write its files anew");
  }

  const Beneath& beneath_;
  DirectoryTree& tree_;
  std::vector<std::shared_ptr<NewFile>> files_;
  std::map<std::string, PendingDirectory> directories_;
  std::optional<Error> failure_;
  bool left_to_os_ = false;
};

class LocalWriter final : public ObjectWriter {
 public:
  LocalWriter(std::shared_ptr<GroupState> group, NewFile file, std::string key)
      : group_(std::move(group)), file_(std::move(file)), key_(std::move(key)) {}

  Status Append(ByteView bytes) override {
    DS_CHECK(file_.has_value());
    if (buffer_.size() + bytes.size() >= kBufferBytes) {
      DS_RETURN_IF_ERROR(Flush());
      if (bytes.size() >= kBufferBytes) return Write(bytes);
    }
    buffer_.append(bytes);
    return {};
  }

  int64_t size_bytes() const override { return written_bytes_ + static_cast<int64_t>(buffer_.size()); }

  Status Finish() override {
    DS_CHECK(file_.has_value());
    DS_RETURN_IF_ERROR(Flush());
    NewFile file = std::move(*file_);
    file_.reset();
    return group_->Publish(std::move(file), key_);
  }

 private:
  Status Flush() {
    DS_RETURN_IF_ERROR(Write(buffer_));
    buffer_.clear();
    return {};
  }

  Status Write(ByteView bytes) {
    DS_RETURN_IF_ERROR(file_->Append(bytes));
    written_bytes_ += static_cast<int64_t>(bytes.size());
    unstarted_bytes_ += static_cast<int64_t>(bytes.size());
    if (unstarted_bytes_ < kWriteBackBytes) return {};
    unstarted_bytes_ = 0;
    return file_->StartWriteBack();
  }

  std::shared_ptr<GroupState> group_;
  std::optional<NewFile> file_;
  std::string key_;
  Bytes buffer_;
  int64_t written_bytes_ = 0;
  int64_t unstarted_bytes_ = 0;
};

class LocalUnnamed final : public UnnamedObject {
 public:
  LocalUnnamed(std::shared_ptr<GroupState> group, std::shared_ptr<NewFile> file, std::string name)
      : group_(std::move(group)), file_(std::move(file)), name_(std::move(name)) {}
  Status Publish() override { return group_->left_to_os() ? file_->LinkExclusively(name_) : file_->PublishDurably(name_); }
  Result<bool> StillNamed() override { return file_->StillNamed(name_); }

 private:
  std::shared_ptr<GroupState> group_;
  std::shared_ptr<NewFile> file_;
  std::string name_;
};

class LocalWriteGroup final : public WriteGroup {
 public:
  LocalWriteGroup(const Beneath& beneath, DirectoryTree& tree) : state_(std::make_shared<GroupState>(beneath, tree)) {}

  Status Put(std::string_view key, ByteView body) override {
    DS_ASSIGN_OR_RETURN(NewFile file, state_->Create(key));
    DS_RETURN_IF_ERROR(file.Append(body));
    return state_->Publish(std::move(file), key);
  }

  Result<std::unique_ptr<ObjectWriter>> Open(std::string_view key) override {
    DS_ASSIGN_OR_RETURN(NewFile file, state_->Create(key));
    return std::unique_ptr<ObjectWriter>(std::make_unique<LocalWriter>(state_, std::move(file), std::string(key)));
  }

  Result<std::unique_ptr<UnnamedObject>> Prepare(std::string_view key, ByteView body) override {
    DS_ASSIGN_OR_RETURN(NewFile file, state_->Create(key));
    DS_RETURN_IF_ERROR(file.Append(body));
    DS_ASSIGN_OR_RETURN(std::shared_ptr<NewFile> kept, state_->Keep(std::move(file)));
    return std::unique_ptr<UnnamedObject>(
        std::make_unique<LocalUnnamed>(state_, std::move(kept), std::string(SplitKey(key).second)));
  }

  Status Sync() override { return state_->Sync(); }
  void LeaveToOs() override { state_->LeaveToOs(); }

 private:
  std::shared_ptr<GroupState> state_;
};

}  // namespace

std::unique_ptr<WriteGroup> NewLocalWriteGroup(const Beneath& beneath, DirectoryTree& tree) {
  return std::make_unique<LocalWriteGroup>(beneath, tree);
}

}  // namespace datashard
