// SPDX-License-Identifier: Apache-2.0
#include "strata/base/status_macros.h"

#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <string>

namespace strata {
namespace {

absl::Status Pass(const absl::Status& status, int* reached) {
  STRATA_RETURN_IF_ERROR(status);
  ++*reached;
  return absl::OkStatus();
}

absl::StatusOr<std::string> PassAsStatusOr(const absl::Status& status) {
  STRATA_RETURN_IF_ERROR(status);
  return "reached";
}

absl::StatusOr<std::unique_ptr<int>> Make(int value) {
  if (value < 0) return absl::InvalidArgumentError("negative");
  return std::make_unique<int>(value);
}

absl::StatusOr<int> Sum(int a, int b) {
  STRATA_ASSIGN_OR_RETURN(const std::unique_ptr<int> first, Make(a));
  std::unique_ptr<int> second;
  STRATA_ASSIGN_OR_RETURN(second, Make(b));
  return *first + *second;
}

TEST_CASE("an error returns at once, OK goes on") {
  int reached = 0;
  CHECK(Pass(absl::DataLossError("torn"), &reached) == absl::DataLossError("torn"));
  CHECK(reached == 0);
  CHECK(Pass(absl::OkStatus(), &reached).ok());
  CHECK(reached == 1);
}

TEST_CASE("an error passes through a function that returns a value") {
  CHECK(PassAsStatusOr(absl::AbortedError("fenced")).status() == absl::AbortedError("fenced"));
  CHECK(PassAsStatusOr(absl::OkStatus()).value() == "reached");
}

TEST_CASE("a value is moved into a declaration or a variable") {
  CHECK(Sum(2, 3).value() == 5);
  CHECK(Sum(-1, 3).status() == absl::InvalidArgumentError("negative"));
  CHECK(Sum(2, -1).status() == absl::InvalidArgumentError("negative"));
}

TEST_CASE("the expression is evaluated once and may contain commas") {
  int calls = 0;
  const auto count = [&](int a, int b) -> absl::StatusOr<std::map<int, int>> {
    ++calls;
    return std::map<int, int>{{a, b}};
  };
  const auto use = [&]() -> absl::Status {
    STRATA_ASSIGN_OR_RETURN(auto pairs, count(1, 2));
    STRATA_RETURN_IF_ERROR(pairs.at(1) == 2 ? absl::OkStatus() : absl::InternalError("lost"));
    return absl::OkStatus();
  };
  CHECK(use().ok());
  CHECK(calls == 1);
}

}  // namespace
}  // namespace strata
