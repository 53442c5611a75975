// SPDX-License-Identifier: Apache-2.0
#include "appliance/data_guard.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "strata/base/status_macros.h"

namespace strata::appliance {
namespace {

constexpr mode_t kOthers = S_IRWXG | S_IRWXO;

std::optional<mode_t> ModeOf(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return std::nullopt;
  return info.st_mode;
}

class Guard {
 public:
  Guard(const std::string& data, mode_t mode, const LogSink& log)
      : data_(data), entered_by_others_((mode & (S_IXGRP | S_IXOTH)) != 0), log_(log) {
    if ((mode & (S_IWGRP | S_IWOTH)) != 0) {
      Warn(
          absl::StrFormat("%s may be changed by other users (mode %04o), who could put another "
                          "store in its place: chmod 0700 it",
                          data, mode & 07777));
    } else if ((mode & kOthers) != 0) {
      Warn(absl::StrFormat("%s is open to other users (mode %04o): chmod 0700 it", data,
                           mode & 07777));
    }
  }

  // `holds`: what others could have read; nullptr: no secrets.
  absl::Status Tighten(const char* name, const char* holds) {
    const std::string path = absl::StrCat(data_, "/", name);
    const std::optional<mode_t> mode = ModeOf(path);
    if (!mode.has_value() || (*mode & kOthers) == 0) return absl::OkStatus();
    if (chmod(path.c_str(), *mode & 07777 & ~kOthers) != 0) {
      const absl::string_view why = std::strerror(errno);
      if (holds != nullptr && entered_by_others_) {
        return absl::PermissionDeniedError(absl::StrFormat(
            "%s holds %s and is open to other users (mode %04o), and this user cannot change that: "
            "%s; give it to the user of this process, or chmod 0700 %s",
            path, holds, *mode & 07777, why, data_));
      }
      Warn(absl::StrFormat("%s is open to other users (mode %04o), and cannot be closed: %s", path,
                           *mode & 07777, why));
      return absl::OkStatus();
    }
    std::string text = absl::StrFormat("%s was open to other users (mode %04o) and is closed now",
                                       path, *mode & 07777);
    if (holds != nullptr && entered_by_others_) {
      absl::StrAppend(&text, "; it holds ", holds, ": where others could read it, make new ones");
    }
    Warn(text);
    return absl::OkStatus();
  }

  // Backups keep the modes of files, so those in a folder are tightened too.
  void TightenFilesOf(const char* name) {
    std::error_code error;
    for (std::filesystem::directory_iterator it(absl::StrCat(data_, "/", name), error), end;
         !error && it != end; it.increment(error)) {
      const std::optional<mode_t> mode = ModeOf(it->path());
      if (mode.has_value() && (*mode & kOthers) != 0) {
        static_cast<void>(chmod(it->path().c_str(), *mode & 07777 & ~kOthers));
      }
    }
  }

 private:
  void Warn(const std::string& line) { Log(log_, LogLevel::kWarning, line); }

  const std::string& data_;
  const bool entered_by_others_;
  const LogSink& log_;
};

}  // namespace

absl::Status GuardDataDirectory(const std::string& data, const LogSink& log) {
  const std::optional<mode_t> mode = ModeOf(data);
  // A directory without a store is not ours to change.
  if (!mode.has_value() || !S_ISDIR(*mode)) return absl::OkStatus();
  Guard guard(data, *mode, log);
  if (!ModeOf(absl::StrCat(data, "/meta/CURRENT")).has_value()) return absl::OkStatus();
  STRATA_RETURN_IF_ERROR(guard.Tighten("meta", "the users' secret keys"));
  guard.TightenFilesOf("meta");
  STRATA_RETURN_IF_ERROR(guard.Tighten("root.keys", "the keys of root"));
  STRATA_RETURN_IF_ERROR(guard.Tighten("root.keys.new", "the keys of root"));
  return guard.Tighten("containers", nullptr);
}

}  // namespace strata::appliance
