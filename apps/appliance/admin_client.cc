// SPDX-License-Identifier: Apache-2.0
#include "appliance/admin_client.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "appliance/json.h"
#include "appliance/local_socket.h"
#include "strata/base/file_descriptor.h"
#include "strata/base/status_macros.h"

namespace strata::appliance {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

absl::StatusCode CodeOf(const std::string& name) {
  for (int code = 1; code <= static_cast<int>(absl::StatusCode::kUnauthenticated); ++code) {
    if (absl::StatusCodeToString(static_cast<absl::StatusCode>(code)) == name) {
      return static_cast<absl::StatusCode>(code);
    }
  }
  return absl::StatusCode::kUnknown;
}

// Takes the lines of an answer in as they come.
class AnswerReader {
 public:
  explicit AnswerReader(const dedup::ProgressCallback& progress) : progress_(progress) {}

  // Cancelled: by the callback. Internal: not one of our lines.
  absl::Status Take(const std::string& body) {
    size_t end;
    while ((end = body.find('\n', taken_)) != std::string::npos) {
      const std::optional<Json> line =
          ParseJson(std::string_view(body).substr(taken_, end - taken_));
      taken_ = end + 1;
      if (!line || !line->is_object()) {
        return absl::InternalError("an answer has a line that is not JSON");
      }
      STRATA_RETURN_IF_ERROR(TakeLine(*line));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Json> Finish() {
    if (outcome_.ok() && outcome_->is_null()) {
      return absl::UnavailableError("the process that runs the commands ended before it answered");
    }
    return std::move(outcome_);
  }

 private:
  absl::Status TakeLine(const Json& line) {
    if (line.contains("progress")) {
      const Json& progress = line["progress"];
      const std::string phase = progress.value("phase", "");
      const bool go_on = progress_(
          {phase, progress.value("done", uint64_t{0}), progress.value("total", uint64_t{0})});
      return go_on ? absl::OkStatus() : absl::CancelledError("cancelled");
    }
    if (line.contains("result")) outcome_ = line["result"];
    if (line.contains("error")) {
      const Json& error = line["error"];
      outcome_ = absl::Status(CodeOf(error.value("code", "")), error.value("message", ""));
    }
    return absl::OkStatus();
  }

  const dedup::ProgressCallback& progress_;
  size_t taken_ = 0;
  absl::StatusOr<Json> outcome_ = Json();
};

}  // namespace

bool DaemonListens(const std::string& data) {
  const absl::StatusOr<int> fd = ConnectLocal(data, kAdminSocket);
  const FileDescriptor closes(fd.value_or(-1));
  return closes.is_open();
}

absl::StatusOr<Json> SendCommand(const std::string& data, const std::string& name,
                                 const Json& arguments, const dedup::ProgressCallback& progress) {
  STRATA_ASSIGN_OR_RETURN(const int fd, ConnectLocal(data, kAdminSocket));
  asio::io_context io;
  asio::local::stream_protocol::socket socket(io, asio::local::stream_protocol(), fd);
  http::request<http::string_body> request(http::verb::post, absl::StrCat("/v1/", name), 11);
  request.set(http::field::host, "localhost");
  STRATA_ASSIGN_OR_RETURN(request.body(), EncodeJson(arguments));
  request.prepare_payload();
  boost::system::error_code error;
  http::write(socket, request, error);

  AnswerReader answer(progress);
  beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  parser.body_limit(boost::none);
  while (!error && !parser.is_done()) {
    http::read_some(socket, buffer, parser, error);
    if (!error) STRATA_RETURN_IF_ERROR(answer.Take(parser.get().body()));
  }
  if (error && error != http::error::end_of_stream && error != http::error::partial_message) {
    return absl::UnavailableError(absl::StrCat(
        "lost the connection to the process that runs the commands: ", error.message()));
  }
  return answer.Finish();
}

}  // namespace strata::appliance
