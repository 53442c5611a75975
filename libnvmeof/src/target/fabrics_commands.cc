// SPDX-License-Identifier: Apache-2.0
//
// Fabrics commands that make and end a queue: Connect and Disconnect. NVM Express Base 2.1,
// sections 6.3 and 6.4. Property Get and Property Set are the device model's.
#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "strata/nvme/wire/fabrics.h"
#include "target/connection.h"
#include "target/worker.h"

namespace strata::nvmeof {
namespace {

using nvme::ConnectData;
using nvme::FabricsCommand;
using nvme::FabricsType;
using nvme::Status;
using nvme::StatusCode;

constexpr uint32_t kInData = 1u << 16;  // Of a wrong parameter: it is in the data.

// SGLS: descriptors of any alignment; lengths beyond the transfer; an offset in the capsule; the
// transport data block.
constexpr uint32_t kSglSupport = 1u << 0 | 1u << 18 | 1u << 20 | 1u << 21;
constexpr uint16_t kCanDisconnect = 0x0001;  // OFCS.

Status Refuse(StatusCode code) { return Status(code).DoNotRetry(); }

FabricsCommand FabricsCommandOf(const Operation& operation) {
  FabricsCommand command;
  command.bytes = operation.command.entry.bytes;
  return command;
}

// False: no zero byte ends it, or it is longer than an NQN may be.
template <size_t kCount>
bool ReadNqn(const ConnectData& data, ConnectData::Bytes<kCount> field, std::string* nqn) {
  const auto bytes = data.Get(field);
  const char* text = reinterpret_cast<const char*>(bytes.data());
  const size_t size = strnlen(text, kCount);
  if (size > nvme::kMostNqnBytes) return false;
  nqn->assign(text, size);
  return true;
}

}  // namespace

nvme::Plan Connection::ExamineFabrics(Operation* operation) const {
  const bool is_fabrics = operation->command.entry.opcode() == nvme::kFabricsOpcode;
  const auto type =
      static_cast<FabricsType>(FabricsCommandOf(*operation).Get(FabricsCommand::kType));
  if (is_fabrics && type == FabricsType::kConnect) {
    // A queue is connected once.
    if (queue_ != nullptr) return {.status = Refuse(StatusCode::kCommandSequenceError)};
    operation->is_connect = true;
    return {.direction = nvme::DataDirection::kToDevice, .data_bytes = ConnectData::kSizeBytes};
  }
  if (queue_ == nullptr) return {.status = Refuse(StatusCode::kCommandSequenceError)};
  if (type != FabricsType::kDisconnect) return queue_->Examine(operation->command.entry);
  if (queue_->id() == 0) return {.status = Refuse(StatusCode::kDisconnectInvalidQueueType)};
  if (FabricsCommandOf(*operation).Get(FabricsCommand::kRecordFormat) != 0) {
    return {.status = Refuse(StatusCode::kConnectIncompatibleFormat)};
  }
  operation->is_disconnect = true;
  return {};
}

Status Connection::Connect(const Operation& operation, uint32_t* result) {
  const FabricsCommand command = FabricsCommandOf(operation);
  if (command.Get(FabricsCommand::kRecordFormat) != 0) {
    return Refuse(StatusCode::kConnectIncompatibleFormat);
  }
  ConnectData data;
  static_assert(ConnectData::kSizeBytes <= DataPool::kPageBytes);
  std::copy_n(operation.segments[0].data, data.bytes.size(), data.bytes.begin());
  std::string subsystem_nqn;
  *result = kInData | ConnectData::kSubsystemNqn.offset;
  if (!ReadNqn(data, ConnectData::kSubsystemNqn, &subsystem_nqn)) {
    return Refuse(StatusCode::kConnectInvalidParameters);
  }
  const bool is_discovery = subsystem_nqn == nvme::kDiscoveryNqn;
  std::shared_ptr<nvme::Subsystem> subsystem =
      is_discovery ? worker_.target().discovery() : worker_.table().Find(subsystem_nqn);
  if (subsystem == nullptr || (is_discovery_only_ && !is_discovery)) {
    return Refuse(StatusCode::kConnectInvalidParameters);
  }
  nvme::ConnectArguments arguments;
  *result = kInData | ConnectData::kHostNqn.offset;
  if (!ReadNqn(data, ConnectData::kHostNqn, &arguments.host_nqn)) {
    return Refuse(StatusCode::kConnectInvalidParameters);
  }
  std::ranges::copy(data.Get(ConnectData::kHostId), arguments.host_id.begin());
  arguments.controller_id = data.Get(ConnectData::kControllerId);
  arguments.queue_id = command.Get(FabricsCommand::kQueueId);
  arguments.queue_entries = command.Get(FabricsCommand::kQueueSize0based) + 1u;
  arguments.keep_alive_ms = command.Get(FabricsCommand::kKeepAliveMs);
  arguments.traits = {.command_capsule_bytes = 64 + kCapsuleDataBytes,
                      .sgl_support = kSglSupport,
                      .fabrics_commands = kCanDisconnect};
  arguments.local_address = ToString(info_.local);
  *result = 0;
  nvme::Lane* lane = worker_.LaneOf(subsystem);
  if (lane == nullptr) return StatusCode::kConnectControllerBusy;
  nvme::Connected connected = subsystem->Connect(*lane, arguments);
  *result = connected.result;
  if (!connected.status.ok()) return connected.status;

  subsystem_ = std::move(subsystem);
  queue_ = std::move(connected.queue);
  queue_entries_ = arguments.queue_entries;
  queue_head_ = static_cast<uint16_t>(1 % queue_entries_);  // Connect was the first entry.
  has_flow_control_ =
      (command.Get(FabricsCommand::kConnectAttributes) & nvme::kConnectNoFlowControl) == 0;
  awaiting_.resize(queue_entries_);
  for (uint32_t tag = queue_entries_; tag > 0; --tag) {
    free_tags_.push_back(static_cast<uint16_t>(tag - 1));
  }
  association_ = worker_.AssociationOf(subsystem_.get(), queue_->controller_id());
  state_ = State::kOpen;
  state_since_ns_ = worker_.now_ns();
  info_.subsystem_nqn = subsystem_nqn;
  info_.host_nqn = arguments.host_nqn;
  info_.controller_id = queue_->controller_id();
  info_.queue_id = arguments.queue_id;
  worker_.target().SetConnected(record_.get(), info_);
  return {};
}

}  // namespace strata::nvmeof
