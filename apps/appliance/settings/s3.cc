// SPDX-License-Identifier: Apache-2.0
#include "appliance/settings/sections.h"

namespace strata::appliance {

std::vector<Setting> S3Settings() {
  return {
      ListenAddress(
          "s3", "listen", false,
          "Address and port of the S3 service. The default is reachable from this machine "
          "alone; 0.0.0.0:9000 opens it to the network.",
          STRATA_FIELD(s3.listen)),
      Text("s3", "region", "The region that signatures must name; empty: any.",
           STRATA_FIELD(s3.region)),
      List("s3", "domains",
           "Host names under which a bucket may be a subdomain: BUCKET.s3.example.org.",
           STRATA_FIELD(s3.domains)),
      Number("s3", "io_threads", 1, 64, "Threads that move bytes between sockets and memory.",
             STRATA_FIELD(s3.io_threads)),
      Number("s3", "worker_threads", 1, 1024,
             "Maximum number of requests working in the store at once.",
             STRATA_FIELD(s3.worker_threads)),
      Number("s3", "max_connections", 1, 1000000,
             "Maximum open connections. A further one closes the connection that has been idle for "
             "longest without a valid key; if there is none, it gets 503 SlowDown.",
             STRATA_FIELD(s3.max_connections)),
      Size("s3", "max_body_memory", 1u << 20, uint64_t{1} << 40,
           "Memory for content, documents and large heads in transit. When it is used up, content "
           "waits, and the rest gets 503 SlowDown.",
           STRATA_FIELD(s3.max_body_memory_bytes)),
      Number("s3", "drain_s", 0, 3600,
             "Seconds that requests in progress have to finish when stratad is stopped.",
             STRATA_FIELD(s3.drain_s)),
      Text("s3", "tls_certificate", "A PEM file with the certificate chain; empty: plain HTTP.",
           STRATA_FIELD(s3.tls_certificate)),
      Text("s3", "tls_key", "A PEM file with its private key.", STRATA_FIELD(s3.tls_key)),
  };
}

}  // namespace strata::appliance
