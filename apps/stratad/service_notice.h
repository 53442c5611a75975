// SPDX-License-Identifier: Apache-2.0
//
// Tells a service manager how far the process is: one datagram to the socket that NOTIFY_SOCKET
// names (the protocol of systemd's sd_notify(3)). Nothing happens where none is named. Thread-safe.
#pragma once

#include <string_view>

namespace strata::appliance {

// "READY=1", "STOPPING=1", "RELOADING=1", "STATUS=...".
void NotifyServiceManager(std::string_view state);

}  // namespace strata::appliance
