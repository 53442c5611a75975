// SPDX-License-Identifier: Apache-2.0
#include "operations/service.h"

#include <utility>

namespace strata::s3 {

Service::Service(ServiceOptions options, const Clock* clock, LogSink log)
    : options_(std::move(options)),
      authenticator_({.store = options_.store, .clock = clock, .region = options_.region}),
      log_(std::move(log)) {}

}  // namespace strata::s3
