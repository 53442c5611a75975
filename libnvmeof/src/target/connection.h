// SPDX-License-Identifier: Apache-2.0
//
// One TCP connection of a host: from ICReq over Connect to the commands of one queue. It turns PDUs
// into commands of the device model, and completions into PDUs.
//
//   states:  awaits ICReq -> awaits Connect -> open -> (terminating) -> closed -> destroyed
//
// It is destroyed when the stream is gone and its last command has ended. Until then nothing that a
// device may still touch is given back.
//
// Thread safety: its worker's thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "link/link.h"
#include "pdu/pdu_reader.h"
#include "pdu/pdu_writer.h"
#include "strata/nvme/subsystem.h"
#include "target/operation.h"
#include "target/target_model.h"

namespace strata::nvmeof {

class WorkerModel;
struct Association;

inline constexpr uint32_t kCapsuleDataBytes = 8192;  // In-capsule data that a command may have.

class Connection final : public StreamHandler {
 public:
  Connection(WorkerModel& worker, bool is_discovery_only, std::shared_ptr<ConnectionRecord> record);
  ~Connection() override;

  // Once, after the link has adopted the socket.
  void Begin(Stream* stream, const Endpoint& local);

  size_t PlaceReceived(std::span<iovec> places) override;
  void OnReceived(size_t size_bytes) override;
  void OnEnd() override;
  void OnClosed(const absl::Status& status) override;

  // Looks at deadlines, and at whether the controller still exists.
  void CheckTimers(int64_t now_ns);
  // The target drains: see Target::Drain().
  void Drain();
  // The subsystem was removed, or another connection needs the place.
  void Cut(std::string_view why);

  // The memory for which the operation waited has been taken.
  void Resume(Operation* operation);

  bool is_identified() const { return queue_ != nullptr; }
  bool is_finished() const { return stream_ == nullptr && operation_count_ == 0; }
  bool is_leaving() const { return stream_ == nullptr || is_cut_; }
  int64_t accepted_ns() const { return accepted_ns_; }
  const nvme::Subsystem* subsystem() const { return subsystem_.get(); }
  Association* association() const { return association_.get(); }
  nvme::DeviceQueue* queue() const { return queue_.get(); }

 private:
  enum class State { kAwaitsInit, kAwaitsConnect, kOpen, kTerminating, kClosed };

  // connection.cc: PDUs.
  void Process();
  void OnHeader();
  void OnData(std::span<const std::byte> data);
  void OnPduEnd();
  void OnInitRequest();
  void OnCommandHeader();
  void OnHostDataHeader();
  void EndCapsule(Operation* operation);
  void EndHostData(Operation* operation);
  // Refuses the PDU whose header has been read, and with it the connection.
  void Terminate(FatalError error, uint32_t information, std::string_view what);
  void SendPlain(SendRequest* request, std::span<iovec, 1> vector, std::span<std::byte> bytes);
  void Unblock();
  void DropReceiveBuffer();
  void Note(LogLevel level, std::string_view what) const;

  // commands.cc: commands and their answers.
  nvme::Status ExamineData(Operation* operation, const nvme::Plan& plan);
  void Proceed(Operation* operation);  // It has its memory, if it needs any.
  void AskForData(Operation* operation);
  void Start(Operation* operation);
  void Answer(Operation* operation, nvme::Status status, uint64_t result);
  void Release(Operation* operation);
  void EndIfDrained();
  bool CutIfControllerIsGone();
  bool IsChoked() const { return unsent_count_ > 2 * queue_entries_ + 2; }
  void CountSent();
  static void OnDone(nvme::Command* command);
  static void OnReplySent(SendRequest* request, bool is_sent);
  static void OnPlainSent(SendRequest* request, bool is_sent);

  // fabrics_commands.cc: Connect and Disconnect.
  nvme::Plan ExamineFabrics(Operation* operation) const;
  nvme::Status Connect(const Operation& operation, uint32_t* result);

  WorkerModel& worker_;
  const bool is_discovery_only_;
  const std::shared_ptr<ConnectionRecord> record_;
  ConnectionInfo info_;
  Stream* stream_ = nullptr;
  State state_ = State::kAwaitsInit;

  PduReader reader_;
  std::optional<PduWriter> writer_;
  std::span<std::byte> receive_buffer_;  // The worker's; empty while nothing is received.
  size_t received_begin_ = 0;            // What of it has not been read.
  size_t received_end_ = 0;
  uint32_t placed_directly_ = 0;  // Bytes that PlaceReceived() led into an operation's memory.
  Operation* current_ = nullptr;  // To which the PDU's data belongs; null: it is dropped.
  bool is_blocked_ = false;       // Reads nothing: waits for memory, or drains.
  bool is_choked_ = false;        // The peer sends commands and does not take the answers.

  std::shared_ptr<nvme::Subsystem> subsystem_;
  std::shared_ptr<Association> association_;
  std::unique_ptr<nvme::DeviceQueue> queue_;
  uint32_t queue_entries_ = 1;
  uint16_t queue_head_ = 0;  // SQHD.
  bool has_flow_control_ = true;

  uint32_t operation_count_ = 0;      // All that exist.
  uint32_t unanswered_count_ = 0;     // Without those whose answer is being sent.
  uint32_t event_count_ = 0;          // Event requests at the device.
  uint32_t unsent_count_ = 0;         // Requests that the link has.
  std::vector<Operation*> awaiting_;  // By transfer tag; null: the tag is free.
  std::vector<uint16_t> free_tags_;

  const int64_t accepted_ns_;
  int64_t state_since_ns_;
  int64_t pdu_since_ns_ = 0;  // When the PDU under way began; 0: there is none.
  int64_t sent_ns_ = 0;       // When the peer last took something, or when there was nothing.
  bool is_cut_ = false;
  bool is_draining_ = false;
  bool is_disconnecting_ = false;

  SendRequest init_send_;
  std::array<iovec, 1> init_vector_{};
  std::array<std::byte, pdu::kInitBytes> init_{};
  SendRequest term_send_;
  std::array<iovec, 1> term_vector_{};
  std::array<std::byte, pdu::kMaxTermBytes> term_{};
};

}  // namespace strata::nvmeof
