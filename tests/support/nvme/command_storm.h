// SPDX-License-Identifier: Apache-2.0
//
// Commands of any kind against a subsystem, and a model that knows what each must do: the plainest
// reading of the specification, in arrays. The bytes that decide come from a seed or from a fuzzer.
//
//   CommandStorm storm;
//   while (bytes_are_left) REQUIRE(storm.Step(next_bytes) == "");
//
// Thread safety: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "strata/nvme/subsystem.h"

namespace strata::nvme {

class CommandStorm {
 public:
  static constexpr size_t kStepBytes = 24;

  CommandStorm();
  ~CommandStorm();

  // Does one thing that `bytes` (kStepBytes of them) decide. Returns what went wrong, or nothing.
  std::string Step(std::span<const std::byte> bytes);

 private:
  struct Space {
    uint32_t block_bytes = 0;
    bool read_only = false;
    std::vector<std::byte> content;
    uint64_t blocks() const { return content.size() / block_bytes; }
  };

  void Connect();
  void Disconnect();
  void PutNamespace(uint32_t nsid, uint8_t shape);
  std::string RunIo(const SubmissionEntry& entry, uint8_t fill);
  std::string RunAdmin(const SubmissionEntry& entry);
  Status Run(DeviceQueue& queue, const SubmissionEntry& entry, std::vector<std::byte>& data);
  // What the command must answer. `data` is what it carries.
  Status Expected(const SubmissionEntry& entry, std::span<const std::byte> data) const;
  // Does to the model what the command does.
  void Apply(const SubmissionEntry& entry, std::span<const std::byte> data);

  std::shared_ptr<Subsystem> subsystem_;
  std::unique_ptr<Lane> lane_;
  std::unique_ptr<DeviceQueue> admin_;
  std::unique_ptr<DeviceQueue> io_;
  std::map<uint32_t, Space> spaces_;
};

}  // namespace strata::nvme
