// SPDX-License-Identifier: Apache-2.0
//
// Commands for the admin queue.
//
// Thread safety: values.
#pragma once

#include <cstdint>
#include <optional>

#include "host/queue_pair.h"
#include "strata/nvme/wire/entries.h"
#include "strata/nvme/wire/fabrics.h"
#include "strata/nvme/wire/registers.h"

namespace strata::nvme {

// An admin command under way, and whether it has ended.
struct AdminWait {
  HostCommand command{};
  bool is_done = true;

  // A command without data; the caller sets direction and data before it submits.
  void Prepare(const SubmissionEntry& entry) {
    is_done = false;
    command = HostCommand{
        .entry = entry,
        .done = [](HostCommand* ended) { static_cast<AdminWait*>(ended->context)->is_done = true; },
        .context = this};
  }
};

// Property Get, or Property Set of `value`.
inline SubmissionEntry PropertyEntry(Property property, std::optional<uint64_t> value) {
  using C = FabricsCommand;
  FabricsCommand command;
  command.Set(C::kOpcode, kFabricsOpcode);
  command.Set(C::kType, static_cast<uint8_t>(value.has_value() ? FabricsType::kPropertySet
                                                               : FabricsType::kPropertyGet));
  command.Set(C::kPropertyAttributes, PropertyBytes(property) == 8 ? 1 : 0);
  command.Set(C::kPropertyOffset, static_cast<uint32_t>(property));
  if (value.has_value()) command.Set(C::kPropertyValue, *value);
  SubmissionEntry entry;
  entry.bytes = command.bytes;
  return entry;
}

}  // namespace strata::nvme
