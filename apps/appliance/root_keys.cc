// SPDX-License-Identifier: Apache-2.0
//
// While DATA/root.keys.new exists the first start is not complete; it holds the keys that it uses.
#include "appliance/root_keys.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "appliance/config_file.h"
#include "strata/base/errno_status.h"
#include "strata/base/file_descriptor.h"
#include "strata/base/random.h"
#include "strata/base/status_macros.h"

namespace strata::appliance {
namespace {

// Unbiased: bytes past the last whole multiple of the alphabet are drawn again.
absl::StatusOr<std::string> RandomText(std::string_view alphabet, size_t size) {
  std::string text;
  const size_t fair = 256 / alphabet.size() * alphabet.size();
  while (text.size() < size) {
    std::array<std::byte, 64> bytes;
    STRATA_RETURN_IF_ERROR(SecureRandomBytes(bytes));
    for (const std::byte byte : bytes) {
      const auto value = static_cast<size_t>(byte);
      if (value < fair && text.size() < size) text += alphabet[value % alphabet.size()];
    }
  }
  return text;
}

absl::Status ErrnoError(absl::string_view what, const std::string& path) {
  return ErrnoStatus(errno, absl::StrCat("cannot ", what, " ", path));
}

// REQUIRES: neither key holds a quote or a backslash: CheckKeys().
absl::Status WriteKeys(const std::string& directory, const std::string& path,
                       const RootKeys& keys) {
  const std::string text = absl::StrCat(
      "# The root user's keys, as made on the first start. Once you have noted them\n",
      "# elsewhere this file may go: stratad does not read it again.\n", "[root]\n",
      "access_key = \"", keys.access_key, "\"\n", "secret_key = \"", keys.secret_key, "\"\n");
  const FileDescriptor file(
      open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.is_open()) return ErrnoError("make", path);
  const int fd = file.get();
  if (fchmod(fd, 0600) != 0 ||
      write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size()) || fsync(fd) != 0) {
    return ErrnoError("write", path);
  }
  return SyncFolder(directory);
}

absl::StatusOr<RootKeys> ReadKeys(const std::string& path) {
  RootKeys keys;
  STRATA_ASSIGN_OR_RETURN(const std::vector<FileSetting> settings, ReadConfigFile(path));
  for (const FileSetting& setting : settings) {
    if (setting.name == "root.access_key") keys.access_key = setting.value;
    if (setting.name == "root.secret_key") keys.secret_key = setting.value;
  }
  return keys;
}

// The lengths are those of object::AccessKey.
absl::Status CheckKeys(const RootKeys& keys) {
  for (const std::string* key : {&keys.access_key, &keys.secret_key}) {
    for (const char c : *key) {
      if (c > ' ' && c < 127 && c != '"' && c != '\\') continue;
      return absl::InvalidArgumentError(
          "STRATA_ROOT_ACCESS_KEY, STRATA_ROOT_SECRET_KEY: printable ASCII without spaces, quotes "
          "and "
          "backslashes");
    }
  }
  if (keys.access_key.empty() != keys.secret_key.empty()) {
    return absl::InvalidArgumentError(
        "STRATA_ROOT_ACCESS_KEY and STRATA_ROOT_SECRET_KEY belong together; only one is set");
  }
  if (keys.access_key.empty()) return absl::OkStatus();
  if (keys.access_key.size() < 3 || keys.access_key.size() > 128) {
    return absl::InvalidArgumentError("STRATA_ROOT_ACCESS_KEY: 3 to 128 characters");
  }
  if (keys.secret_key.size() < 8 || keys.secret_key.size() > 128) {
    return absl::InvalidArgumentError("STRATA_ROOT_SECRET_KEY: 8 to 128 characters");
  }
  return absl::OkStatus();
}

absl::Status AddRootUser(object::Store& objects, const RootKeys& keys) {
  absl::Status created = objects.CreateUser(
      {.id = kRootUser, .display_name = "the administrator", .admin = true, .created_ns = 0});
  if (!created.ok() && object::ReasonOf(created) != object::Reason::kUserAlreadyExists) {
    return created;
  }
  return objects.AddAccessKey({.access_key = keys.access_key,
                               .secret_key = keys.secret_key,
                               .user_id = kRootUser,
                               .created_ns = 0});
}

// Says so when keys were given that the store does not have.
void NoticeIgnoredKeys(object::Store& objects, const RootKeys& given, const LogSink& log) {
  if (given.access_key.empty()) return;
  const absl::StatusOr<object::AccessKey> known = objects.FindAccessKey(given.access_key);
  if (known.ok() && known->secret_key == given.secret_key) return;
  Log(log, LogLevel::kWarning,
      "the keys in STRATA_ROOT_ACCESS_KEY and STRATA_ROOT_SECRET_KEY are ignored: they are for the "
      "first start, and the store has its root user; use `strata user key`");
}

}  // namespace

RootKeys TakeRootKeysFromEnvironment() {
  RootKeys keys;
  for (const auto& [name, key] : {std::pair{"STRATA_ROOT_ACCESS_KEY", &keys.access_key},
                                  std::pair{"STRATA_ROOT_SECRET_KEY", &keys.secret_key}}) {
    char* const value = std::getenv(name);
    if (value == nullptr) continue;
    *key = value;
    explicit_bzero(value, key->size());  // The kernel shows this memory as /proc/PID/environ.
    unsetenv(name);
  }
  return keys;
}

absl::StatusOr<RootKeys> GenerateKeys() {
  RootKeys keys;
  STRATA_ASSIGN_OR_RETURN(keys.access_key, RandomText("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", 20));
  STRATA_ASSIGN_OR_RETURN(
      keys.secret_key,
      RandomText("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", 40));
  return keys;
}

absl::Status EnsureRootUser(object::Store& objects, const std::string& data, const RootKeys& given,
                            const LogSink& log) {
  STRATA_RETURN_IF_ERROR(CheckKeys(given));
  const std::string path = data + "/root.keys";
  const std::string pending = path + ".new";
  const bool interrupted = access(pending.c_str(), F_OK) == 0;
  if (!interrupted && objects.GetUser(kRootUser).ok()) {
    NoticeIgnoredKeys(objects, given, log);
    return absl::OkStatus();
  }

  RootKeys keys = given;
  // A file cut short was never used: no key is added before it is whole and durable.
  if (keys.access_key.empty() && interrupted) keys = ReadKeys(pending).value_or(RootKeys{});
  if (keys.access_key.empty() || keys.secret_key.empty()) {
    STRATA_ASSIGN_OR_RETURN(keys, GenerateKeys());
  }
  STRATA_RETURN_IF_ERROR(WriteKeys(data, pending, keys));
  STRATA_RETURN_IF_ERROR(AddRootUser(objects, keys));
  if (!given.access_key.empty()) {
    if (unlink(pending.c_str()) != 0) return ErrnoError("remove", pending);
    Log(log, LogLevel::kInfo, "made the user root with the keys from the environment");
  } else {
    if (std::rename(pending.c_str(), path.c_str()) != 0) return ErrnoError("make", path);
    Log(log, LogLevel::kInfo, absl::StrCat("made the user root; its keys are in ", path));
  }
  return SyncFolder(data);
}

}  // namespace strata::appliance
