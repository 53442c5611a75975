// SPDX-License-Identifier: Apache-2.0
//
// The host driver: brings a controller up over any transport and makes block devices of its
// namespaces.
//
//   STRATA_ASSIGN_OR_RETURN(auto controller, Controller::Open(std::move(transport), {}));
//   STRATA_ASSIGN_OR_RETURN(auto device, controller->OpenNamespace(1));
//   STRATA_ASSIGN_OR_RETURN(auto channel, device->OpenChannel({}));  // Owns a queue pair.
//   for (;;) { channel->Poll(64); controller->Poll(); }              // Events, deadlines, resets.
//
// The owner calls Poll() now and then, or asks for a thread that does.
//
// A reset. A command whose deadline passed is aborted; when that does not end it in time, or when a
// queue broke, the controller is reset. What was in flight is sent again on the new queue, at most
// twice. Before that the driver asks the new controller whether the old one is gone: only then can
// nothing that it was sent land late. Where that cannot be known, or does not happen in time,
// requests that change blocks fail with Unavailable, and whether they were carried out is unknown.
//
// After a reset the driver makes sure that it met the same subsystem (NQN and serial number) and,
// for each open namespace, the same disk (NGUID, EUI64, UUID, size of a block). A namespace that is
// another one now answers Unavailable.
//
// A forked child has no use of its parent's controller: calls fail there with FailedPrecondition,
// or return nothing, and its destruction changes nothing.
//
// Thread safety: any thread. A channel is used by one thread at a time.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "strata/base/clock.h"
#include "strata/base/export.h"
#include "strata/base/log.h"
#include "strata/block/device.h"
#include "strata/nvme/statistics.h"
#include "strata/nvme/status.h"
#include "strata/nvme/transport.h"
#include "strata/nvme/wire/identify.h"

namespace strata::nvme {

struct ControllerOptions {
  uint32_t admin_queue_entries = 32;  // 8 to 4096.
  uint32_t max_io_queues = 64;        // Channels at once; the controller may grant fewer.
  uint32_t io_queue_entries = 128;    // Most of one channel, 2 to 65536.
  uint64_t command_timeout_ms = 30'000;
  uint64_t admin_timeout_ms = 60'000;
  // How long the controller may hear nothing of a host that is gone, 0 (for ever) to 3,600,000.
  // Where the controller has Keep Alive, Poll() sends one when a third has passed, and resets the
  // controller when none was answered for so long.
  uint32_t keep_alive_ms = 0;
  // Between the first two tries to bring a controller up again; twice as much after each, up to 8
  // times. 1 to 60,000.
  uint64_t reconnect_ms = 1000;
  // How long Controller::Open() tries again, at the same distances, where an error may pass: the
  // controller was not reached, was busy, ended the connection or did not answer. 0: one try, up to
  // a day. A try that has begun is finished.
  uint64_t open_timeout_ms = 0;
  // How long requests wait for a controller that is being reset before they, and new ones, fail
  // with Unavailable. 0: until it could not be brought up once. Poll() keeps trying.
  uint64_t loss_timeout_ms = 0;
  // A discovery controller: it has no I/O queue and no namespace, and only Admin() is of use.
  bool admin_only = false;
  bool has_thread = false;  // Polls every `thread_poll_ms`, so that the owner need not.
  uint32_t thread_poll_ms = 20;
  const Clock* clock = nullptr;  // Null: the machine's. It outlives the controller.
  LogSink log{};
};

// A command passed through as it is, apart from its command id and PSDT.
struct PassthroughResult {
  Status status{};
  uint64_t result = 0;
};

struct ControllerStatistics {
  uint64_t reads = 0;
  uint64_t writes = 0;
  uint64_t read_bytes = 0;
  uint64_t written_bytes = 0;
  uint64_t other_commands = 0;
  uint64_t errors = 0;
  uint64_t timeouts = 0;
  uint64_t resets = 0;
  uint64_t replays = 0;
  LatencyHistogram latency{};  // Of I/O commands.
};

class STRATA_EXPORT Controller {
 public:
  // Brings the controller up. InvalidArgument: an option; Unavailable: not reached, or it does not
  // become ready in the time it asks for; DataLoss: what it says of itself makes no sense.
  static absl::StatusOr<std::unique_ptr<Controller>> Open(std::unique_ptr<Transport> transport,
                                                          const ControllerOptions& options);

  // Shuts the controller down. REQUIRES: the devices of its namespaces are destroyed.
  virtual ~Controller() = default;

  virtual std::string name() const = 0;
  virtual IdentifyController identify() const = 0;

  // The namespaces that exist, ascending. `generation` counts their changes.
  virtual std::vector<uint32_t> Namespaces() const = 0;
  virtual uint64_t namespace_generation() const = 0;

  // NotFound: no such namespace. Unimplemented: it has metadata, or blocks of an odd size. The
  // geometry is what it is now: a namespace that was resized is opened again.
  virtual absl::StatusOr<std::unique_ptr<block::Device>> OpenNamespace(uint32_t nsid) = 0;

  // Sends an admin command and waits. Unavailable: no answer. The status of the command itself is
  // in the result.
  virtual absl::StatusOr<PassthroughResult> Admin(SubmissionEntry entry, DataDirection direction,
                                                  std::span<std::byte> data) = 0;

  // Keep Alive, events, aborts, resets, in steps: it never waits for an answer.
  virtual void Poll() = 0;

  // Starts a reset, as a deadline that passed does. It runs in Poll().
  virtual void RequestReset(std::string_view reason) = 0;

  // OK, or why the controller cannot be used now: it is being reset, and Poll() keeps trying.
  virtual absl::Status health() const = 0;

  virtual ControllerStatistics statistics() const = 0;
};

}  // namespace strata::nvme
