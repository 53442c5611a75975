// SPDX-License-Identifier: Apache-2.0
//
// Names devices by URI: scheme, a path or a nested URI, and options.
//
//   mem:?size=1G                          file:/var/lib/strata/containers?size=64G&create=1
//   file:/dev/nvme0n1                     null:?size=1T
//   delay:file:/tmp/x?size=1G;read_us=100&write_us=200
//
// A Registry is an ordinary object: the application that knows more schemes (an NVMe transport, a
// test double) adds them to its own. Sizes take the suffixes K, M, G, T (powers of 1024). An
// unknown scheme or option is InvalidArgument naming it.
//
// Thread safety: const calls from any thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "strata/base/export.h"
#include "strata/base/log.h"
#include "strata/block/device.h"

namespace strata::block {

// scheme ':' target [ '?' key '=' value { '&' key '=' value } ]. For a decorator the target is a
// whole URI, and its own options stand behind ';' instead of '?'.
struct Uri {
  std::string scheme;
  std::string target;
  std::map<std::string, std::string, std::less<>> options;
};

STRATA_EXPORT absl::StatusOr<Uri> ParseUri(std::string_view text);

// "64G" -> 68719476736. InvalidArgument names the text.
STRATA_EXPORT absl::StatusOr<uint64_t> ParseSizeBytes(std::string_view text);

class STRATA_EXPORT Registry {
 public:
  using Factory = std::function<absl::StatusOr<std::unique_ptr<Device>>(const Uri& uri,
                                                                        const Registry& registry)>;

  // Knows mem:, null:, file: and delay:. `log` is handed to the devices it opens.
  static Registry WithDefaults(LogSink log = {});

  // AlreadyExists when the scheme is taken.
  absl::Status Register(std::string_view scheme, Factory factory);

  absl::StatusOr<std::unique_ptr<Device>> Open(std::string_view uri) const;

 private:
  std::map<std::string, Factory, std::less<>> factories_;
};

}  // namespace strata::block
