// The file behind a ring: made whole or not at all, and trusted only after a close look.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>

#include "datashard/result.h"
#include "ring/layout.h"
#include "ring/ring.h"

namespace datashard::ring {

/// Owns a file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(other.Release()) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor();

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

/// A ring's file, by name and by what lay behind the name when it was opened.
struct RingFile {
  std::string path;
  dev_t device = 0;
  ino_t inode = 0;
};

struct OpenRingFile {
  RingFile file;
  Descriptor descriptor;
  std::string id;
};

/// Errors as of Ring::Open. Who has a ring open holds a shared lock on it; making one also removes those in the same
/// directory that nobody has open (their last users were killed).
Result<OpenRingFile> OpenOrMake(const RingPlace& place);

/// Removes the file if `descriptor` is the last that has it open, so that no table leaves memory behind.
void RemoveIfLast(const RingFile& file, int descriptor);

/// Takes its name from a ring that was closed, so that the next one who comes makes a new one; those who have it open keep it. A
/// new ring of that name stays, whoever else does the same at the same moment.
void Retire(const RingFile& file);

/// A new open file description of the same file: kUnavailable where its name leads elsewhere by now.
Result<Descriptor> Reopen(const RingFile& file);

/// The file's memory, shared with all who have it open, until destroyed.
class Mapping {
 public:
  static Result<Mapping> Map(const Descriptor& descriptor, const std::string& path);
  Mapping(Mapping&& other) noexcept : shared_(std::exchange(other.shared_, nullptr)) {}
  Mapping& operator=(Mapping&&) = delete;
  ~Mapping();

  Shared& shared() const { return *shared_; }

 private:
  explicit Mapping(Shared* shared) : shared_(shared) {}
  Shared* shared_;
};

}  // namespace datashard::ring
