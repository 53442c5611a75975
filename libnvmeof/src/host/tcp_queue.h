// SPDX-License-Identifier: Apache-2.0
//
// A queue of the host over one TCP connection: ICReq, Connect, then commands. The queue owns its
// socket and is polled by the thread of its channel, so that it needs no link: no readiness is
// looked for, no list of streams is walked, and no lock is taken.
//
// Nothing that the controller sends is believed: what does not fit an outstanding command ends the
// connection, with a TermReq that names the field. Data lands only in the segments of a command
// that reads, and only where its next byte belongs.
//
// Thread safety: one thread at a time.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/send_list.h"
#include "link/socket.h"
#include "pdu/pdu_reader.h"
#include "pdu/pdu_writer.h"
#include "strata/base/clock.h"
#include "strata/nvme/transport.h"
#include "strata/nvme/wire/fabrics.h"
#include "strata/nvmeof/initiator.h"

namespace strata::nvmeof {

// What the queues of one association share.
struct HostAssociation {
  TcpOptions options;
  std::string name;
  const Clock* clock = nullptr;
  std::atomic<uint16_t> controller_id{nvme::kDynamicController};
};

class TcpQueue final : public nvme::HostQueue {
 public:
  TcpQueue(std::shared_ptr<HostAssociation> association, const nvme::QueueOptions& options);
  ~TcpQueue() override;

  // Begins to connect. Unavailable: the kernel refuses at once.
  absl::Status Start();

  bool is_open() const override { return stage_ == Stage::kOpen; }
  absl::Status Submit(const nvme::SubmissionEntry& entry, nvme::DataDirection direction,
                      std::span<const block::Segment> data) override;
  int Poll(std::span<nvme::CompletionEntry> completions) override;
  absl::StatusOr<int> EventFd() override;
  absl::Status health() const override { return broken_; }
  int64_t NextDeadlineNs() const override;

 private:
  enum class Stage { kConnecting, kInitializing, kJoining, kOpen, kBroken };

  // R2Ts of one command that may be outstanding: MAXR2T is one less.
  static constexpr size_t kMostR2ts = 4;

  struct ReadyToTransfer {
    uint16_t tag;
    uint32_t offset_bytes;
    uint32_t left_bytes;
  };

  // One command id.
  struct Slot {
    OutgoingPdu outgoing;  // First the capsule, then one H2CData after the other.
    std::span<const block::Segment> data{};
    SegmentCursor landing{};  // Where the next byte that is read goes.
    nvme::DataDirection direction = nvme::DataDirection::kNone;
    bool is_busy = false;
    bool is_in_capsule = false;
    bool is_digest_wrong = false;
    uint8_t r2t_first = 0;
    uint8_t r2t_count = 0;
    uint32_t total_bytes = 0;
    uint32_t received_bytes = 0;
    uint32_t requested_bytes = 0;
    std::array<ReadyToTransfer, kMostR2ts> r2ts{};
  };

  void AdvanceOpening();
  void SetStage(Stage stage);
  void SendInitRequest();
  void OnInitResponse();
  void SendConnect();
  void OnConnected(const nvme::CompletionEntry& completion);

  void Place(Slot* slot, const nvme::SubmissionEntry& entry);
  bool PlaceHostData(Slot* slot);
  void Flush();
  void Receive();
  void Land(size_t size_bytes);
  void Process(std::span<const std::byte> input);
  void OnHeader();
  void OnEnd();
  void OnControllerData();
  void OnReadyToTransfer();
  void OnResponse();
  void Complete(uint16_t command_id, nvme::CompletionEntry completion);
  nvme::Status Verdict(const Slot& slot) const;
  Slot* Find(uint16_t command_id, size_t field_offset, std::string_view what);

  void Violate(FatalError error, uint32_t information, std::string_view what);
  void SendTermRequest(FatalError error, uint32_t information);
  void Break(const absl::Status& status);
  void Arm();

  const std::shared_ptr<HostAssociation> association_;
  const nvme::QueueOptions options_;
  Stage stage_ = Stage::kConnecting;
  int64_t deadline_ns_ = 0;  // Of the stage.
  absl::Status broken_;
  Socket socket_;
  Socket epoll_;
  Socket left_event_;  // An eventfd in epoll_: readable while completions are left.
  bool is_left_signalled_ = false;
  uint32_t armed_events_ = 0;
  bool is_blocked_ = false;  // The kernel took less than there was.

  std::vector<Slot> slots_;
  SendList sending_;
  std::vector<nvme::CompletionEntry> completed_;  // A ring.
  size_t completed_first_ = 0;
  size_t completed_count_ = 0;

  PduReader reader_;
  std::optional<PduWriter> writer_;   // Once ICResp has come.
  uint32_t max_host_data_bytes_ = 0;  // MAXH2CDATA.
  uint32_t capsule_data_bytes_ = 0;
  Slot* landing_ = nullptr;  // Of the C2HData under way.
  bool is_bulk_ = false;     // The last C2HData was large: so may the next be.
  std::unique_ptr<std::byte[]> buffer_;

  struct Joining {
    OutgoingPdu init;
    nvme::ConnectData data;
    block::Segment segment{};
  };
  std::unique_ptr<Joining> joining_;  // Until the queue is open.
};

}  // namespace strata::nvmeof
