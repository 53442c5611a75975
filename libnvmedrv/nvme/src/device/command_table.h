// SPDX-License-Identifier: Apache-2.0
//
// The one table of what the device model supports: commands, log pages, features and Identify
// structures. What Identify, the effects log and the list of log pages announce is read from here,
// and so is what a command is refused for.
//
// Thread safety: constants.
#pragma once

#include <cstdint>
#include <span>

#include "strata/nvme/device_queue.h"
#include "strata/nvme/wire/identify.h"
#include "strata/nvme/wire/log_pages.h"

namespace strata::nvme {

enum class ControllerKind : uint8_t { kIo, kDiscovery };

struct CommandRow {
  uint8_t opcode;
  uint32_t effects;           // As in the commands supported and effects log.
  uint16_t oncs = 0;          // The bit of Identify Controller that announces it.
  bool in_discovery = false;  // Discovery controllers have it too.
  // I/O commands.
  bool moves_blocks = false;    // Its data are the blocks that it names.
  bool changes_blocks = false;  // Refused where the namespace is read-only.
  bool has_blocks = false;      // It names a range of blocks in dwords 10 to 12.
  bool takes_all_namespaces = false;
  DataDirection direction = DataDirection::kNone;
};

// Null: the opcode is not supported.
const CommandRow* FindAdminCommand(ControllerKind kind, uint8_t opcode);
const CommandRow* FindIoCommand(uint8_t opcode);
std::span<const CommandRow> AdminCommands();
std::span<const CommandRow> IoCommands();

bool IsSupportedLogPage(ControllerKind kind, uint8_t page);
std::span<const LogPage> LogPages(ControllerKind kind);

struct FeatureRow {
  Feature feature;
  bool is_changeable;
  uint32_t value_mask;  // Bits that Set Features may set.
  bool in_discovery = false;
};
const FeatureRow* FindFeature(ControllerKind kind, uint8_t feature);
std::span<const FeatureRow> Features();

bool IsSupportedCns(ControllerKind kind, uint8_t cns);

}  // namespace strata::nvme
