// SPDX-License-Identifier: Apache-2.0
//
// I/O commands as requests to a namespace's device. Most are one request; Dataset Management,
// Verify and a flush of all namespaces are several, one after the other.
#include <algorithm>
#include <utility>

#include "device/queue_model.h"
#include "device/segments.h"
#include "device/subsystem_model.h"

namespace strata::nvme {
namespace {

using block::Op;

constexpr uint32_t kVerifyPieceBytes = 128u << 10;
constexpr uint16_t kDirectiveMask = 0x00f0;  // DTYPE, in kIoFlags.

IoOpcode OpcodeOf(const Command& command) { return static_cast<IoOpcode>(command.entry.opcode()); }

bool IsFlushOfAll(const Command& command) {
  return OpcodeOf(command) == IoOpcode::kFlush && command.entry.namespace_id() == kAllNamespaces;
}

uint32_t BlocksOf(const SubmissionEntry& entry) {
  return entry.Get(SubmissionEntry::kBlocks0based) + 1u;
}

uint32_t DsmRangesOf(const SubmissionEntry& entry) {
  return (entry.Get(SubmissionEntry::kDword10) & 0xff) + 1;
}

bool IsDeallocation(const SubmissionEntry& entry) {
  return (entry.Get(SubmissionEntry::kDword11) & kDsmDeallocate) != 0;
}

bool FitsIn(uint64_t lba, uint64_t blocks, const block::Geometry& geometry) {
  return lba < geometry.block_count && blocks <= geometry.block_count - lba;
}

DsmRange RangeAt(const Command& command, uint32_t index) {
  DsmRange range;
  Gather(command.data, size_t{index} * DsmRange::kSizeBytes, range.bytes);
  return range;
}

bool SuitsDevice(std::span<const block::Segment> segments, const block::Geometry& geometry) {
  if (segments.size() > geometry.max_segments) return false;
  uintptr_t bits = 0;
  uint64_t size_bits = 0;
  for (const block::Segment& segment : segments) {
    bits |= reinterpret_cast<uintptr_t>(segment.data);
    size_bits |= segment.size_bytes;
    if (segment.size_bytes == 0) return false;
  }
  return (bits & (geometry.buffer_alignment_bytes - 1)) == 0 &&
         (size_bits & (geometry.block_size_bytes - 1)) == 0;
}

void OnRequestDone(block::Request* request);

// Points the request at the command's data, or at a copy where the device cannot take them.
void AttachData(Command* command, const block::Geometry& geometry) {
  block::Request& request = command->driver.request;
  if (SuitsDevice(command->data, geometry)) {
    request.segments = command->data;
    return;
  }
  command->driver.buffer =
      block::Buffer(command->driver.bytes, std::max(geometry.buffer_alignment_bytes, 4096u));
  if (request.op != Op::kRead) Gather(command->data, 0, command->driver.buffer.span());
  command->driver.segment = {command->driver.buffer.data(), command->driver.buffer.size()};
  request.segments = {&command->driver.segment, 1};
}

// The single request of a command that names one range.
void PrepareBlocks(Command* command, Op op, const block::Geometry& geometry, bool write_through) {
  const SubmissionEntry& entry = command->entry;
  block::Request& request = command->driver.request;
  request.op = op;
  request.lba = block::Lba{entry.Get(SubmissionEntry::kStartLba)};
  request.block_count = BlocksOf(entry);
  request.segments = {};
  const bool is_write = op == Op::kWrite || op == Op::kWriteZeroes;
  request.force_unit_access =
      is_write &&
      (write_through || (entry.Get(SubmissionEntry::kIoFlags) & kIoForceUnitAccess) != 0);
  if (op == Op::kRead && geometry.reads_nothing && command->data_held_others) {
    for (const block::Segment& segment : command->data) {
      std::fill_n(segment.data, segment.size_bytes, std::byte{0});
    }
  }
  if (op == Op::kRead || op == Op::kWrite || op == Op::kCompare) AttachData(command, geometry);
}

Op WriteZeroesOp(const SubmissionEntry& entry, const block::Geometry& geometry,
                 bool write_through) {
  const bool may_deallocate = (entry.Get(SubmissionEntry::kIoFlags) & kIoDeallocate) != 0;
  const bool is_forced =
      write_through || (entry.Get(SubmissionEntry::kIoFlags) & kIoForceUnitAccess) != 0;
  // A discard reads as zeroes too, but it cannot be forced to the medium.
  return may_deallocate && !is_forced && geometry.supports_discard ? Op::kDiscard
                                                                   : Op::kWriteZeroes;
}

// The next range that is not empty. False: there is none.
bool PrepareRange(Command* command) {
  block::Request& request = command->driver.request;
  while (command->driver.step < DsmRangesOf(command->entry)) {
    const DsmRange range = RangeAt(*command, command->driver.step++);
    request.block_count = range.Get(DsmRange::kBlockCount);
    if (request.block_count == 0) continue;
    request.op = Op::kDiscard;
    request.lba = block::Lba{range.Get(DsmRange::kStartLba)};
    request.segments = {};
    request.force_unit_access = false;
    return true;
  }
  return false;
}

// The next piece of a Verify: it is read and forgotten. `step` counts blocks.
bool PrepareVerify(Command* command, const block::Geometry& geometry) {
  const uint32_t blocks = BlocksOf(command->entry);
  if (command->driver.step >= blocks) return false;
  const uint32_t most_blocks = std::max(kVerifyPieceBytes / geometry.block_size_bytes, 1u);
  block::Request& request = command->driver.request;
  if (command->driver.step == 0) {
    command->driver.buffer =
        block::Buffer(size_t{std::min(blocks, most_blocks)} * geometry.block_size_bytes,
                      std::max(geometry.buffer_alignment_bytes, 4096u));
  }
  request.op = Op::kRead;
  request.lba = block::Lba{command->entry.Get(SubmissionEntry::kStartLba) + command->driver.step};
  request.block_count = std::min(blocks - command->driver.step, most_blocks);
  command->driver.segment = {command->driver.buffer.data(),
                             size_t{request.block_count} * geometry.block_size_bytes};
  request.segments = {&command->driver.segment, 1};
  request.force_unit_access = false;
  command->driver.step += request.block_count;
  return true;
}

// False: the command has no further request.
bool PrepareNext(Command* command) {
  const block::Geometry& geometry = command->driver.channel->geometry();
  const bool write_through =
      !command->driver.queue->controller().write_cache_enabled.load(std::memory_order_relaxed);
  block::Request& request = command->driver.request;
  const bool is_first = command->driver.step == 0;
  switch (OpcodeOf(*command)) {
    case IoOpcode::kDatasetManagement:
      return PrepareRange(command);
    case IoOpcode::kVerify:
      return PrepareVerify(command, geometry);
    case IoOpcode::kFlush:
      // Of one namespace or, with the next one in `step` already, of all.
      if (!IsFlushOfAll(*command)) {
        if (!is_first) return false;
        command->driver.step = 1;
      }
      request.op = Op::kFlush;
      request.lba = {};
      request.block_count = 0;
      request.segments = {};
      request.force_unit_access = false;
      return true;
    case IoOpcode::kRead:
      if (is_first) PrepareBlocks(command, Op::kRead, geometry, write_through);
      break;
    case IoOpcode::kWrite:
      if (is_first) PrepareBlocks(command, Op::kWrite, geometry, write_through);
      break;
    case IoOpcode::kCompare:
      if (is_first) PrepareBlocks(command, Op::kCompare, geometry, write_through);
      break;
    case IoOpcode::kWriteZeroes:
      if (is_first) {
        PrepareBlocks(command, WriteZeroesOp(command->entry, geometry, write_through), geometry,
                      write_through);
      }
      break;
  }
  command->driver.step = 1;
  return is_first;
}

// Of the blocks that a command names whose data do not move.
uint64_t NamedBytes(const Command& command) {
  if (command.driver.bytes != 0) return command.driver.bytes;
  const uint32_t block_size_bytes = command.driver.channel->geometry().block_size_bytes;
  if (OpcodeOf(command) != IoOpcode::kDatasetManagement) {
    return uint64_t{BlocksOf(command.entry)} * block_size_bytes;
  }
  uint64_t blocks = 0;
  for (uint32_t i = 0; i < DsmRangesOf(command.entry); ++i) {
    blocks += RangeAt(command, i).Get(DsmRange::kBlockCount);
  }
  return blocks * block_size_bytes;
}

void Count(LaneModel& lane, Command* command, Status status) {
  // The controller is gone: nobody waits for the command, and it says nothing of the namespace.
  if (status.code() == StatusCode::kAbortedQueueDeleted) return;
  NamespaceCounters& space = command->driver.channel->counters;
  QueueCounters& controller = command->driver.queue->counters();
  const int64_t latency_ns = lane.RoundNanos() - command->driver.begin_ns;
  const uint64_t bytes = command->driver.bytes;
  switch (OpcodeOf(*command)) {
    case IoOpcode::kRead:
      space.NoteEnd(IoKind::kRead, status, bytes, latency_ns);
      if (status.ok()) controller.NoteRead(bytes);
      return;
    case IoOpcode::kWrite:
      space.NoteEnd(IoKind::kWrite, status, bytes, latency_ns);
      if (status.ok()) controller.NoteWrite(bytes);
      return;
    case IoOpcode::kFlush:
      space.NoteEnd(IoKind::kFlush, status, 0, latency_ns);
      return;
    default:
      space.NoteEnd(IoKind::kOther, status, NamedBytes(*command), latency_ns);
      // A comparison reads.
      if (status.ok() && OpcodeOf(*command) == IoOpcode::kCompare) controller.NoteRead(bytes);
      return;
  }
}

// Leaves the channel with the command's result.
void Leave(LaneModel& lane, Command* command, Status status) {
  --command->driver.channel->busy_count;
  Count(lane, command, status);
  if (status.ok()) {
    if (command->driver.buffer.size() != 0 && OpcodeOf(*command) == IoOpcode::kRead) {
      Scatter(command->driver.buffer.span(), command->data);
    }
  }
  if (command->driver.buffer.size() != 0) command->driver.buffer = {};
  command->status = status;
}

// Goes to the next namespace of a flush of all: `step` is the NSID of the one before.
void FlushNext(LaneModel& lane, Command* command) {
  const std::string_view host = command->driver.queue->controller().host_nqn;
  const NamespaceTable& table = lane.table();
  while (command->driver.step < table.entries.size()) {
    const uint32_t nsid = ++command->driver.step;
    const NamespaceEntry* entry = table.Find(nsid);
    if (entry == nullptr || !entry->VisibleTo(host)) continue;
    lane.Dispatch(command, lane.ChannelOf(nsid));
    return;
  }
  lane.EndLater(command, {});
}

void OnRequestDone(block::Request* request) {
  auto* command = static_cast<Command*>(request->context);
  LaneModel& lane = command->driver.queue->lane();
  if (!request->status.ok()) {
    Leave(lane, command, Status::OfBlock(request->op, request->status));
    lane.End(command);
    return;
  }
  if (IsFlushOfAll(*command)) {
    --command->driver.channel->busy_count;
    Count(lane, command, {});
    FlushNext(lane, command);
    return;
  }
  const IoOpcode opcode = OpcodeOf(*command);
  if (opcode == IoOpcode::kDatasetManagement || opcode == IoOpcode::kVerify) {
    ContinueIo(lane, command);
    return;
  }
  Leave(lane, command, {});
  lane.End(command);
}

}  // namespace

IoKind KindOf(const SubmissionEntry& entry) {
  switch (static_cast<IoOpcode>(entry.opcode())) {
    case IoOpcode::kRead:
      return IoKind::kRead;
    case IoOpcode::kWrite:
      return IoKind::kWrite;
    case IoOpcode::kFlush:
      return IoKind::kFlush;
    default:
      return IoKind::kOther;
  }
}

void ContinueIo(LaneModel& lane, Command* command) {
  // The host has forgotten the command, and may have written its blocks again on another queue.
  if (!command->driver.queue->is_alive()) {
    Leave(lane, command, StatusCode::kAbortedQueueDeleted);
    lane.EndLater(command, command->status);
    return;
  }
  if (!PrepareNext(command)) {
    Leave(lane, command, {});
    lane.EndLater(command, command->status);
    return;
  }
  block::Request& request = command->driver.request;
  request.done = &OnRequestDone;
  request.context = command;
  const absl::Status submitted = command->driver.channel->channel->Submit(&request);
  if (submitted.ok()) return;
  // The lane saw room, so that a full queue is the device's own affair: the host may try again.
  Leave(lane, command,
        absl::IsResourceExhausted(submitted) ? Status(StatusCode::kNamespaceNotReady)
                                             : Status::OfBlock(request.op, submitted));
  lane.EndLater(command, command->status);
}

Plan QueueModel::ExamineIo(const SubmissionEntry& entry) const {
  const auto refuse = [](StatusCode code) { return Plan{.status = Status(code).DoNotRetry()}; };
  if (!is_alive() || controller_->status() != csts::kReady.At(1)) {
    return refuse(StatusCode::kCommandSequenceError);
  }
  const CommandRow* row = FindIoCommand(entry.opcode());
  if (row == nullptr) return refuse(StatusCode::kInvalidOpcode);
  if ((entry.Get(SubmissionEntry::kFlags) & kFuseMask) != 0) {
    return refuse(StatusCode::kInvalidField);
  }
  if (entry.namespace_id() == kAllNamespaces && row->takes_all_namespaces) return {};
  const NamespaceEntry* space = Visible(entry.namespace_id());
  if (space == nullptr) return refuse(StatusCode::kInvalidNamespace);
  if (row->has_blocks) {
    Plan plan = ExamineBlocks(*row, entry, *space);
    plan.namespace_serial = space->serial;
    return plan;
  }
  if (static_cast<IoOpcode>(row->opcode) == IoOpcode::kDatasetManagement) {
    if (IsDeallocation(entry) && space->read_only) {
      return refuse(StatusCode::kNamespaceWriteProtected);
    }
    return {.direction = row->direction,
            .data_bytes = static_cast<uint32_t>(DsmRangesOf(entry) * DsmRange::kSizeBytes),
            .namespace_serial = space->serial};
  }
  return {.namespace_serial = space->serial};
}

Plan QueueModel::ExamineBlocks(const CommandRow& row, const SubmissionEntry& entry,
                               const NamespaceEntry& space) const {
  const auto refuse = [](StatusCode code) { return Plan{.status = Status(code).DoNotRetry()}; };
  const block::Geometry& geometry = space.device->geometry();
  const uint32_t blocks = BlocksOf(entry);
  if (!FitsIn(entry.Get(SubmissionEntry::kStartLba), blocks, geometry)) {
    return refuse(StatusCode::kLbaOutOfRange);
  }
  if (row.changes_blocks && space.read_only) return refuse(StatusCode::kNamespaceWriteProtected);
  const uint64_t bytes = uint64_t{blocks} * geometry.block_size_bytes;
  const bool is_limited =
      row.moves_blocks || static_cast<IoOpcode>(row.opcode) == IoOpcode::kVerify;
  if (is_limited && bytes > controller_->options.max_transfer_bytes) {
    return refuse(StatusCode::kInvalidField);
  }
  // No directive is supported, and there is no protection information to check.
  if ((entry.Get(SubmissionEntry::kIoFlags) & kDirectiveMask) != 0 &&
      static_cast<IoOpcode>(row.opcode) == IoOpcode::kWrite) {
    return refuse(StatusCode::kInvalidField);
  }
  if (!row.moves_blocks) return {};
  return {.direction = row.direction, .data_bytes = static_cast<uint32_t>(bytes)};
}

void QueueModel::StartIo(Command* command) {
  if (IsFlushOfAll(*command)) {
    // Of one that waited for a namespace: that namespace again, where it still is.
    if (command->driver.step > 0) --command->driver.step;
    FlushNext(lane_, command);
    return;
  }
  NamespaceChannel* channel = lane_.ChannelOf(command->entry.namespace_id());
  const block::Geometry& geometry = channel->geometry();
  if (OpcodeOf(*command) == IoOpcode::kDatasetManagement) {
    if (!IsDeallocation(command->entry) || !geometry.supports_discard) {
      lane_.EndLater(command, {});  // Hints, which may be ignored.
      return;
    }
    for (uint32_t i = 0; i < DsmRangesOf(command->entry); ++i) {
      const DsmRange range = RangeAt(*command, i);
      const uint64_t blocks = range.Get(DsmRange::kBlockCount);
      if (blocks != 0 && !FitsIn(range.Get(DsmRange::kStartLba), blocks, geometry)) {
        lane_.EndLater(command, Status(StatusCode::kLbaOutOfRange).DoNotRetry());
        return;
      }
    }
  } else if (FindIoCommand(command->entry.opcode())->moves_blocks ||
             OpcodeOf(*command) == IoOpcode::kVerify) {
    command->driver.bytes = uint64_t{BlocksOf(command->entry)} * geometry.block_size_bytes;
  }
  lane_.Dispatch(command, channel);
}

}  // namespace strata::nvme
