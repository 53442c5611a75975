// SPDX-License-Identifier: Apache-2.0
//
// What all requests of a server share: the store, who may sign, where to log. Thread-safe.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "auth/authenticator.h"
#include "http/body_memory.h"
#include "strata/base/clock.h"
#include "strata/base/log.h"
#include "strata/object/store.h"

namespace strata::s3 {

struct ServiceOptions {
  object::Store* store = nullptr;
  std::string region;
  std::vector<std::string> domains;
  size_t max_xml_bytes = 4 << 20;
  BodyMemory* memory = nullptr;  // The budget for documents; nullptr: it is not limited.
  bool tls = false;              // Clients come by https.
};

class Service final {
 public:
  Service(ServiceOptions options, const Clock* clock, LogSink log);

  const ServiceOptions& options() const { return options_; }
  Authenticator& authenticator() { return authenticator_; }
  const LogSink& log() const { return log_; }

 private:
  const ServiceOptions options_;
  Authenticator authenticator_;
  const LogSink log_;
};

}  // namespace strata::s3
