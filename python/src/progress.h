// SPDX-License-Identifier: Apache-2.0
//
// Hands a Python callable to the library's long calls: progress(phase, done, total) -> None or True
// to go on, False to cancel.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <optional>
#include <string>

#include "strata/dedup/store.h"

namespace strata::python {

// Calls back with the GIL. An exception raised by the callable cancels the call and is re-raised by
// Finish().
class ProgressBridge {
 public:
  explicit ProgressBridge(pybind11::object callable) : callable_(std::move(callable)) {}

  dedup::ProgressCallback callback() {
    return [this](const dedup::Progress& progress) {
      pybind11::gil_scoped_acquire acquire;
      try {
        if (PyErr_CheckSignals() != 0) throw pybind11::error_already_set();
        if (callable_.is_none()) return true;
        pybind11::object answer =
            callable_(std::string(progress.phase), progress.done, progress.total);
        return answer.is_none() || answer.cast<bool>();
      } catch (pybind11::error_already_set& error) {
        error_.emplace(std::move(error));
        return false;
      }
    };
  }

  // REQUIRES: the GIL is held. Throws what the callable raised.
  void Finish() {
    if (error_) throw pybind11::error_already_set(std::move(*error_));
  }

 private:
  pybind11::object callable_;
  std::optional<pybind11::error_already_set> error_;
};

}  // namespace strata::python
