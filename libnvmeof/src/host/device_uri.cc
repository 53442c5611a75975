// SPDX-License-Identifier: Apache-2.0
#include <charconv>
#include <chrono>
#include <map>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "host/uuid.h"
#include "strata/base/status_macros.h"
#include "strata/nvmeof/initiator.h"

namespace strata::nvmeof {
namespace {

constexpr char kScheme[] = "nvme-tcp";
constexpr uint64_t kDayMs = 86'400'000;
constexpr uint64_t kOpenMs = 10'000;  // Of a device.
constexpr std::chrono::milliseconds kOpenStep{10};

absl::Status Bad(std::string_view option, std::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat(kScheme, ": option '", absl::string_view(option.data(), option.size()), "' ",
                   absl::string_view(what.data(), what.size())));
}

// Takes options out by name; what is left over is unknown.
class Options {
 public:
  explicit Options(std::map<std::string, std::string, std::less<>> values)
      : left_(std::move(values)) {}

  std::optional<std::string> Text(std::string_view key) {
    const auto it = left_.find(key);
    if (it == left_.end()) return std::nullopt;
    std::string value = std::move(it->second);
    left_.erase(it);
    return value;
  }

  uint64_t Number(std::string_view key, uint64_t otherwise, uint64_t least, uint64_t most) {
    const std::optional<std::string> text = Text(key);
    if (!text.has_value()) return otherwise;
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
    if (error != std::errc() || end != text->data() + text->size() || value < least ||
        value > most) {
      Fail(Bad(key, absl::StrFormat("is '%s', and not a number in %d..%d", *text, least, most)));
      return otherwise;
    }
    return value;
  }

  bool Flag(std::string_view key) { return Number(key, 0, 0, 1) == 1; }

  void Fail(absl::Status status) {
    if (status_.ok()) status_ = std::move(status);
  }

  absl::Status Finish() const {
    if (status_.ok() && !left_.empty()) return Bad(left_.begin()->first, "is unknown");
    return status_;
  }

 private:
  std::map<std::string, std::string, std::less<>> left_;
  absl::Status status_;
};

// A namespace together with its controller.
class RemoteDevice final : public block::Device {
 public:
  RemoteDevice(std::unique_ptr<nvme::Controller> controller, std::unique_ptr<block::Device> device)
      : controller_(std::move(controller)), device_(std::move(device)) {}

  const block::Geometry& geometry() const override { return device_->geometry(); }
  std::string name() const override { return device_->name(); }
  absl::StatusOr<std::unique_ptr<block::Channel>> OpenChannel(
      const block::ChannelOptions& options) override {
    return device_->OpenChannel(options);
  }

 private:
  const std::unique_ptr<nvme::Controller> controller_;
  const std::unique_ptr<block::Device> device_;  // Destroyed first.
};

// A connection that is lost in between comes back by the controller's thread.
absl::StatusOr<std::unique_ptr<block::Device>> OpenNamespaceInTime(nvme::Controller& controller,
                                                                   const NvmeTcpUri& uri) {
  using SteadyClock = std::chrono::steady_clock;
  const SteadyClock::time_point deadline =
      SteadyClock::now() + std::chrono::milliseconds(uri.controller.open_timeout_ms);
  while (true) {
    absl::StatusOr<std::unique_ptr<block::Device>> device = controller.OpenNamespace(uri.nsid);
    if (!absl::IsUnavailable(device.status()) || SteadyClock::now() >= deadline) return device;
    std::this_thread::sleep_for(kOpenStep);
  }
}

absl::StatusOr<NvmeTcpUri> FromUri(const block::Uri& uri, uint64_t open_timeout_ms) {
  if (uri.scheme != kScheme) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", uri.scheme, ":' is not a URI of ", kScheme, ":"));
  }
  NvmeTcpUri result;
  const size_t slash = uri.target.find('/');
  if (slash == std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat(kScheme, ": '", uri.target, "' is not HOST:PORT/NQN"));
  }
  TcpOptions& tcp = result.tcp;
  STRATA_ASSIGN_OR_RETURN(tcp.endpoint, ParseEndpoint(uri.target.substr(0, slash)));
  tcp.subsystem_nqn = uri.target.substr(slash + 1);
  Options options(uri.options);
  nvme::ControllerOptions& controller = result.controller;
  result.nsid = static_cast<uint32_t>(options.Number("nsid", 0, 1, 0xfffffffe));
  controller.max_io_queues = static_cast<uint32_t>(options.Number("queues", 4, 1, 64));
  controller.io_queue_entries = static_cast<uint32_t>(options.Number("depth", 128, 1, 65535)) + 1;
  tcp.header_digest = options.Flag("hdgst");
  tcp.data_digest = options.Flag("ddgst");
  tcp.host_nqn = options.Text("hostnqn").value_or("");
  if (const std::optional<std::string> id = options.Text("hostid"); id.has_value()) {
    if (absl::StatusOr<Uuid> uuid = ParseUuid(*id); uuid.ok()) {
      tcp.host_id = *uuid;
    } else {
      options.Fail(Bad("hostid", absl::StrCat("is ", uuid.status().message())));
    }
  }
  controller.keep_alive_ms =
      static_cast<uint32_t>(options.Number("keep_alive_ms", 10'000, 0, 3'600'000));
  controller.reconnect_ms = options.Number("reconnect_ms", 1000, 1, 60'000);
  controller.loss_timeout_ms = options.Number("loss_timeout_ms", 30'000, 0, kDayMs);
  controller.open_timeout_ms = options.Number("open_timeout_ms", open_timeout_ms, 0, 3'600'000);
  controller.command_timeout_ms = options.Number("timeout_ms", 30'000, 1, kDayMs);
  tcp.connect_timeout_ms = options.Number("connect_timeout_ms", 5000, 1, 60'000);
  tcp.socket_buffer_bytes = static_cast<uint32_t>(
      options.Number("socket_buffer_bytes", tcp.socket_buffer_bytes, 0, 1u << 30));
  controller.has_thread = true;
  STRATA_RETURN_IF_ERROR(options.Finish());
  return result;
}

}  // namespace

absl::StatusOr<NvmeTcpUri> ParseNvmeTcpUri(std::string_view uri) {
  STRATA_ASSIGN_OR_RETURN(const block::Uri parsed, block::ParseUri(uri));
  return FromUri(parsed, /*open_timeout_ms=*/0);
}

absl::StatusOr<std::unique_ptr<nvme::Controller>> OpenNvmeTcp(const NvmeTcpUri& uri) {
  STRATA_ASSIGN_OR_RETURN(std::unique_ptr<nvme::Transport> transport, ConnectTcp(uri.tcp));
  return nvme::Controller::Open(std::move(transport), uri.controller);
}

absl::Status RegisterNvmeTcp(block::Registry* registry, LogSink log) {
  return registry->Register(
      kScheme,
      [log = std::move(log)](const block::Uri& uri, const block::Registry&)
          -> absl::StatusOr<std::unique_ptr<block::Device>> {
        STRATA_ASSIGN_OR_RETURN(NvmeTcpUri parsed, FromUri(uri, kOpenMs));
        if (parsed.nsid == 0) return Bad("nsid", "is missing");
        parsed.controller.log = log;
        STRATA_ASSIGN_OR_RETURN(std::unique_ptr<nvme::Controller> controller, OpenNvmeTcp(parsed));
        STRATA_ASSIGN_OR_RETURN(std::unique_ptr<block::Device> device,
                                OpenNamespaceInTime(*controller, parsed));
        return std::make_unique<RemoteDevice>(std::move(controller), std::move(device));
      });
}

}  // namespace strata::nvmeof
