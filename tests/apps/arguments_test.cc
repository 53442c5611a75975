// SPDX-License-Identifier: Apache-2.0
#include "appliance/arguments.h"

#include <catch2/catch.hpp>

namespace strata::appliance {
namespace {

TEST_CASE("arguments are taken by name and kind") {
  Arguments arguments(Json{{"name", "x"}, {"on", true}, {"share", 0.25}, {"bytes", 5}});
  CHECK(arguments.RequiredText("name").value() == "x");
  CHECK(arguments.Flag("on", false));
  CHECK(arguments.Ratio("share", 1) == 0.25);
  CHECK(arguments.Bytes("bytes", 1) == 5);
  CHECK(arguments.Text("absent", "otherwise") == "otherwise");
  CHECK(arguments.Finish() == absl::OkStatus());
}

TEST_CASE("what is wrong is named") {
  const auto message = [](const absl::Status& status) { return std::string(status.message()); };
  Arguments unknown(Json{{"surprise", 1}});
  CHECK_THAT(message(unknown.Finish()), Catch::Contains("unknown argument 'surprise'"));
  Arguments missing(Json::object());
  CHECK_THAT(message(missing.RequiredText("id").status()), Catch::Contains("'id' is missing"));
  Arguments number(Json{{"name", 5}});
  CHECK(number.Text("name", "") == "");
  CHECK_THAT(message(number.Finish()), Catch::Contains("'name' is not a string"));
  Arguments flag(Json{{"on", "true"}});
  flag.Flag("on", false);
  CHECK_THAT(message(flag.status()), Catch::Contains("'on'"));
  Arguments ratio(Json{{"share", 2}});
  ratio.Ratio("share", 0);
  CHECK_THAT(message(ratio.status()), Catch::Contains("'share'"));
  Arguments bytes(Json{{"bytes", -1}});
  bytes.Bytes("bytes", 0);
  CHECK_THAT(message(bytes.status()), Catch::Contains("'bytes'"));
  CHECK(absl::IsInvalidArgument(Arguments(Json::array()).Finish()));
  CHECK(Arguments(Json()).Finish() == absl::OkStatus());
}

TEST_CASE("JSON whose text is not UTF-8 is shown with replacement characters, and never sent") {
  const Json json = {{"key", "\xff"}};
  CHECK(EncodeJson(json).status().code() == absl::StatusCode::kInvalidArgument);
  CHECK(ShowJson(json) == "{\"key\":\"\xEF\xBF\xBD\"}");
  CHECK(EncodeJson({{"key", "\xC3\xA4"}}).value() == "{\"key\":\"\xC3\xA4\"}");
}

TEST_CASE("text that is not JSON is refused without an exception") {
  CHECK_FALSE(ParseJson("{").has_value());
  CHECK_FALSE(ParseJson("").has_value());
  CHECK(ParseJson("[1]")->at(0) == 1);
}

}  // namespace
}  // namespace strata::appliance
