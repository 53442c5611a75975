// SPDX-License-Identifier: Apache-2.0
#include "appliance/key_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <span>

#include "absl/strings/str_cat.h"
#include "appliance/secret_file.h"
#include "strata/base/errno_status.h"
#include "strata/base/file_descriptor.h"
#include "strata/base/hex.h"
#include "strata/base/status_macros.h"

namespace strata::appliance {
namespace {

using Key = dedup::EncryptionKey;

constexpr size_t kHexBytes = 2 * std::tuple_size_v<Key>;

// Room for the hexadecimal form with "\r\n", and one byte more to see that a file is longer.
class Text {
 public:
  ~Text() { explicit_bzero(bytes_.data(), bytes_.size()); }

  absl::Status Read(int fd, const std::string& path) {
    while (size_ < bytes_.size()) {
      const ssize_t count = read(fd, bytes_.data() + size_, bytes_.size() - size_);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return ErrnoStatus(errno, absl::StrCat("cannot read ", path));
      if (count == 0) break;
      size_ += static_cast<size_t>(count);
    }
    return absl::OkStatus();
  }

  std::span<const char> all() const { return std::span(bytes_).first(size_); }

  std::span<const char> line() const {
    size_t size = size_;
    if (size > 0 && bytes_[size - 1] == '\n') --size;
    if (size > 0 && bytes_[size - 1] == '\r') --size;
    return std::span(bytes_).first(size);
  }

 private:
  std::array<char, kHexBytes + 3> bytes_{};
  size_t size_ = 0;
};

// Leaves no copy of the digits, as the house's FromHex() would.
std::optional<Key> KeyFromHex(std::span<const char> digits) {
  Key key;
  if (digits.size() != kHexBytes) return std::nullopt;
  for (size_t i = 0; i < key.size(); ++i) {
    const int high = HexDigitValue(digits[2 * i]);
    const int low = HexDigitValue(digits[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    key[i] = static_cast<std::byte>(high * 16 + low);
  }
  return key;
}

absl::StatusOr<Key> ReadKey(int fd, const std::string& path) {
  struct stat info;
  if (fstat(fd, &info) != 0) return ErrnoStatus(errno, absl::StrCat("cannot read ", path));
  if (!S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is not a file that holds a key"));
  }
  STRATA_RETURN_IF_ERROR(CheckGuarded(fd, path, "a key"));
  Text text;
  STRATA_RETURN_IF_ERROR(text.Read(fd, path));
  if (text.all().size() == std::tuple_size_v<Key>) {
    Key key;
    std::memcpy(key.data(), text.all().data(), key.size());
    return key;
  }
  if (const std::optional<Key> key = KeyFromHex(text.line())) return *key;
  return absl::InvalidArgumentError(
      absl::StrCat(path, " does not hold a key: 32 bytes, or 64 hexadecimal digits"));
}

}  // namespace

absl::StatusOr<std::optional<Key>> ReadKeyFile(const std::string& path) {
  if (path.empty()) return std::nullopt;
  // A pipe does not block.
  const FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.is_open()) return ErrnoStatus(errno, absl::StrCat("cannot read ", path));
  return ReadKey(file.get(), path);
}

}  // namespace strata::appliance
