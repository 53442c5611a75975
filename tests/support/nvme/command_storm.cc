// SPDX-License-Identifier: Apache-2.0
#include "support/nvme/command_storm.h"

#include <algorithm>
#include <cstring>

#include "strata/base/check.h"
#include "strata/base/endian.h"
#include "strata/block/devices.h"
#include "strata/nvme/wire/registers.h"

namespace strata::nvme {
namespace {

constexpr char kHost[] = "nqn.2026-11.org.example:host";
constexpr uint32_t kMostNamespaces = 4;
constexpr uint32_t kMostTransferBytes = 16384;

// Copies between a whole buffer and the pieces that a command is given.
struct Pieces {
  explicit Pieces(size_t size, size_t cut) : buffer(std::max<size_t>(size, 1) + 8) {
    // Odd addresses and cuts inside blocks: whatever a host's memory looks like.
    std::byte* from = buffer.data() + (cut & 1 ? 3 : 0);
    const size_t first = size == 0 ? 0 : cut % (size + 1);
    if (first != 0) segments.push_back({from, first});
    if (first != size) segments.push_back({from + first, size - first});
  }
  std::byte* data() { return segments.empty() ? buffer.data() : segments[0].data; }
  block::Buffer buffer;
  std::vector<block::Segment> segments;
};

Status Refused(StatusCode code) { return Status(code).DoNotRetry(); }

}  // namespace

CommandStorm::CommandStorm() {
  auto created = CreateSubsystem({.nqn = "nqn.2026-11.org.example:storm",
                                  .allow_any_host = true,
                                  .max_namespaces = kMostNamespaces,
                                  .max_transfer_bytes = kMostTransferBytes});
  STRATA_CHECK(created.ok(), "a subsystem for the storm");
  subsystem_ = *std::move(created);
  lane_ = *subsystem_->OpenLane({.channel_depth = 2});
  PutNamespace(1, 0);
  PutNamespace(2, 1);
  Connect();
}

CommandStorm::~CommandStorm() { Disconnect(); }

void CommandStorm::Connect() {
  admin_ = std::move(subsystem_->Connect(*lane_, {.host_nqn = kHost}).queue);
  STRATA_CHECK(admin_ != nullptr, "an admin queue for the storm");
  STRATA_CHECK(admin_->WriteProperty(0x14, 4, 1u | 6u << 16 | 4u << 20).ok(), "enabled");
  io_ = std::move(
      subsystem_
          ->Connect(*lane_,
                    {.host_nqn = kHost, .controller_id = admin_->controller_id(), .queue_id = 1})
          .queue);
  STRATA_CHECK(io_ != nullptr, "an I/O queue for the storm");
}

void CommandStorm::Disconnect() {
  for (std::unique_ptr<DeviceQueue>* queue : {&io_, &admin_}) {
    (*queue)->Close();
    while ((*queue)->in_flight() > 0) lane_->Poll(16);
    queue->reset();
  }
}

void CommandStorm::PutNamespace(uint32_t nsid, uint8_t shape) {
  const bool is_new = spaces_.count(nsid) == 0;
  const bool was_read_only = !is_new && spaces_[nsid].read_only;
  Space space{.block_bytes = !is_new     ? spaces_[nsid].block_bytes
                             : shape & 1 ? 4096u
                                         : 512u,
              .read_only = was_read_only || (is_new && (shape & 0x70) == 0x70),
              .content = {}};
  space.content.resize(size_t{space.block_bytes} * (shape & 2 ? 24 : 48));
  auto device = block::CreateMemoryDevice(
      {.block_count = space.blocks(), .block_size_bytes = space.block_bytes});
  STRATA_CHECK(device.ok(), "a device for the storm");
  const absl::Status put =
      is_new ? subsystem_
                   ->AddNamespace(*std::move(device), {.nsid = nsid, .read_only = space.read_only})
                   .status()
             : subsystem_->ReplaceDevice(nsid, *std::move(device));
  STRATA_CHECK(put.ok(), "a namespace for the storm");
  spaces_[nsid] = std::move(space);
}

Status CommandStorm::Run(DeviceQueue& queue, const SubmissionEntry& entry,
                         std::vector<std::byte>& data) {
  const Plan plan = queue.Examine(entry);
  STRATA_CHECK(plan.status.ok() || plan.data_bytes == 0, "a refused command moves no data");
  STRATA_CHECK(plan.data_bytes <= kMostTransferBytes, "a transfer beyond MDTS");
  data.resize(plan.data_bytes);
  Pieces pieces(data.size(), entry.command_id());
  if (!data.empty()) std::memcpy(pieces.data(), data.data(), data.size());
  struct Outcome {
    int count = 0;
  } outcome;
  Command command;
  command.entry = entry;
  command.data = pieces.segments;
  command.context = &outcome;
  command.done = [](Command* c) { ++static_cast<Outcome*>(c->context)->count; };
  queue.Start(&command);
  STRATA_CHECK(outcome.count == 0, "a command ended inside Start()");
  for (int round = 0; outcome.count == 0 && round < 10'000; ++round) lane_->Poll(4);
  if (outcome.count == 0) {
    // An event request, which waits for an event: the queue is closed to end it.
    queue.Close();
    while (queue.in_flight() > 0) lane_->Poll(4);
    Disconnect();
    Connect();
  }
  STRATA_CHECK(outcome.count == 1, "a command ends once");
  if (!data.empty()) std::memcpy(data.data(), pieces.data(), data.size());
  return command.status;
}

Status CommandStorm::Expected(const SubmissionEntry& entry, std::span<const std::byte> data) const {
  const uint8_t opcode = entry.opcode();
  const bool is_known = opcode == 0 || opcode == 1 || opcode == 2 || opcode == 5 || opcode == 8 ||
                        opcode == 9 || opcode == 12;
  if (!is_known) return Refused(StatusCode::kInvalidOpcode);
  if ((entry.Get(SubmissionEntry::kFlags) & 3) != 0) return Refused(StatusCode::kInvalidField);
  if (opcode == 0 && entry.namespace_id() == kAllNamespaces) return {};
  const auto found = spaces_.find(entry.namespace_id());
  if (found == spaces_.end()) return Refused(StatusCode::kInvalidNamespace);
  const Space& space = found->second;
  if (opcode == 0) return {};
  if (opcode == 9) {
    if ((entry.Get(SubmissionEntry::kDword11) & 4) == 0) return {};
    if (space.read_only) return Refused(StatusCode::kNamespaceWriteProtected);
    for (size_t at = 0; at + 16 <= data.size(); at += 16) {
      const uint64_t blocks = LoadLe32(data.data() + at + 4);
      const uint64_t lba = LoadLe64(data.data() + at + 8);
      if (blocks != 0 && (lba >= space.blocks() || blocks > space.blocks() - lba)) {
        return Refused(StatusCode::kLbaOutOfRange);
      }
    }
    return {};
  }
  const uint64_t lba = entry.Get(SubmissionEntry::kStartLba);
  const uint64_t blocks = entry.Get(SubmissionEntry::kBlocks0based) + uint64_t{1};
  if (lba >= space.blocks() || blocks > space.blocks() - lba) {
    return Refused(StatusCode::kLbaOutOfRange);
  }
  if ((opcode == 1 || opcode == 8) && space.read_only) {
    return Refused(StatusCode::kNamespaceWriteProtected);
  }
  if (opcode != 8 && blocks * space.block_bytes > kMostTransferBytes) {
    return Refused(StatusCode::kInvalidField);
  }
  if (opcode == 1 && (entry.Get(SubmissionEntry::kIoFlags) & 0xf0) != 0) {
    return Refused(StatusCode::kInvalidField);
  }
  if (opcode == 5 && std::memcmp(space.content.data() + lba * space.block_bytes, data.data(),
                                 blocks * space.block_bytes) != 0) {
    return StatusCode::kCompareFailure;
  }
  return {};
}

void CommandStorm::Apply(const SubmissionEntry& entry, std::span<const std::byte> data) {
  const uint8_t opcode = entry.opcode();
  if (opcode != 1 && opcode != 8 && opcode != 9) return;
  Space& space = spaces_.at(entry.namespace_id());
  const auto zero = [&space](uint64_t lba, uint64_t blocks) {
    std::memset(space.content.data() + lba * space.block_bytes, 0, blocks * space.block_bytes);
  };
  const uint64_t lba = entry.Get(SubmissionEntry::kStartLba);
  if (opcode == 1) {
    std::memcpy(space.content.data() + lba * space.block_bytes, data.data(), data.size());
  } else if (opcode == 8) {
    zero(lba, entry.Get(SubmissionEntry::kBlocks0based) + uint64_t{1});
  } else if ((entry.Get(SubmissionEntry::kDword11) & 4) != 0) {
    for (size_t at = 0; at + 16 <= data.size(); at += 16) {
      const uint64_t blocks = LoadLe32(data.data() + at + 4);
      if (blocks != 0) zero(LoadLe64(data.data() + at + 8), blocks);
    }
  }
}

std::string CommandStorm::RunIo(const SubmissionEntry& entry, uint8_t fill) {
  std::vector<std::byte> data(io_->Examine(entry).data_bytes);
  const auto found = spaces_.find(entry.namespace_id());
  if (entry.opcode() == 9) {
    for (size_t at = 0; at + 16 <= data.size(); at += 16) {
      StoreLe32(data.data() + at + 4, (fill + at / 16) % 5);
      StoreLe64(data.data() + at + 8, (fill * 7 + at) % 50);
    }
  } else if (entry.opcode() == 5 && fill % 2 == 0 && !data.empty()) {
    const Space& space = found->second;
    std::memcpy(data.data(),
                space.content.data() + entry.Get(SubmissionEntry::kStartLba) * space.block_bytes,
                data.size());
  } else {
    for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(fill + i / 512);
  }
  const std::vector<std::byte> sent = data;
  const Status expected = Expected(entry, sent);
  const Status status = Run(*io_, entry, data);
  if (status != expected) {
    return "opcode " + std::to_string(entry.opcode()) + " of namespace " +
           std::to_string(entry.namespace_id()) + ": " + status.ToString() + ", expected " +
           expected.ToString();
  }
  if (!status.ok()) return "";
  Apply(entry, sent);
  if (entry.opcode() != 2) return "";
  const Space& space = spaces_.at(entry.namespace_id());
  const uint64_t offset = entry.Get(SubmissionEntry::kStartLba) * space.block_bytes;
  if (std::memcmp(space.content.data() + offset, data.data(), data.size()) == 0) return "";
  return "a read of namespace " + std::to_string(entry.namespace_id()) +
         " returned what was not written";
}

std::string CommandStorm::RunAdmin(const SubmissionEntry& entry) {
  std::vector<std::byte> data;
  const Status status = Run(*admin_, entry, data);
  if (status.ToAbslCode() == absl::StatusCode::kInternal) return "an admin command failed within";
  return "";
}

std::string CommandStorm::Step(std::span<const std::byte> bytes) {
  STRATA_CHECK(bytes.size() == kStepBytes, "a step of the storm has its size");
  const auto byte = [bytes](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  // After a reset or a shutdown the host connects again.
  uint64_t controller_status = 0;
  STRATA_CHECK(admin_->ReadProperty(0x1c, 4, &controller_status).ok(), "the status is read");
  if (!io_->is_alive() || controller_status != 1) {
    Disconnect();
    Connect();
  }
  SubmissionEntry entry;
  entry.Set(SubmissionEntry::kCommandId, LoadLe16(&bytes[1]));
  const uint8_t kind = byte(0) % 16;
  if (kind < 11) {
    // Mostly right: known opcodes, blocks about the end of the namespace.
    constexpr uint8_t kOpcodes[] = {0, 1, 1, 2, 2, 5, 8, 9, 12};
    entry.Set(SubmissionEntry::kOpcode, kOpcodes[byte(3) % std::size(kOpcodes)]);
    entry.Set(SubmissionEntry::kNamespaceId, byte(4) % 16 == 15 ? kAllNamespaces : byte(4) % 4);
    entry.Set(SubmissionEntry::kStartLba, byte(5) % 52);
    entry.Set(SubmissionEntry::kBlocks0based, byte(6) % 16 == 15 ? byte(6) : byte(6) % 8);
    entry.Set(SubmissionEntry::kIoFlags, byte(7) % 8 == 0 ? LoadLe16(&bytes[8]) : uint16_t{0});
    if (entry.opcode() == 9) {
      entry.Set(SubmissionEntry::kDword10, byte(6));
      entry.Set(SubmissionEntry::kDword11, byte(7) % 8);
    }
    return RunIo(entry, byte(10));
  }
  if (kind < 13) {
    // Anything: the first dwords and those from 10 on.
    std::copy_n(bytes.begin() + 3, 5, entry.bytes.begin());
    std::copy_n(bytes.begin() + 8, 16, entry.bytes.begin() + 40);
    entry.Set(SubmissionEntry::kCommandId, LoadLe16(&bytes[1]));
    if (kind == 11) return RunIo(entry, byte(3));
    entry.Set(SubmissionEntry::kNamespaceId, byte(7) % 8);
    return RunAdmin(entry);
  }
  const uint32_t nsid = 1 + byte(3) % kMostNamespaces;
  if (kind == 13) PutNamespace(nsid, byte(4));
  if (kind == 14 && spaces_.count(nsid) != 0) {
    STRATA_CHECK(subsystem_->RemoveNamespace(nsid).ok(), "a namespace is removed");
    spaces_.erase(nsid);
  }
  if (kind == 15) (void)admin_->WriteProperty(0x14, 4, byte(4) % 4 == 0 ? 0 : LoadLe32(&bytes[4]));
  return "";
}

}  // namespace strata::nvme
