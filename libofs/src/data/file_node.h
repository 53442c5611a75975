// SPDX-License-Identifier: Apache-2.0
//
// What is in memory of a regular file: who holds it, what of it is written and not on the disks,
// and the size and times that belong to that.
//
// The session is alone: while a node is loaded, its size is the file's size. The row of the inode
// follows with each flush.
//
// Thread safety: any thread. No lock is held across a kv or device call; whoever changes the file's
// rows holds its gate instead (see NodeGate).
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "data/dirty_ranges.h"
#include "strata/base/mutex.h"

namespace strata::ofs {

struct FileNode {
  explicit FileNode(uint64_t number) : inode(number) {}

  const uint64_t inode;
  Mutex mutex;
  CondVar gate_opened;
  bool gate_is_taken ABSL_GUARDED_BY(mutex) = false;
  uint64_t holds ABSL_GUARDED_BY(mutex) = 0;

  bool is_gone ABSL_GUARDED_BY(mutex) = false;           // It has no name, and its data goes.
  bool replaces_content ABSL_GUARDED_BY(mutex) = false;  // It was cut to nothing while it is held.

  bool is_loaded ABSL_GUARDED_BY(mutex) = false;
  uint64_t size_bytes ABSL_GUARDED_BY(mutex) = 0;
  // These count while the node is dirty, or is being flushed.
  int64_t mtime_ns ABSL_GUARDED_BY(mutex) = 0;
  int64_t ctime_ns ABSL_GUARDED_BY(mutex) = 0;
  int64_t dirty_since_ns ABSL_GUARDED_BY(mutex) = 0;  // Monotonic.
  bool has_new_times ABSL_GUARDED_BY(mutex) = false;
  DirtyRanges dirty ABSL_GUARDED_BY(mutex);
  // Moved here by a flush until it is done: older than `dirty`.
  std::shared_ptr<const DirtyRanges> flushing ABSL_GUARDED_BY(mutex);

  bool IsDirty() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    return has_new_times || !dirty.empty() || flushing != nullptr;
  }
};
using NodePointer = std::shared_ptr<FileNode>;

// Excludes all others that change rows of the file. Several are taken in the order of inodes.
class NodeGate final {
 public:
  explicit NodeGate(NodePointer node);
  ~NodeGate();
  NodeGate(const NodeGate&) = delete;
  NodeGate& operator=(const NodeGate&) = delete;

 private:
  const NodePointer node_;
};

class NodeTable final {
 public:
  // The node of an inode, made where there is none.
  NodePointer Get(uint64_t inode);
  // Null: there is none.
  NodePointer Find(uint64_t inode);
  // Forgets it, if it is clean and nobody holds it or has it in hand.
  void Tidy(NodePointer node);

  // Dirty since before then; all that are dirty with INT64_MAX. By inode. Forgets nodes that their
  // last users could not tidy, because somebody else had them in hand at that moment.
  std::vector<NodePointer> DirtySince(int64_t monotonic_ns);

 private:
  // The table alone refers to it, and nothing of it is worth keeping.
  static bool IsIdle(const NodePointer& node);

  Mutex mutex_;
  std::unordered_map<uint64_t, NodePointer> nodes_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace strata::ofs
