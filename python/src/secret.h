// SPDX-License-Identifier: Apache-2.0
//
// Keys from Python. strata/secret.py wraps them, since an error about the arguments of a call
// prints all of them.
#pragma once

#include <pybind11/pybind11.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <optional>
#include <string>

#include "buffers.h"

namespace strata::python {

// `key`: None, a buffer of 32 bytes, or one of these in a strata.secret.Secret. `what` names it in
// the ValueError.
inline std::optional<std::array<std::byte, 32>> SecretOf(const pybind11::object& key,
                                                         const char* what) {
  if (key.is_none()) return std::nullopt;
  const char* const attribute = "strata_secret_value";
  if (pybind11::hasattr(key, attribute)) return SecretOf(key.attr(attribute), what);
  BufferView view(key, /*writable=*/false);
  std::array<std::byte, 32> secret;
  if (view.bytes().size() != secret.size()) {
    throw pybind11::value_error(std::string(what) + " is 32 bytes");
  }
  std::memcpy(secret.data(), view.bytes().data(), secret.size());
  return secret;
}

}  // namespace strata::python
