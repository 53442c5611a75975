// SPDX-License-Identifier: Apache-2.0
#include "appliance/settings/sections.h"

namespace strata::appliance {

std::vector<Setting> NvmeSettings() {
  return {
      ListenAddress("nvme", "listen", true,
                    "Address and port of the NVMe/TCP target, which listens from the first "
                    "subsystem on; empty: nothing is exported.",
                    STRATA_FIELD(nvme.listen)),
      ListenAddress("nvme", "discovery", true,
                    "Address and port that answer discovery alone; empty: none, and hosts ask the "
                    "target's own address.",
                    STRATA_FIELD(nvme.discovery)),
      Number("nvme", "workers", 1, 64, "Threads that serve connections.",
             STRATA_FIELD(nvme.workers)),
      Flag("nvme", "busy_poll",
           "These threads never sleep: shorter latencies, for a processor each at all times.",
           STRATA_FIELD(nvme.busy_poll)),
      Size("nvme", "pool_size", 4u << 20, 2u << 30,
           "Memory of each thread for the data of commands; a command that finds none waits. A "
           "multiple of 64K.",
           STRATA_FIELD(nvme.pool_bytes)),
      Number("nvme", "max_connections", 1, 1000000,
             "Each queue of a host is a connection. One more takes the place of one that has not "
             "said who it is; where there is none it is refused.",
             STRATA_FIELD(nvme.max_connections)),
      Number("nvme", "max_controllers", 1, 65519, "Hosts connected to one subsystem at a time.",
             STRATA_FIELD(nvme.max_controllers)),
      Number("nvme", "max_io_queues", 1, 1024, "I/O queues of one controller.",
             STRATA_FIELD(nvme.max_io_queues)),
      Number("nvme", "max_queue_entries", 16, 4096, "Entries of one queue.",
             STRATA_FIELD(nvme.max_queue_entries)),
      Number("nvme", "max_namespaces", 1, 65536,
             "Namespaces of one subsystem, and the largest namespace identifier.",
             STRATA_FIELD(nvme.max_namespaces)),
      Number("nvme", "max_hosts", 1, 65536, "Hosts that one subsystem knows by name.",
             STRATA_FIELD(nvme.max_hosts)),
      Number("nvme", "drain_s", 0, 3600,
             "Seconds that a graceful stop gives to commands in progress.",
             STRATA_FIELD(nvme.drain_s)),
  };
}

}  // namespace strata::appliance
