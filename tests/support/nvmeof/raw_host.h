// SPDX-License-Identifier: Apache-2.0
//
// A host of NVMe/TCP that is told every byte: one blocking connection to a target.
//
//   RawHost host(endpoint);
//   host.Init({.header_digest = true});
//   host.Connect({.queue_entries = 32});
//   const RawHost::Reply reply = host.Command(entry, data);   // In the capsule, or by R2T.
//
// Whatever the target sends is read through PduReader, so that a target which breaks the protocol
// fails here. Thread safety: none.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "link/socket.h"
#include "pdu/pdu_reader.h"
#include "pdu/pdu_writer.h"
#include "strata/nvme/status.h"
#include "strata/nvme/wire/entries.h"
#include "strata/nvme/wire/fabrics.h"

namespace strata::nvmeof {

class RawHost {
 public:
  struct Pdu {
    PduHeader header;  // Without `entry`, which is here:
    std::vector<std::byte> entry;
    std::vector<std::byte> data;
    bool data_digest_ok = true;
  };

  struct Reply {
    nvme::Status status{};
    uint64_t result = 0;
    uint16_t queue_head = 0;
    std::vector<std::byte> data;
    bool by_success_flag = false;
    uint32_t r2t_count = 0;
  };

  struct ConnectOptions {
    std::string subsystem_nqn = "nqn.2026-11.org.example:test";
    std::string host_nqn = "nqn.2014-08.org.nvmexpress:uuid:host-1";
    uint16_t controller_id = nvme::kDynamicController;
    uint16_t queue_id = 0;
    uint32_t queue_entries = 32;
    bool flow_control = true;
    uint32_t keep_alive_ms = 0;
  };

  explicit RawHost(const Endpoint& endpoint);

  void SendBytes(std::span<const std::byte> bytes);
  // The next PDU. Nothing: the target ended the connection.
  std::optional<Pdu> Receive();
  // The target ended the connection within five seconds, after what it has sent.
  bool IsEnded();
  void EndSending();
  void Abort();  // Closes with a reset.

  void Init(const PduSettings& settings = {});
  // The status, and the controller id or the place of the wrong parameter.
  Reply Connect(const ConnectOptions& options);
  // Enables the controller as a host does.
  void Enable();

  void SendCommand(const nvme::SubmissionEntry& entry,
                   std::span<const std::byte> capsule_data = {});
  void SendData(const TransferFields& fields, bool is_last, std::span<const std::byte> data);
  // Answers R2Ts with `data` until the command is answered.
  Reply Finish(std::span<const std::byte> data = {});
  Reply Command(const nvme::SubmissionEntry& entry, std::span<const std::byte> capsule_data = {});
  // Data by R2T.
  Reply Transfer(const nvme::SubmissionEntry& entry, std::span<const std::byte> data);

  const InitFields& init() const { return init_; }
  const PduWriter& writer() const { return *writer_; }
  int fd() const { return socket_.fd(); }

 private:
  Socket socket_;
  PduReader reader_;
  std::optional<PduWriter> writer_;
  InitFields init_;
  std::vector<std::byte> received_;
  size_t read_ = 0;
  bool is_ended_ = false;
};

// An entry whose descriptor says where `data_bytes` are: in the capsule, or moved by the transport.
nvme::SubmissionEntry MakeEntry(uint8_t opcode, uint16_t command_id, uint32_t nsid,
                                uint32_t data_bytes, bool in_capsule = false);
nvme::SubmissionEntry MakeBlocksEntry(nvme::IoOpcode opcode, uint16_t command_id, uint32_t nsid,
                                      uint64_t lba, uint32_t blocks, uint32_t data_bytes,
                                      bool in_capsule = false);
nvme::SubmissionEntry MakeConnectEntry(const RawHost::ConnectOptions& options);
nvme::ConnectData MakeConnectData(const RawHost::ConnectOptions& options);
nvme::SubmissionEntry MakePropertySet(uint32_t offset, uint64_t value);

}  // namespace strata::nvmeof
