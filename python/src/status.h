// SPDX-License-Identifier: Apache-2.0
//
// absl::Status becomes a Python exception: strata.Error or the subclass of its code, made in
// strata/errors.py.
#pragma once

#include <pybind11/pybind11.h>

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace strata::python {

// REQUIRES: the GIL is held. Throws pybind11::error_already_set.
[[noreturn]] void Raise(const absl::Status& status);

inline void Check(const absl::Status& status) {
  if (!status.ok()) Raise(status);
}

template <typename T>
T Value(absl::StatusOr<T> result) {
  if (!result.ok()) Raise(result.status());
  return *std::move(result);
}

// `result`, whose error says of which store.
template <typename T>
absl::StatusOr<T> Of(const std::string& path, absl::StatusOr<T> result) {
  if (result.ok()) return result;
  return absl::Status(result.status().code(), absl::StrCat(path, ": ", result.status().message()));
}

// Runs `call` without the GIL; what it returns (a Status or StatusOr) is looked at with it.
template <typename Call>
auto Unlocked(Call&& call) {
  pybind11::gil_scoped_release release;
  return call();
}

}  // namespace strata::python
