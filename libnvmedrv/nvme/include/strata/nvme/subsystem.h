// SPDX-License-Identifier: Apache-2.0
//
// An NVM subsystem as its device side: who it is, which hosts may connect, and which namespaces
// they see. Transports connect hosts' queues to it.
//
//   STRATA_ASSIGN_OR_RETURN(auto subsystem, CreateSubsystem({.nqn = "nqn.2026-11.org.example:a"}));
//   STRATA_RETURN_IF_ERROR(subsystem->AddNamespace(std::move(device), {}).status());
//
// There is no paused state. The namespaces are an immutable table that a change replaces whole;
// every lane picks the new one up by itself, commands under way end with their own result, and
// IsSettled() says when the old table is out of use.
//
// Thread safety: any thread. Lanes and queues belong to one thread each.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "strata/base/clock.h"
#include "strata/base/export.h"
#include "strata/block/device.h"
#include "strata/nvme/device_queue.h"
#include "strata/nvme/lane.h"
#include "strata/nvme/statistics.h"
#include "strata/nvme/wire/fabrics.h"

namespace strata::nvme {

// What a discovery subsystem tells its hosts: log page 70h. The transport that has the listeners
// knows it. Any thread may ask.
class STRATA_EXPORT DiscoverySource {
 public:
  virtual ~DiscoverySource() = default;
  // The whole page, header and entries, with what this host may see. `local_address` is that of
  // ConnectArguments.
  virtual std::vector<std::byte> LogPageFor(std::string_view host_nqn,
                                            std::string_view local_address) const = 0;
};

struct SubsystemOptions {
  std::string nqn;
  std::string serial_number = "STRATA0000000001";  // At most 20 characters.
  std::string model_number = "Strata";             // At most 40.
  std::string firmware_revision = "1.0";           // At most 8.
  bool allow_any_host = false;                     // As SetAllowAnyHost() changes it.

  // Controllers get ids from this range, both included.
  uint16_t first_controller_id = 1;
  uint16_t last_controller_id = 0xffef;

  // Limits, each refused with its own status or error.
  uint32_t max_controllers = 1024;
  uint32_t max_io_queues = 64;  // Of one controller.
  uint32_t max_queue_entries = 1024;
  uint32_t max_namespaces = 1024;  // And the largest NSID.
  uint32_t max_hosts = 1024;
  uint32_t max_async_events = 4;  // Requests that one controller may leave open.
  // A power of two times 4096. A namespace's device must take as much in one request.
  uint32_t max_transfer_bytes = 1u << 20;

  const Clock* clock = nullptr;  // Null: the machine's. It outlives the subsystem.

  // Makes it a discovery subsystem: its controllers have no I/O queues and no namespaces, and
  // support what discovery takes. It outlives the subsystem.
  const DiscoverySource* discovery = nullptr;
};

struct NamespaceIdentity {
  std::array<std::byte, 16> nguid{};
  std::array<std::byte, 8> eui64{};
  std::array<std::byte, 16> uuid{};
};

// Commands that exceed a limit wait; none fails for it. 0: no limit.
struct QosLimits {
  uint64_t iops = 0;
  uint64_t bytes_per_second = 0;
  uint64_t burst_ms = 100;  // How much of a quiet time may be made up for.
  friend bool operator==(const QosLimits&, const QosLimits&) = default;
};

struct NamespaceOptions {
  uint32_t nsid = 0;                 // 0: a free one, used again as late as possible.
  NamespaceIdentity identity{};      // All zero: a random UUID.
  bool read_only = false;            // A read-only device makes it so too.
  std::vector<std::string> hosts{};  // NQNs of the hosts that see it. Empty: all.
  QosLimits qos{};
};

struct NamespaceState {
  uint32_t nsid = 0;
  std::string device_name;
  NamespaceIdentity identity{};
  uint32_t block_size_bytes = 0;
  uint64_t block_count = 0;
  bool read_only = false;
  std::vector<std::string> hosts{};
  QosLimits qos{};
};

struct ControllerState {
  uint16_t id = 0;
  std::string host_nqn;
  uint32_t queue_count = 0;  // With the admin queue.
  uint64_t reads = 0;
  uint64_t writes = 0;
  uint64_t read_bytes = 0;
  uint64_t written_bytes = 0;
  uint64_t errors = 0;
};

// What Identify Controller says of the transport. The defaults are those of memory in one process.
struct FabricTraits {
  uint32_t command_capsule_bytes = 64;
  uint32_t response_capsule_bytes = 16;
  uint32_t sgl_support = 1;  // SGLS.
  uint8_t max_sgl_descriptors = 1;
  uint16_t fabrics_commands = 0;  // OFCS.
};

struct ConnectArguments {
  std::string host_nqn;
  std::array<std::byte, 16> host_id{};
  uint16_t controller_id = kDynamicController;  // The admin queue's; an I/O queue names its own.
  uint16_t queue_id = 0;                        // 0: the admin queue of a new controller.
  uint32_t queue_entries = 32;
  uint32_t keep_alive_ms = 0;
  FabricTraits traits{};
  // Where the host has reached the subsystem, in the transport's spelling; for DiscoverySource.
  std::string local_address{};
};

struct Connected {
  Status status{};
  // OK: the controller id. kConnectInvalidParameters: where the wrong parameter stands, bit 16 set
  // when that is in the data.
  uint32_t result = 0;
  std::unique_ptr<DeviceQueue> queue;
};

class STRATA_EXPORT Subsystem {
 public:
  // REQUIRES: its lanes are destroyed.
  virtual ~Subsystem() = default;

