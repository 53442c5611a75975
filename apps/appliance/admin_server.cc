// SPDX-License-Identifier: Apache-2.0
#include "appliance/admin_server.h"

#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "appliance/commands.h"
#include "appliance/local_socket.h"
#include "strata/base/status_macros.h"

namespace strata::appliance {
namespace {

constexpr char kPrefix[] = "/v1/";

// Text that is not UTF-8 (an object's key may be) is shown with replacement characters.
std::string Line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

absl::StatusOr<Json> Run(Appliance& appliance, const HttpRequest& request, HttpReply& reply) {
  const std::string name = request.path.substr(sizeof(kPrefix) - 1);
  Json arguments = Json::object();
  if (!request.body.empty()) {
    arguments = Json::parse(request.body, nullptr, /*allow_exceptions=*/false);
    if (arguments.is_discarded()) return absl::InvalidArgumentError("the body is not JSON");
  }
  return RunCommand(appliance, name, arguments, [&](const dedup::Progress& progress) {
    return !reply.client_is_gone() && reply.SendLine(Line({{"progress",
                                                            {{"phase", std::string(progress.phase)},
                                                             {"done", progress.done},
                                                             {"total", progress.total}}}}));
  });
}

void Answer(Appliance& appliance, const HttpRequest& request, HttpReply& reply) {
  if (!absl::StartsWith(request.path, kPrefix)) {
    reply.Send(404, "text/plain", "commands are POST /v1/NAME\n");
    return;
  }
  if (request.method != "POST") {
    reply.Send(405, "text/plain", "commands are POST /v1/NAME\n");
    return;
  }
  const absl::StatusOr<Json> result = Run(appliance, request, reply);
  if (result.ok()) {
    reply.SendLine(Line({{"result", *result}}));
    return;
  }
  reply.SendLine(Line({{"error",
                        {{"code", absl::StatusCodeToString(result.status().code())},
                         {"message", std::string(result.status().message())}}}}));
}

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> StartAdminServer(Appliance* appliance) {
  STRATA_ASSIGN_OR_RETURN(const int fd, ListenLocal(appliance->data(), kAdminSocket));
  HttpServerOptions options;
  options.handler = [appliance](const HttpRequest& request, HttpReply& reply) {
    Answer(*appliance, request, reply);
  };
  return HttpServer::Serve(fd, std::move(options));
}

}  // namespace strata::appliance
