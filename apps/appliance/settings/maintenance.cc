// SPDX-License-Identifier: Apache-2.0
#include "appliance/settings/sections.h"

namespace strata::appliance {

std::vector<Setting> MaintenanceSettings() {
  return {
      Number("maintenance", "reap_interval_s", 1, 86400,
             "Seconds between clean-ups of the data that aborted uploads left.",
             STRATA_FIELD(maintenance.reap_interval_s)),
      Number("maintenance", "gc_interval_s", 0, 365 * 86400,
             "Seconds between garbage collections; 0: only `strata gc` collects.",
             STRATA_FIELD(maintenance.gc_interval_s)),
      Ratio(
          "maintenance", "gc_garbage_ratio",
          "Also collect when this share of the stored data was deleted since the last collection.",
          STRATA_FIELD(maintenance.gc_garbage_ratio)),
      Ratio("maintenance", "gc_rewrite_below_live_ratio",
            "Garbage collection copies the live data out of containers with a smaller share of it, "
            "and frees them.",
            STRATA_FIELD(maintenance.gc_rewrite_below_live_ratio)),
      Ratio("maintenance", "fold_rewrite_below_live_ratio",
            "The same share when storage.mode is hybrid or post-process. Chunks that were stored "
            "again later do not count as live then.",
            STRATA_FIELD(maintenance.fold_rewrite_below_live_ratio)),
      Size("maintenance", "gc_max_rate", 0, uint64_t{1} << 50,
           "Bytes per second that stratad's own collections read and write; 0: no limit.",
           STRATA_FIELD(maintenance.gc_max_bytes_per_second)),
  };
}

}  // namespace strata::appliance
