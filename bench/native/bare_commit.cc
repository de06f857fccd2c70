// The least a durable commit in this format costs: four files of the usual sizes, synced in two waves, and named. Nothing is
// encoded, planned or read. One writer only; its data files are named by row id, so that they can be counted.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdio>

#include "writer.h"

namespace {

constexpr size_t kDataBytes = 1'500;
constexpr size_t kManifestBytes = 2'000;
constexpr size_t kListBytes = 1'000;
constexpr size_t kMetadataBytes = 60'000;

int Written(int fd, const std::string& body, size_t size, const char* what) {
  if (fd < 0 || write(fd, body.data(), size) != static_cast<ssize_t>(size)) bench::Die(what);
  return fd;
}

int Directory(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) bench::Die(path);
  return fd;
}

}  // namespace

int main(int argc, char** argv) {
  return bench::RunWriter(argc, argv, [](const std::string& directory) -> bench::Append {
    const int data = Directory(directory + "/data");
    const int metadata = Directory(directory + "/metadata");
    const int manifests = Directory(directory + "/metadata/m");
    std::string body(kMetadataBytes, '\0');
    for (size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>(i * 31 % 251);
    return [=, version = int64_t{0}](const bench::Record& record) mutable -> std::string {
      ++version;
      const std::string name = std::to_string(record.id);
      constexpr int kNew = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
      const std::array<int, 4> files = {
          Written(openat(data, name.c_str(), kNew, 0644), body, kDataBytes, "data"),
          Written(openat(manifests, std::string("m-").append(name).c_str(), kNew, 0644), body, kManifestBytes, "manifest"),
          Written(openat(manifests, std::string("snap-").append(name).c_str(), kNew, 0644), body, kListBytes, "list"),
          Written(openat(metadata, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0644), body, kMetadataBytes, "metadata")};
      for (const int fd : files) {
        if (sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE) != 0) bench::Die("sync_file_range");
      }
      for (const int fd : files) {
        if (fdatasync(fd) != 0) bench::Die("fdatasync");
      }
      if (fsync(data) != 0 || fsync(manifests) != 0) bench::Die("fsync");
      const std::string unnamed = std::string("/proc/self/fd/").append(std::to_string(files[3]));
      const std::string named = std::string("v").append(std::to_string(version)).append(".metadata.json");
      if (linkat(AT_FDCWD, unnamed.c_str(), metadata, named.c_str(), AT_SYMLINK_FOLLOW) != 0) bench::Die("linkat");
      if (fsync(metadata) != 0) bench::Die("fsync");
      const std::string hint = std::to_string(version);
      close(Written(openat(metadata, ".hint", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), hint, hint.size(), "hint"));
      if (renameat(metadata, ".hint", metadata, "version-hint.text") != 0) bench::Die("renameat");
      for (const int fd : files) close(fd);
      return "";
    };
  });
}
