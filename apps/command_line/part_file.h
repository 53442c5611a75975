// SPDX-License-Identifier: Apache-2.0
//
// Files of the command line: open ones, and new ones that get their names when they are complete.
// Used by one thread.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "strata/base/file_descriptor.h"

namespace strata::appliance {

// An open file.
class FileHandle final {
 public:
  // Errors: as ErrnoStatus().
  static absl::StatusOr<FileHandle> OpenToRead(const std::string& path);

  FileHandle() = default;
  FileHandle(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}  // Closes it.

  const std::string& path() const { return path_; }
  int fd() const { return fd_.get(); }
  absl::StatusOr<uint64_t> SizeBytes() const;
  // DataLoss: the file ends before the span does.
  absl::Status ReadAt(uint64_t offset_bytes, std::span<std::byte> out) const;
  absl::Status WriteAt(uint64_t offset_bytes, std::span<const std::byte> data) const;
  absl::Status SetSize(uint64_t size_bytes) const;
  // Takes the space for a file of this size, where the filesystem can. ResourceExhausted: it lacks
  // it.
  absl::Status Reserve(uint64_t size_bytes) const;
  absl::Status Sync() const;

 private:
  FileDescriptor fd_;
  std::string path_;
};

// A name within an open folder.
struct FilePlace {
  int folder_fd = -1;
  std::string leaf;
  std::string path;  // For messages.
};

// A file that gets its name when it is complete; until then its name is unique and short, whatever
// the file's (.strata-XXXX.part), and goes away when the object does.
class PartFile final {
 public:
  // AlreadyExists: unless it may `replace` what has the name.
  static absl::StatusOr<std::unique_ptr<PartFile>> Create(const std::string& path, bool replace);
  // `mode`: of the new file until it is changed.
  static absl::StatusOr<std::unique_ptr<PartFile>> CreateAt(const FilePlace& place, bool replace,
                                                            mode_t mode);
  ~PartFile();

  const std::string& path() const { return path_; }
  FileHandle& file() { return file_; }

  // Gives it its name. `durable`: it, and the name, survive a power cut from then on; so does what
  // takes the place of another file.
  absl::Status Commit(bool durable = true);

 private:
  PartFile(FileHandle folder, const FilePlace& place, bool replace, std::string part,
           FileHandle file)
      : path_(place.path),
        leaf_(place.leaf),
        replace_(replace),
        part_(std::move(part)),
        folder_(std::move(folder)),
        file_(std::move(file)) {}
  const std::string path_;
  const std::string leaf_;
  const bool replace_;
  const std::string part_;
  const FileHandle folder_;
  FileHandle file_;
  bool committed_ = false;
};

// The same for what is no regular file: `make` makes it under a name in the folder (0, or -1 and
// errno), `finish` sees to its attributes.
absl::Status MakeNode(const FilePlace& place, bool replace,
                      const std::function<int(int folder_fd, const char* name)>& make,
                      const std::function<void(int folder_fd, const char* name)>& finish);

}  // namespace strata::appliance
