// SPDX-License-Identifier: Apache-2.0
//
// Writers of streams, one by one and in groups.
#pragma once

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "store_core.h"

namespace strata::dedup {

class PreparedWriter : public Writer {
 public:
  virtual const StreamId& id() const = 0;
  virtual const StoreCore* core() const = 0;
  virtual bool prepared() const = 0;
  virtual bool committed() const = 0;
  virtual void MarkCommitted() = 0;
  virtual const StreamRecord& record() const = 0;
  virtual uint64_t log_position() const = 0;  // Its data is durable when the log is up to here.
};
// `finish` commits the one stream.
using FinishStream = std::function<absl::Status(PreparedWriter* writer)>;
std::unique_ptr<Writer> CreateWriter(StoreCore* core, const StreamId& id, FinishStream finish);
using NewStream = std::function<StreamId()>;
std::unique_ptr<WriterGroup> CreateWriterGroup(StoreCore* core, NewStream new_stream);

}  // namespace strata::dedup
