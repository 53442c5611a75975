// SPDX-License-Identifier: Apache-2.0
//
// Passing an error on to the caller. Both work in functions that return absl::Status or
// absl::StatusOr<T>.
//
//   STRATA_RETURN_IF_ERROR(device->Flush());
//   STRATA_ASSIGN_OR_RETURN(std::unique_ptr<Store> store, Store::Open(options));
//   STRATA_ASSIGN_OR_RETURN(size_, MeasureSize());
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Evaluates an expression of type absl::Status once; returns it when it is an error.
#define STRATA_RETURN_IF_ERROR(...)                                          \
  do {                                                                       \
    if (::absl::Status strata_status = (__VA_ARGS__); !strata_status.ok()) { \
      return strata_status;                                                  \
    }                                                                        \
  } while (false)

// Evaluates an expression of type absl::StatusOr<T> once; returns its status when it is an error,
// else moves the value into `lhs`, which may be a declaration. It expands to several statements:
// give it braces of its own under an `if`.
#define STRATA_ASSIGN_OR_RETURN(lhs, ...) \
  STRATA_ASSIGN_OR_RETURN_AS_(STRATA_JOIN_(strata_result_, __LINE__), lhs, (__VA_ARGS__))

// NOLINTBEGIN(bugprone-macro-parentheses): a declaration cannot stand in parentheses.
#define STRATA_ASSIGN_OR_RETURN_AS_(result, lhs, expression) \
  auto result = expression;                                  \
  if (!result.ok()) {                                        \
    return std::move(result).status();                       \
  }                                                          \
  lhs = std::move(result).value()
// NOLINTEND(bugprone-macro-parentheses)

#define STRATA_JOIN_(a, b) STRATA_JOIN_EXPANDED_(a, b)
#define STRATA_JOIN_EXPANDED_(a, b) a##b
