// SPDX-License-Identifier: Apache-2.0
#include "reading/container_table.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "strata/base/check.h"

namespace strata::dedup {

absl::StatusOr<uint32_t> ContainerTable::AcquireSlot(uint32_t keep_free) {
  MutexLock lock(&mutex_);
  const uint64_t free = gaps_.size() + (slot_count_ - next_slot_);
  if (free <= keep_free) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "dedup: the device is full: %d of %d containers in use%s", slot_count_ - free, slot_count_,
        free > 0 ? ", the rest is kept for garbage collection" : ""));
  }
  if (gaps_.empty()) return next_slot_++;
  const uint32_t slot = *gaps_.begin();
  gaps_.erase(gaps_.begin());
  return slot;
}

void ContainerTable::ReleaseSlot(uint32_t slot) {
  MutexLock lock(&mutex_);
  gaps_.insert(slot);
}

absl::Status ContainerTable::Add(uint64_t id, const ContainerRecord& record) {
  MutexLock lock(&mutex_);
  if (record.slot >= slot_count_) {
    return absl::DataLossError(absl::StrFormat(
        "dedup: container %d lies in slot %d, but the device ends after slot %d: it was truncated",
        id, record.slot, slot_count_));
  }
  while (next_slot_ <= record.slot) gaps_.insert(next_slot_++);
  gaps_.erase(record.slot);
  containers_[id] = {record, false, {}, {}};
  return absl::OkStatus();
}

void ContainerTable::Update(uint64_t id, const ContainerRecord& record) {
  MutexLock lock(&mutex_);
  const auto found = containers_.find(id);
  STRATA_CHECK(found != containers_.end(), "update of a container that is not there");
  found->second.record = record;
}

void ContainerTable::Remove(uint64_t id) {
  MutexLock lock(&mutex_);
  containers_.erase(id);
}

void ContainerTable::MarkDamaged(uint64_t id, std::string_view damage) {
  MutexLock lock(&mutex_);
  const auto found = containers_.find(id);
  if (found != containers_.end() && found->second.damage.empty()) found->second.damage = damage;
}

void ContainerTable::SetLost(uint64_t id, LostChunks lost) {
  MutexLock lock(&mutex_);
  const auto found = containers_.find(id);
  if (found == containers_.end()) return;
  if (!lost.empty()) any_lost_.store(true);
  found->second.lost = std::move(lost);
}

bool ContainerTable::Lost(const ChunkPlace& place) const {
  if (!any_lost()) return false;
  MutexLock lock(&mutex_);
  const auto found = containers_.find(place.container_id);
  return found != containers_.end() && IsLost(found->second.lost, place);
}

bool ContainerTable::Contains(uint64_t id) const {
  MutexLock lock(&mutex_);
  return containers_.contains(id);
}

bool ContainerTable::Usable(uint64_t id) const {
  MutexLock lock(&mutex_);
  const auto found = containers_.find(id);
  return found != containers_.end() && found->second.usable();
}

std::optional<uint32_t> ContainerTable::SlotOf(uint64_t id) const {
  MutexLock lock(&mutex_);
  const auto found = containers_.find(id);
  if (found == containers_.end()) return std::nullopt;
  return found->second.record.slot;
}

std::optional<ContainerInfo> ContainerTable::Find(uint64_t id) const {
  MutexLock lock(&mutex_);
  const auto found = containers_.find(id);
  if (found == containers_.end()) return std::nullopt;
  return found->second;
}

std::vector<std::pair<uint64_t, ContainerInfo>> ContainerTable::List() const {
  std::vector<std::pair<uint64_t, ContainerInfo>> list;
  {
    MutexLock lock(&mutex_);
    list.assign(containers_.begin(), containers_.end());
  }
  std::sort(list.begin(), list.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  return list;
}

ContainerTable::ReadGuard::ReadGuard(ContainerTable* table, uint64_t id) : table_(table), id_(id) {
  MutexLock lock(&table_->mutex_);
  const auto found = table_->containers_.find(id);
  if (found == table_->containers_.end()) return;
  record_ = found->second.record;
  ++table_->guards_[id];
}

ContainerTable::ReadGuard::~ReadGuard() {
  if (!record_.has_value()) return;
  MutexLock lock(&table_->mutex_);
  const auto found = table_->guards_.find(id_);
  if (--found->second > 0) return;
  table_->guards_.erase(found);
  table_->guard_ended_.NotifyAll();
}

void ContainerTable::WaitForReaders(uint64_t id) {
  MutexLock lock(&mutex_);
  while (guards_.contains(id)) guard_ended_.Wait(&mutex_);
}

void ContainerTable::Register(PinSet* pins) {
  MutexLock lock(&mutex_);
  pin_sets_.insert(pins);
}

void ContainerTable::Unregister(PinSet* pins) {
  MutexLock lock(&mutex_);
  pin_sets_.erase(pins);
  if (collecting_) kept_pins_.insert(pins->ids_.begin(), pins->ids_.end());
}

void ContainerTable::Pin(uint64_t id, PinSet* pins) {
  MutexLock lock(&mutex_);
  pins->ids_.insert(id);
}

bool ContainerTable::PinIfUsable(uint64_t id, PinSet* pins) {
  MutexLock lock(&mutex_);
  const auto found = containers_.find(id);
  if (found == containers_.end() || !found->second.usable()) return false;
  pins->ids_.insert(id);
  return true;
}

bool ContainerTable::PinIfUsable(const ChunkPlace& place, PinSet* pins) {
  return !Lost(place) && PinIfUsable(place.container_id, pins);
}

void ContainerTable::CarryPinsOver(uint64_t from, uint64_t to) {
  MutexLock lock(&mutex_);
  for (PinSet* const pins : pin_sets_) {
    if (pins->ids_.contains(from)) pins->ids_.insert(to);
  }
  if (kept_pins_.contains(from)) kept_pins_.insert(to);
}

void ContainerTable::BeginCollection() {
  MutexLock lock(&mutex_);
  collecting_ = true;
}

void ContainerTable::EndCollection() {
  MutexLock lock(&mutex_);
  collecting_ = false;
  kept_pins_.clear();
  for (auto& [id, info] : containers_) info.condemned = false;
}

std::vector<uint64_t> ContainerTable::Condemn(const std::vector<uint64_t>& ids) {
  MutexLock lock(&mutex_);
  const auto pinned = [&](uint64_t id) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return kept_pins_.contains(id) ||
           std::any_of(pin_sets_.begin(), pin_sets_.end(),
                       [id](const PinSet* pins) { return pins->ids_.contains(id); });
  };
  std::vector<uint64_t> condemned;
  for (const uint64_t id : ids) {
    const auto found = containers_.find(id);
    if (found == containers_.end() || !found->second.usable() || pinned(id)) continue;
    found->second.condemned = true;
    condemned.push_back(id);
  }
  return condemned;
}

uint32_t ContainerTable::free_slots() const {
  MutexLock lock(&mutex_);
  return static_cast<uint32_t>(gaps_.size()) + (slot_count_ - next_slot_);
}

}  // namespace strata::dedup
