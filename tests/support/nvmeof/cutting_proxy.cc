// SPDX-License-Identifier: Apache-2.0
#include "support/nvmeof/cutting_proxy.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>

#include "strata/base/check.h"

namespace strata::nvmeof {

struct CuttingProxy::Pair {
  Socket host;
  Socket target;
};

CuttingProxy::CuttingProxy(const Endpoint& target, const CuttingProxyOptions& options)
    : target_(target), options_(options), random_(options.seed) {
  auto listener = ListenOn(*ParseEndpoint("127.0.0.1:0"));
  STRATA_CHECK(listener.ok(), "listening on loopback");
  listener_ = *std::move(listener);
  endpoint_ = LocalAddress(listener_.fd());
  thread_ = std::thread([this] { Run(); });
}

CuttingProxy::~CuttingProxy() {
  ends_.store(true);
  thread_.join();
}

void CuttingProxy::Cut() {
  const uint64_t wanted = cuts_wanted_.fetch_add(1) + 1;
  while (cuts_done_.load() < wanted) poll(nullptr, 0, 1);
}

void CuttingProxy::Accept() {
  Endpoint peer;
  auto host = AcceptFrom(listener_.fd(), &peer);
  if (!host.ok()) return;
  ++connection_count_;
  if (is_refusing_.load()) return;
  int error = 0;
  auto target = StartConnect(target_, &error);
  if (!target.ok()) return;
  pollfd writable{.fd = target->fd(), .events = POLLOUT, .revents = 0};
  if (poll(&writable, 1, 1000) != 1 || TakeError(target->fd()) != 0) return;
  pairs_.push_back(std::make_unique<Pair>(Pair{*std::move(host), *std::move(target)}));
}

// False: the connection has ended.
bool CuttingProxy::Carry(const Socket& from, const Socket& to) {
  std::array<std::byte, 65536> buffer;
  const size_t most = options_.is_slow ? 1 + random_.Uniform(8192) : buffer.size();
  const ssize_t size = recv(from.fd(), buffer.data(), most, MSG_DONTWAIT);
  if (size < 0) return errno == EAGAIN;
  if (size == 0) return false;
  for (ssize_t at = 0; at < size && cuts_wanted_.load() == cuts_done_.load() && !ends_.load();) {
    const ssize_t sent = send(to.fd(), buffer.data() + at, static_cast<size_t>(size - at),
                              MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) at += sent;
    if (sent < 0 && errno != EAGAIN) return false;
    if (sent < 0) {
      pollfd room{.fd = to.fd(), .events = POLLOUT, .revents = 0};
      poll(&room, 1, 5);
    }
  }
  if (options_.is_slow && random_.Chance(0.01)) poll(nullptr, 0, 1);
  return true;
}

void CuttingProxy::Run() {
  while (!ends_.load()) {
    if (const uint64_t wanted = cuts_wanted_.load(); wanted != cuts_done_.load()) {
      pairs_.clear();
      cuts_done_.store(wanted);
    }
    std::vector<pollfd> waiters{{.fd = listener_.fd(), .events = POLLIN, .revents = 0}};
    for (const auto& pair : pairs_) {
      waiters.push_back({.fd = pair->host.fd(), .events = POLLIN, .revents = 0});
      waiters.push_back({.fd = pair->target.fd(), .events = POLLIN, .revents = 0});
    }
    poll(waiters.data(), waiters.size(), 2);
    const size_t known = pairs_.size();
    for (size_t i = 0; i < known; ++i) {
      Pair& pair = *pairs_[i];
      const bool is_alive = (waiters[1 + 2 * i].revents == 0 || Carry(pair.host, pair.target)) &&
                            (waiters[2 + 2 * i].revents == 0 || Carry(pair.target, pair.host));
      if (!is_alive) pairs_[i].reset();
    }
    std::erase(pairs_, nullptr);
    if (waiters[0].revents != 0) Accept();
  }
}

}  // namespace strata::nvmeof
