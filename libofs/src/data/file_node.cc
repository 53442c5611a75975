// SPDX-License-Identifier: Apache-2.0
#include "data/file_node.h"

#include <algorithm>
#include <utility>

namespace strata::ofs {

NodeGate::NodeGate(NodePointer node) : node_(std::move(node)) {
  MutexLock lock(&node_->mutex);
  while (node_->gate_is_taken) node_->gate_opened.Wait(&node_->mutex);
  node_->gate_is_taken = true;
}

NodeGate::~NodeGate() {
  MutexLock lock(&node_->mutex);
  node_->gate_is_taken = false;
  node_->gate_opened.NotifyAll();
}

NodePointer NodeTable::Get(uint64_t inode) {
  MutexLock lock(&mutex_);
  NodePointer& node = nodes_[inode];
  if (node == nullptr) node = std::make_shared<FileNode>(inode);
  return node;
}

NodePointer NodeTable::Find(uint64_t inode) {
  MutexLock lock(&mutex_);
  const auto it = nodes_.find(inode);
  return it == nodes_.end() ? nullptr : it->second;
}

void NodeTable::Tidy(NodePointer node) {
  MutexLock lock(&mutex_);
  const auto it = nodes_.find(node->inode);
  if (it == nodes_.end() || it->second != node) return;
  node.reset();  // Here, so that of two callers the second sees no reference but the table's.
  if (IsIdle(it->second)) nodes_.erase(it);
}

// Nobody else can come by a reference while the table is locked.
bool NodeTable::IsIdle(const NodePointer& node) {
  if (node.use_count() > 1) return false;
  MutexLock lock(&node->mutex);
  return node->holds == 0 && !node->IsDirty();
}

std::vector<NodePointer> NodeTable::DirtySince(int64_t monotonic_ns) {
  std::vector<NodePointer> all;
  {
    MutexLock lock(&mutex_);
    // What was in somebody's hand when it could have been forgotten.
    std::erase_if(nodes_, [](const auto& entry) { return IsIdle(entry.second); });
    for (const auto& [inode, node] : nodes_) all.push_back(node);
  }
  std::erase_if(all, [&](const NodePointer& node) {
    MutexLock lock(&node->mutex);
    return !node->IsDirty() || node->dirty_since_ns > monotonic_ns;
  });
  std::sort(all.begin(), all.end(),
            [](const NodePointer& a, const NodePointer& b) { return a->inode < b->inode; });
  return all;
}

}  // namespace strata::ofs
