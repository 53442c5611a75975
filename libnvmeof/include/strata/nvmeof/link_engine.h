// SPDX-License-Identifier: Apache-2.0
//
// By which means of the kernel TCP connections are served. A value.
#pragma once

namespace strata::nvmeof {

// epoll runs on every kernel; io_uring takes about a tenth less processor time where many bytes
// move (libnvmeof/README.md).
enum class LinkEngine { kEpoll, kUring };

}  // namespace strata::nvmeof
