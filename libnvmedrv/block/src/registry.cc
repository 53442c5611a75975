// SPDX-License-Identifier: Apache-2.0
#include "strata/block/registry.h"

#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "strata/base/status_macros.h"
#include "strata/block/devices.h"

namespace strata::block {
namespace {

// Takes the options of one URI out, each by its key and kind; what nobody took is an error.
class OptionReader {
 public:
  explicit OptionReader(const Uri& uri) : uri_(uri), left_(uri.options) {}

  uint64_t Size(std::string_view key, uint64_t otherwise) {
    return Parsed(key, otherwise, std::numeric_limits<uint64_t>::max());
  }

  uint32_t Size32(std::string_view key, uint32_t otherwise) {
    return static_cast<uint32_t>(Parsed(key, otherwise, std::numeric_limits<uint32_t>::max()));
  }

  // A time in microseconds, returned in nanoseconds.
  uint64_t Microseconds(std::string_view key) { return Parsed(key, 0, uint64_t{1} << 40) * 1000; }

  bool Flag(std::string_view key, bool otherwise) {
    const auto it = left_.find(key);
    if (it == left_.end()) return otherwise;
    const std::string value = std::move(it->second);
    left_.erase(it);
    if (value != "0" && value != "1") Fail(key, "is not 0 or 1");
    return value == "1";
  }

  // The first error met, or an option that the scheme does not know.
  absl::Status Finish() const {
    if (status_.ok() && !left_.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(uri_.scheme, ": unknown option '", left_.begin()->first, "'"));
    }
    return status_;
  }

 private:
  uint64_t Parsed(std::string_view key, uint64_t otherwise, uint64_t most) {
    const auto it = left_.find(key);
    if (it == left_.end()) return otherwise;
    const absl::StatusOr<uint64_t> value = ParseSizeBytes(it->second);
    left_.erase(it);
    if (!value.ok()) {
      Fail(key, value.status().message());
      return otherwise;
    }
    if (*value > most) Fail(key, absl::StrCat("exceeds ", most));
    return *value;
  }

  void Fail(std::string_view key, absl::string_view what) {
    if (!status_.ok()) return;
    status_ = absl::InvalidArgumentError(absl::StrCat(
        uri_.scheme, ": option '", absl::string_view(key.data(), key.size()), "': ", what));
  }

  const Uri& uri_;
  std::map<std::string, std::string, std::less<>> left_;
  absl::Status status_;
};

// The options of mem: and null:, which have no target.
template <typename Options>
absl::StatusOr<Options> ReadSizes(const Uri& uri) {
  OptionReader reader(uri);
  const uint64_t size_bytes = reader.Size("size", 0);
  Options options{.block_size_bytes = reader.Size32("block", 4096)};
  STRATA_RETURN_IF_ERROR(reader.Finish());
  if (!uri.target.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(uri.scheme, ": takes no target, got '", uri.target, "'"));
  }
  if (options.block_size_bytes == 0 || size_bytes == 0 ||
      size_bytes % options.block_size_bytes != 0) {
    return absl::InvalidArgumentError(absl::StrCat(uri.scheme, ": size ", size_bytes,
                                                   " is not a whole number of blocks of ",
                                                   options.block_size_bytes, " bytes"));
  }
  options.block_count = size_bytes / options.block_size_bytes;
  options.name = absl::StrCat(uri.scheme, ":?size=", size_bytes);
  return options;
}

absl::StatusOr<std::unique_ptr<Device>> OpenMemory(const Uri& uri) {
  STRATA_ASSIGN_OR_RETURN(const MemoryDeviceOptions options, ReadSizes<MemoryDeviceOptions>(uri));
  return CreateMemoryDevice(options);
}

absl::StatusOr<std::unique_ptr<Device>> OpenNull(const Uri& uri) {
  STRATA_ASSIGN_OR_RETURN(const NullDeviceOptions options, ReadSizes<NullDeviceOptions>(uri));
  return CreateNullDevice(options);
}

absl::StatusOr<std::unique_ptr<Device>> OpenFile(const Uri& uri, const LogSink& log) {
  OptionReader reader(uri);
  const FileDeviceOptions options{.path = uri.target,
                                  .size_bytes = reader.Size("size", 0),
                                  .create = reader.Flag("create", false),
                                  .read_only = reader.Flag("read_only", false),
                                  .lock = reader.Flag("lock", true),
                                  .shared = reader.Flag("shared", false),
                                  .direct = reader.Flag("direct", true),
                                  .use_io_uring = reader.Flag("io_uring", true),
                                  .block_size_bytes = reader.Size32("block", 4096),
                                  .log = log};
  STRATA_RETURN_IF_ERROR(reader.Finish());
  return OpenFileDevice(options);
}

absl::StatusOr<std::unique_ptr<Device>> OpenDelay(const Uri& uri, const Registry& registry) {
  OptionReader reader(uri);
  const DelayDeviceOptions options{.read_ns = reader.Microseconds("read_us"),
                                   .write_ns = reader.Microseconds("write_us"),
                                   .flush_ns = reader.Microseconds("flush_us")};
  STRATA_RETURN_IF_ERROR(reader.Finish());
  STRATA_ASSIGN_OR_RETURN(std::unique_ptr<Device> base, registry.Open(uri.target));
  return CreateDelayDevice(std::move(base), options);
}

}  // namespace

Registry Registry::WithDefaults(LogSink log) {
  Registry registry;
  registry.factories_["mem"] = [](const Uri& uri, const Registry&) { return OpenMemory(uri); };
  registry.factories_["null"] = [](const Uri& uri, const Registry&) { return OpenNull(uri); };
  registry.factories_["file"] = [log = std::move(log)](const Uri& uri, const Registry&) {
    return OpenFile(uri, log);
  };
  registry.factories_["delay"] = OpenDelay;
  return registry;
}

absl::Status Registry::Register(std::string_view scheme, Factory factory) {
  const auto [it, is_new] = factories_.emplace(std::string(scheme), std::move(factory));
  if (is_new) return absl::OkStatus();
  return absl::AlreadyExistsError(absl::StrCat("scheme '", it->first, "' is registered already"));
}

absl::StatusOr<std::unique_ptr<Device>> Registry::Open(std::string_view uri) const {
  STRATA_ASSIGN_OR_RETURN(const Uri parsed, ParseUri(uri));
  const auto it = factories_.find(parsed.scheme);
  if (it == factories_.end()) {
    std::string known;
    for (const auto& [scheme, factory] : factories_) absl::StrAppend(&known, " ", scheme, ":");
    return absl::InvalidArgumentError(
        absl::StrCat("unknown device scheme '", parsed.scheme, ":'; known are", known));
  }
  return it->second(parsed, *this);
}

}  // namespace strata::block
