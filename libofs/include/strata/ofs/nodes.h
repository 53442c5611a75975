// SPDX-License-Identifier: Apache-2.0
//
// What the calls of a FileSystem take and give: inodes, their attributes, names.
//
// Thread safety: plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace strata::ofs {

inline constexpr uint64_t kRootInode = 1;
inline constexpr size_t kMaxNameBytes = 255;
inline constexpr size_t kMaxSymlinkBytes = 4095;
inline constexpr size_t kMaxAttributeBytes = 64u << 10;    // The value of an extended attribute.
inline constexpr uint64_t kMaxAttributesBytes = 1u << 20;  // Names and values of one inode.
// Names of one inode, each with a zero byte: more of them listxattr() cannot return.
inline constexpr uint64_t kMaxAttributeNamesBytes = 64u << 10;
inline constexpr uint64_t kMaxFileBytes = uint64_t{1} << 60;
// Of a file; of a directory, with those from below.
inline constexpr uint32_t kMaxLinks = 0x7fffffff;

// The numbers are those of the format.
enum class FileType : uint8_t {
  kRegular = 1,
  kDirectory = 2,
  kSymlink = 3,
  kFifo = 4,
  kSocket = 5,
  kCharacterDevice = 6,
  kBlockDevice = 7,
};

// What stat() shows. Times are nanoseconds since 1970, negative before.
struct Attributes {
  uint64_t inode = 0;
  FileType type = FileType::kRegular;
  uint32_t mode = 0;  // The lower 12 bits.
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t link_count = 0;
  uint64_t size_bytes = 0;
  uint64_t stored_bytes = 0;  // Of payload, in units of 4 KiB, with what is not flushed yet.
  int64_t atime_ns = 0;
  int64_t mtime_ns = 0;
  int64_t ctime_ns = 0;
  int64_t birth_ns = 0;
  uint64_t device = 0;  // Of a character or block device.
  // Grows with each change of data or attributes. Names in a directory count for its times alone.
  uint64_t change = 0;
};

struct NewNode {
  FileType type = FileType::kRegular;
  uint32_t mode = 0;   // The lower 12 bits, before the umask.
  uint32_t umask = 0;  // Not used where the directory has a default ACL.
  uint32_t uid = 0;
  uint32_t gid = 0;     // Where the directory does not hand down its own.
  uint64_t device = 0;  // Of devices.
  std::string symlink_target{};
};

// What is absent stays.
struct AttributeChanges {
  std::optional<uint32_t> mode{};
  std::optional<uint32_t> uid{};
  std::optional<uint32_t> gid{};
  std::optional<uint64_t> size_bytes{};  // Of regular files: truncate().
  std::optional<int64_t> atime_ns{};
  std::optional<int64_t> mtime_ns{};
  std::optional<int64_t> ctime_ns{};  // Of a caller that keeps times itself; absent: now.
};

enum class RenameMode : uint8_t {
  kReplace,
  kNoReplace,  // RENAME_NOREPLACE
  kExchange,   // RENAME_EXCHANGE
};

enum class AttributeMode : uint8_t {
  kSet,
  kCreate,   // XATTR_CREATE: EEXIST where there is one.
  kReplace,  // XATTR_REPLACE: ENODATA where there is none.
};

// One name of a directory. The cookie of the last one that was handed out says where to go on; it
// stays good whatever is made or removed, in other processes too.
struct DirectoryEntry {
  std::string name;
  uint64_t inode = 0;
  FileType type = FileType::kRegular;
  uint64_t cookie = 0;  // 1: ".", 2: "..", else the hash of the name.
};

struct DirectoryPage {
  std::vector<DirectoryEntry> entries;
  bool is_last = false;
};

}  // namespace strata::ofs