  virtual const SubsystemOptions& options() const = 0;

  // AlreadyExists, NotFound, ResourceExhausted (max_hosts), InvalidArgument: not an NQN. The
  // controllers of a host that may not connect any more end: their queues are not alive, nothing
  // more of them begins, and each is gone when what a device has begun of it has ended.
  virtual absl::Status AllowHost(const std::string& host_nqn) = 0;
  virtual absl::Status DisallowHost(const std::string& host_nqn) = 0;
  // Whether a host that is not on the list may connect.
  virtual void SetAllowAnyHost(bool allow) = 0;
  virtual bool Admits(std::string_view host_nqn) const = 0;
  // Counts the changes of who may connect.
  virtual uint64_t host_generation() const = 0;

  // Returns the NSID. InvalidArgument: an option or the device's geometry; AlreadyExists: the NSID;
  // ResourceExhausted: max_namespaces.
  virtual absl::StatusOr<uint32_t> AddNamespace(std::shared_ptr<block::Device> device,
                                                const NamespaceOptions& options) = 0;
  // NotFound: no such NSID, here and below. The device is released when its last command has ended.
  virtual absl::Status RemoveNamespace(uint32_t nsid) = 0;
  // Puts another device under the namespace: one that was resized, for example. InvalidArgument:
  // its blocks have another size.
  virtual absl::Status ReplaceDevice(uint32_t nsid, std::shared_ptr<block::Device> device) = 0;
  virtual absl::Status SetQos(uint32_t nsid, const QosLimits& qos) = 0;
  virtual absl::Status SetHosts(uint32_t nsid, std::vector<std::string> hosts) = 0;

  // Counts the changes of the namespace table.
  virtual uint64_t generation() const = 0;
  // No lane serves a table older than `generation` any more, and commands on what only older tables
  // had have ended.
  virtual bool IsSettled(uint64_t generation) const = 0;

  // Of a discovery subsystem: the log page has changed, and connected hosts are told.
  virtual void NoteDiscoveryChange() = 0;

  virtual std::vector<NamespaceState> Namespaces() const = 0;
  virtual std::vector<ControllerState> Controllers() const = 0;

  // What commands did to the namespace since it was added. NotFound.
  virtual absl::StatusOr<NamespaceStatistics> StatisticsOf(uint32_t nsid) const = 0;
  // And to all namespaces, those that are gone included.
  virtual NamespaceStatistics statistics() const = 0;

  virtual absl::StatusOr<std::unique_ptr<Lane>> OpenLane(const LaneOptions& options) = 0;

  // Connects a host's queue, which lives on `lane` from now on. REQUIRES: `lane` is this
  // subsystem's and is used by the calling thread.
  virtual Connected Connect(Lane& lane, const ConnectArguments& arguments) = 0;
};

// InvalidArgument names the option.
STRATA_EXPORT absl::StatusOr<std::shared_ptr<Subsystem>> CreateSubsystem(
    const SubsystemOptions& options);

}  // namespace strata::nvme
