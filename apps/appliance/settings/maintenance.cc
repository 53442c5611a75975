// SPDX-License-Identifier: Apache-2.0
#include "appliance/settings/sections.h"

namespace strata::appliance {

std::vector<Setting> MaintenanceSettings() {
  return {
      Number("maintenance", "reap_interval_s", 1, 86400,
             "Seconds between clean-ups of what aborted uploads left.",
             STRATA_FIELD(maintenance.reap_interval_s)),
      Number("maintenance", "gc_interval_s", 0, 365 * 86400,
             "Seconds between garbage collections; 0: only `strata gc` collects.",
             STRATA_FIELD(maintenance.gc_interval_s)),
      Ratio("maintenance", "gc_garbage_ratio",
            "Collect sooner when so much of what was stored has been deleted since the last time.",
            STRATA_FIELD(maintenance.gc_garbage_ratio)),
      Ratio("maintenance", "gc_rewrite_below_live_ratio",
            "Containers with a smaller share in use are copied out and freed.",
            STRATA_FIELD(maintenance.gc_rewrite_below_live_ratio)),
      Ratio(
          "maintenance", "fold_rewrite_below_live_ratio",
          "The same where storage.mode is hybrid or post-process: what is stored again later does "
          "not count as in use.",
          STRATA_FIELD(maintenance.fold_rewrite_below_live_ratio)),
      Size("maintenance", "gc_max_rate", 0, uint64_t{1} << 50,
           "Bytes per second that a collection of its own reads and writes; 0: no limit.",
           STRATA_FIELD(maintenance.gc_max_bytes_per_second)),
  };
}

}  // namespace strata::appliance
