// SPDX-License-Identifier: Apache-2.0
#include "appliance/nvme/device_uris.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "strata/base/status_macros.h"
#include "strata/block/registry.h"

namespace strata::appliance {
namespace {

namespace fs = std::filesystem;

// What the stores and stratad put into a data directory, by the beginning of its name: meta.old,
// root.keys.new and the like are theirs too.
constexpr std::array<std::string_view, 6> kOwnNames = {"meta",    "containers", "lock",
                                                       "reserve", "root.keys",  "admin.sock"};
constexpr int kMaxNesting = 16;

bool IsOwnName(std::string_view name) {
  return std::any_of(kOwnNames.begin(), kOwnNames.end(), [name](std::string_view own) {
    return name == own || (name.starts_with(own) && name[own.size()] == '.');
  });
}

// The innermost URI: a decorator's target is a URI.
absl::StatusOr<block::Uri> Innermost(std::string_view text) {
  STRATA_ASSIGN_OR_RETURN(block::Uri uri, block::ParseUri(text));
  for (int depth = 0; depth < kMaxNesting; ++depth) {
    absl::StatusOr<block::Uri> inner = block::ParseUri(uri.target);
    if (!inner.ok()) return uri;
    uri = *std::move(inner);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("a device URI with more than ", kMaxNesting, " schemes"));
}

// Links resolved as far as the path exists.
fs::path Resolved(const std::string& path) {
  std::error_code error;
  fs::path resolved = fs::weakly_canonical(path, error);
  return error ? fs::path(path).lexically_normal() : resolved;
}

bool IsSameFile(const struct stat& a, const struct stat& b) {
  if (S_ISBLK(a.st_mode) && S_ISBLK(b.st_mode)) return a.st_rdev == b.st_rdev;
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

// Where the kernel keeps a block device: that of a partition lies below that of its disk.
fs::path KernelPath(dev_t device) {
  std::error_code error;
  return fs::canonical(absl::StrCat("/sys/dev/block/", major(device), ":", minor(device)), error);
}

bool Overlap(const struct stat& a, const struct stat& b) {
  if (IsSameFile(a, b)) return true;
  if (!S_ISBLK(a.st_mode) || !S_ISBLK(b.st_mode)) return false;
  const std::string first = KernelPath(a.st_rdev).string() + "/";
  const std::string second = KernelPath(b.st_rdev).string() + "/";
  if (first == "/" || second == "/") return false;
  return absl::StartsWith(first, second) || absl::StartsWith(second, first);
}

// The same namespace of a remote subsystem, whatever the other options.
bool IsSameRemote(const block::Uri& a, const block::Uri& b) {
  const auto nsid = [](const block::Uri& uri) {
    const auto found = uri.options.find("nsid");
    return found == uri.options.end() ? std::string() : found->second;
  };
  return a.scheme == b.scheme && !a.target.empty() && a.target == b.target && nsid(a) == nsid(b);
}

absl::Status Own(std::string_view uri, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("'", absl::string_view(uri.data(), uri.size()),
                                                 "' cannot be exported: ", what,
                                                 " of this appliance"));
}

// Whether a file of the appliance's own in `data` is this one, by another name.
bool IsLinkInto(const fs::path& data, const struct stat& info) {
  std::error_code error;
  for (fs::recursive_directory_iterator it(data, error), end; !error && it != end;
       it.increment(error)) {
    const fs::path below = it->path().lexically_relative(data);
    if (below.empty() || !IsOwnName(below.begin()->string())) {
      it.disable_recursion_pending();
      continue;
    }
    struct stat own;
    if (stat(it->path().c_str(), &own) == 0 && IsSameFile(own, info)) return true;
  }
  return false;
}

absl::Status CheckAgainstData(std::string_view uri, const std::string& path,
                              const struct stat* info, const std::string& data_path) {
  const fs::path data = Resolved(data_path);
  const fs::path below = Resolved(path).lexically_relative(data);
  if (!below.empty() && below.native() == ".") return Own(uri, "it is the data directory");
  if (!below.empty() && *below.begin() != ".." && IsOwnName(below.begin()->string())) {
    return Own(uri, "it is in the data directory, and a file");
  }
  if (info != nullptr && S_ISREG(info->st_mode) && IsLinkInto(data, *info)) {
    return Own(uri, "it is another name of a file");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> FileOfUri(std::string_view uri) {
  STRATA_ASSIGN_OR_RETURN(const block::Uri inner, Innermost(uri));
  return inner.scheme == "file" ? inner.target : "";
}

bool IsFleeting(std::string_view uri) {
  const absl::StatusOr<block::Uri> inner = Innermost(uri);
  return inner.ok() && (inner->scheme == "mem" || inner->scheme == "null");
}

absl::Status CheckExportUri(std::string_view uri, const OwnStorage& own) {
  STRATA_ASSIGN_OR_RETURN(const block::Uri inner, Innermost(uri));
  if (inner.scheme != "file") {
    if (own.device.empty()) return absl::OkStatus();
    STRATA_ASSIGN_OR_RETURN(const block::Uri device, Innermost(own.device));
    return IsSameRemote(inner, device) ? Own(uri, "it is the device") : absl::OkStatus();
  }
  if (!inner.target.starts_with('/')) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", absl::string_view(uri.data(), uri.size()), "': the path '", inner.target,
                     "' is not absolute: it would depend on where stratad was started"));
  }
  struct stat info;
  const bool exists = stat(inner.target.c_str(), &info) == 0;
  if (!own.device.empty()) {
    STRATA_ASSIGN_OR_RETURN(const std::string device, FileOfUri(own.device));
    struct stat device_info;
    const bool same_name = !device.empty() && Resolved(device) == Resolved(inner.target);
    if (same_name || (exists && !device.empty() && stat(device.c_str(), &device_info) == 0 &&
                      Overlap(info, device_info))) {
      return Own(uri, "it is, or overlaps, the device");
    }
  }
  if (own.data.empty()) return absl::OkStatus();
  return CheckAgainstData(uri, inner.target, exists ? &info : nullptr, own.data);
}

}  // namespace strata::appliance
