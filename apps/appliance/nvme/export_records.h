// SPDX-License-Identifier: Apache-2.0
//
// What an appliance exports over NVMe/TCP, as records: docs/formats/nvme.md gives each field. A
// record is a JSON object with a version; what is not understood is refused.
//
// Pure; thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "strata/nvme/subsystem.h"

namespace strata::appliance {

inline constexpr size_t kMaxSubsystems = 256;
inline constexpr size_t kMaxListeners = 64;

struct SubsystemRecord {
  std::string nqn{};  // In the key.
  std::string serial_number{};
  std::string model_number{};
  bool allow_any_host = false;
  uint16_t first_controller_id = 1;
  uint16_t last_controller_id = 0xffef;
  uint32_t next_nsid = 1;  // Where the search for a free one begins.
  uint64_t created_ns = 0;
  friend bool operator==(const SubsystemRecord&, const SubsystemRecord&) = default;
};

struct NamespaceRecord {
  uint32_t nsid = 0;  // In the key.
  std::string uri{};
  std::array<std::byte, 16> uuid{};
  std::array<std::byte, 16> nguid{};  // Zero: none.
  bool read_only = false;
  std::vector<std::string> hosts{};  // Those that see it; empty: all.
  nvme::QosLimits qos{};
  uint64_t created_ns = 0;
  friend bool operator==(const NamespaceRecord&, const NamespaceRecord&) = default;
};

struct HostRecord {
  std::string nqn{};  // In the key.
  uint64_t created_ns = 0;
  friend bool operator==(const HostRecord&, const HostRecord&) = default;
};

struct ListenerRecord {
  std::string address{};  // In the key, as nvmeof::ToString() has it.
  bool is_discovery_only = false;
  uint64_t created_ns = 0;
  friend bool operator==(const ListenerRecord&, const ListenerRecord&) = default;
};

// Values; the keys are ExportStore's.
std::string Encode(const SubsystemRecord& record);
std::string Encode(const NamespaceRecord& record);
std::string Encode(const HostRecord& record);
std::string Encode(const ListenerRecord& record);

// DataLoss: not such a record; Unimplemented: of a newer version. Both name `what`.
absl::StatusOr<SubsystemRecord> DecodeSubsystem(std::string_view what, std::string_view value);
absl::StatusOr<NamespaceRecord> DecodeNamespace(std::string_view what, std::string_view value);
absl::StatusOr<HostRecord> DecodeHost(std::string_view what, std::string_view value);
absl::StatusOr<ListenerRecord> DecodeListener(std::string_view what, std::string_view value);

// InvalidArgument: `nqn` is no NQN: "nqn." at its beginning, at most 223 bytes of UTF-8 without
// control characters and spaces. `what` it is: "host", "subsystem".
absl::Status CheckNqn(std::string_view what, std::string_view nqn);

// InvalidArgument: what a host could not be told: the NQN, serial and model number, controller ids.
absl::Status CheckSubsystem(const SubsystemRecord& record);

// "6ba7b810-9dad-41d1-80b4-00c04fd430c8".
std::string PrintUuid(const std::array<std::byte, 16>& uuid);
absl::StatusOr<std::array<std::byte, 16>> ParseUuid(std::string_view text);

// 32 hexadecimal digits.
std::string PrintNguid(const std::array<std::byte, 16>& nguid);
absl::StatusOr<std::array<std::byte, 16>> ParseNguid(std::string_view text);

}  // namespace strata::appliance
