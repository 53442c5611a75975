// SPDX-License-Identifier: Apache-2.0
//
// Counts every operator new of the process. For one source of a program, since it replaces the
// operators.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace {

std::atomic<uint64_t> allocation_count{0};

void* CountedAllocate(size_t size_bytes) {
  allocation_count.fetch_add(1, std::memory_order_relaxed);
  void* memory = std::malloc(size_bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(size_t size_bytes) { return CountedAllocate(size_bytes); }
void* operator new[](size_t size_bytes) { return CountedAllocate(size_bytes); }
void* operator new(size_t size_bytes, const std::nothrow_t&) noexcept {
  allocation_count.fetch_add(1, std::memory_order_relaxed);
  return std::malloc(size_bytes);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }
