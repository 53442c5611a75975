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
  // The table's, and the caller's: nobody else can come by another one while the table is locked.
  if (node.use_count() > 2) return;
  bool is_needed = false;
  {
    MutexLock node_lock(&node->mutex);
    is_needed = node->holds > 0 || node->IsDirty();
  }
  if (!is_needed) nodes_.erase(it);
}

std::vector<NodePointer> NodeTable::DirtySince(int64_t monotonic_ns) {
  std::vector<NodePointer> all;
  {
    MutexLock lock(&mutex_);
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
