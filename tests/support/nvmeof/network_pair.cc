// SPDX-License-Identifier: Apache-2.0
#include "support/nvmeof/network_pair.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "strata/base/check.h"
#include "strata/base/status_macros.h"

namespace strata::nvmeof {
namespace {

// Runs a command of iproute2 on the calling thread's host.
absl::Status Run(const std::string& command) {
  const std::string line = absl::StrCat("PATH=$PATH:/usr/sbin:/sbin ", command, " 2>&1");
  FILE* output = popen(line.c_str(), "r");
  if (output == nullptr) return ErrnoStatus(errno, "popen");
  std::string text;
  char piece[256];
  while (fgets(piece, sizeof(piece), output) != nullptr) text += piece;
  if (pclose(output) == 0) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(command, ": ", text));
}

Socket ThisNamespace() { return Socket(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)); }

void Enter(const Socket& space) {
  STRATA_CHECK(setns(space.fd(), CLONE_NEWNET) == 0, "setns of a network namespace");
}

// A namespace of its own for this thread. A user without privileges becomes the root of a user
// namespace first, which only a process of one thread can.
absl::Status LeaveNetwork() {
  if (unshare(CLONE_NEWNET) == 0) return absl::OkStatus();
  const uid_t user = geteuid();
  const gid_t group = getegid();
  if (errno != EPERM || unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
    return absl::UnavailableError(
        absl::StrCat("no network namespace: ", ErrnoStatus(errno, "unshare").message()));
  }
  std::ofstream("/proc/self/setgroups") << "deny";
  std::ofstream("/proc/self/uid_map") << "0 " << user << " 1";
  std::ofstream("/proc/self/gid_map") << "0 " << group << " 1";
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<NetworkPair>> NetworkPair::Create() {
  std::unique_ptr<NetworkPair> pair(new NetworkPair());
  pair->before_ = ThisNamespace();
  STRATA_RETURN_IF_ERROR(LeaveNetwork());
  pair->far_ = ThisNamespace();
  STRATA_RETURN_IF_ERROR(Run("ip link set lo up"));
  STRATA_RETURN_IF_ERROR(LeaveNetwork());
  pair->near_ = ThisNamespace();
  STRATA_RETURN_IF_ERROR(Run("ip link set lo up"));
  STRATA_RETURN_IF_ERROR(Run("ip link add near type veth peer name far"));
  STRATA_RETURN_IF_ERROR(
      Run(absl::StrCat("ip link set far netns /proc/", getpid(), "/fd/", pair->far_.fd())));
  STRATA_RETURN_IF_ERROR(Run(absl::StrCat("ip addr add ", kNearAddress, "/24 dev near")));
  STRATA_RETURN_IF_ERROR(Run("ip link set near up"));
  {
    OnFarHost far(*pair);
    STRATA_RETURN_IF_ERROR(Run(absl::StrCat("ip addr add ", kFarAddress, "/24 dev far")));
    STRATA_RETURN_IF_ERROR(Run("ip link set far up"));
  }
  return pair;
}

NetworkPair::~NetworkPair() {
  // A user's old network belongs to the user namespace that was left.
  if (setns(before_.fd(), CLONE_NEWNET) != 0) STRATA_CHECK(errno == EPERM, "setns back");
}

NetworkPair::OnFarHost::OnFarHost(const NetworkPair& network) : network_(network) {
  Enter(network.far_);
}

NetworkPair::OnFarHost::~OnFarHost() { Enter(network_.near_); }

absl::Status NetworkPair::SetRate(const std::string& rate) {
  const auto shape = [&rate](const char* device) {
    return Run(absl::StrCat("tc qdisc replace dev ", device, " root tbf rate ", rate,
                            " burst 16k latency 20ms"));
  };
  STRATA_RETURN_IF_ERROR(shape("near"));
  OnFarHost far(*this);
  return shape("far");
}

absl::Status NetworkPair::SetLink(bool is_up) {
  return Run(is_up ? "ip link set near up" : "ip link set near down");
}

}  // namespace strata::nvmeof
