// SPDX-License-Identifier: Apache-2.0
//
// A preloaded library for the guests' kernel, which is a process of this host.
//
// Linux 6.12 as a process keeps 2,696 bytes of a task's extended processor state and gives the host
// that many back. A host with AMX insists on all of its 11,008 bytes and refuses fewer with EFAULT,
// so that the first process of the guest cannot start. ptrace() here gives the host its whole state
// with the kernel's part laid over it. The tiles stay in their initial state: no task of a guest has
// asked for the permission to use them.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#ifndef NT_X86_XSTATE
#define NT_X86_XSTATE 0x202
#endif

enum {
  kMostBytes = 16384,
  kFeaturesOffset = 512,  // XSTATE_BV, the first field of the XSAVE header.
};
static const uint64_t kKeptFeatures = 0x3ff;  // Up to PKRU: what 2,696 bytes hold.

long ptrace(enum __ptrace_request request, ...) {
  static long (*next)(enum __ptrace_request, ...);
  if (next == 0) next = (long (*)(enum __ptrace_request, ...))dlsym(RTLD_NEXT, "ptrace");
  va_list arguments;
  va_start(arguments, request);
  const int pid = va_arg(arguments, int);
  void* address = va_arg(arguments, void*);
  void* data = va_arg(arguments, void*);
  va_end(arguments);
  if (request != PTRACE_SETREGSET || (uintptr_t)address != NT_X86_XSTATE) {
    return next(request, pid, address, data);
  }

  static _Alignas(64) unsigned char state[kMostBytes];
  struct iovec whole = {state, sizeof(state)};
  if (next(PTRACE_GETREGSET, pid, address, &whole) < 0) return -1;
  const struct iovec* part = data;
  if (part->iov_len >= whole.iov_len) return next(request, pid, address, data);
  memcpy(state, part->iov_base, part->iov_len);
  uint64_t features;
  memcpy(&features, state + kFeaturesOffset, sizeof(features));
  features &= kKeptFeatures;
  memcpy(state + kFeaturesOffset, &features, sizeof(features));
  return next(request, pid, address, &whole);
}
