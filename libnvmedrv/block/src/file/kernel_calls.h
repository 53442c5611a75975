// SPDX-License-Identifier: Apache-2.0
//
// What a request becomes on a file: a sequence of kernel calls. Most requests are one call; short
// transfers go on where they stopped, a compare reads piece by piece, and what a filesystem refuses
// is done in another way. The sequence knows nothing of how a call is made: the io_uring channel
// and the plain system call channel share it.
//
//   for (Begin b = calls.Start(r); b == kCall; ) if (calls.Finish(r, Make(calls.Next(r)))) break;
//
// Thread safety: none; it belongs to one channel.
#pragma once

#include <sys/uio.h>

#include <cstdint>

#include "file/backing_file.h"
#include "request_queue.h"
#include "strata/block/buffer.h"
#include "strata/block/device.h"

namespace strata::block {

struct KernelCall {
  enum class Kind { kRead, kWrite, kSync, kAllocate };

  Kind kind = Kind::kSync;
  int flags = 0;                  // kWrite: RWF_*; kAllocate: fallocate's mode.
  uint64_t offset_bytes = 0;      // All but kSync.
  uint64_t size_bytes = 0;        // All but kSync.
  std::byte* data = nullptr;      // One piece of memory,
  const iovec* vector = nullptr;  // or, where data is null, several.
  uint32_t vector_count = 0;
};

class KernelCalls {
 public:
  explicit KernelCalls(BackingFile& file) : file_(file) {}

  enum class Begin {
    kCall,      // Next() is the call to make.
    kFinished,  // Nothing to do in the kernel; request->status is set.
    kWaits,     // NextCompare() will bring it back.
  };
  Begin Start(Request* request);

  // The call that *request needs now.
  KernelCall Next(const Request* request);

  // Takes the call's result: a count, or a negative errno. True: the request has finished and its
  // status is set.
  bool Finish(Request* request, int64_t result);

  // A compare that waited for the scratch memory and may go on with Next(), or null.
  Request* NextCompare();

 private:
  Begin StartZeroing(Request* request);
  bool FinishTransfer(Request* request, int64_t result);
  bool FinishCompare(Request* request, int64_t result);
  bool FinishSync(Request* request, int64_t result);
  bool FinishZeroing(Request* request, int64_t result);
  bool Fail(Request* request, int error);

  uint64_t OffsetOf(const Request* request) const {
    return request->lba.value * file_.geometry().block_size_bytes;
  }
  uint64_t SizeOf(const Request* request) const {
    return uint64_t{request->block_count} * file_.geometry().block_size_bytes;
  }

  BackingFile& file_;
  Buffer scratch_;  // Made by the first compare.
  Request* comparing_ = nullptr;
  RequestQueue compares_waiting_;
};

}  // namespace strata::block
