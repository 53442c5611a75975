// SPDX-License-Identifier: Apache-2.0
//
// Brings what is dirty to the disks, and then the rows that say where it is.
//
//   64 KiB and more of one file      stripes of the file's own protection
//   less                             mirrored stripes that many files share
//   files of up to 4 KiB             the row of the inode
//
// Stripes are written and flushed first. A transaction begins when its data is durable.
//
// Thread safety: any thread, many at once.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "data/data_context.h"
#include "data/extent.h"
#include "data/file_node.h"

namespace strata::ofs {

class Flusher final {
 public:
  explicit Flusher(DataContext* context) : context_(*context) {}

  // What the nodes have at this moment is in the metadata when it returns, and with kSync it
  // survives a power cut. On an error it stays dirty, and readers see it as before.
  absl::Status Flush(std::vector<NodePointer> nodes, kv::Durability durability);

  // The same, with kSync, for one node. Callers that come at the same moment share stripes, flushes
  // of the disks and commits.
  absl::Status FlushTogether(const NodePointer& node);

 private:
  class Batch;
  absl::Status FlushBatch(std::vector<NodePointer> nodes, kv::Durability durability);

  struct Waiter {
    NodePointer node;
    bool is_done = false;
    absl::Status status{};
  };

  DataContext& context_;
  Mutex mutex_;
  CondVar batch_ended_;
  bool is_led_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<Waiter*> waiting_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace strata::ofs
