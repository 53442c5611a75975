// SPDX-License-Identifier: Apache-2.0
#include "appliance/admin_server.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "appliance/commands.h"
#include "appliance/json.h"
#include "appliance/local_socket.h"
#include "strata/base/status_macros.h"

namespace strata::appliance {
namespace {

constexpr char kPrefix[] = "/v1/";

absl::StatusOr<Json> Run(const CommandRunner& runner, const HttpRequest& request,
                         HttpReply& reply) {
  const std::string name = request.path.substr(sizeof(kPrefix) - 1);
  Json arguments = Json::object();
  if (!request.body.empty()) {
    std::optional<Json> parsed = ParseJson(request.body);
    if (!parsed) return absl::InvalidArgumentError("the body is not JSON");
    arguments = *std::move(parsed);
  }
  return runner(name, arguments, [&](const dedup::Progress& progress) {
    return !reply.client_is_gone() &&
           reply.SendLine(ShowJson({{"progress",
                                     {{"phase", std::string(progress.phase)},
                                      {"done", progress.done},
                                      {"total", progress.total}}}}));
  });
}

void Answer(const CommandRunner& runner, const HttpRequest& request, HttpReply& reply) {
  if (!absl::StartsWith(request.path, kPrefix)) {
    reply.Send(404, "text/plain", "commands are POST /v1/NAME\n");
    return;
  }
  if (request.method != "POST") {
    reply.Send(405, "text/plain", "commands are POST /v1/NAME\n");
    return;
  }
  const absl::StatusOr<Json> result = Run(runner, request, reply);
  if (result.ok()) {
    reply.SendLine(ShowJson({{"result", *result}}));
    return;
  }
  reply.SendLine(ShowJson({{"error",
                            {{"code", absl::StatusCodeToString(result.status().code())},
                             {"message", std::string(result.status().message())}}}}));
}

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> StartCommandServer(const std::string& directory,
                                                               CommandRunner runner) {
  STRATA_ASSIGN_OR_RETURN(const int fd, ListenLocal(directory, kAdminSocket));
  HttpServerOptions options;
  options.handler = [runner = std::move(runner)](const HttpRequest& request, HttpReply& reply) {
    Answer(runner, request, reply);
  };
  return HttpServer::Serve(fd, std::move(options));
}

absl::StatusOr<std::unique_ptr<HttpServer>> StartAdminServer(Appliance* appliance) {
  return StartCommandServer(appliance->data(),
                            [appliance](const std::string& name, const Json& arguments,
                                        const dedup::ProgressCallback& progress) {
                              return RunCommand(*appliance, name, arguments, progress);
                            });
}

}  // namespace strata::appliance
