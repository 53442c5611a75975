// SPDX-License-Identifier: Apache-2.0
#include "command_line/nvme/nvme_answers.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "appliance/json.h"
#include "command_line/answers.h"
#include "command_line/quoted_text.h"
#include "command_line/text_table.h"

namespace strata::appliance {
namespace {

std::string TextOf(const Json& json, const char* key) {
  return QuotedName(json.value(key, std::string()));
}
uint64_t NumberOf(const Json& json, const char* key) { return json.value(key, uint64_t{0}); }
std::string CountOf(const Json& json, const char* key) { return absl::StrCat(NumberOf(json, key)); }
std::string SizeOf(const Json& json, const char* key) { return FormatSize(NumberOf(json, key)); }

// An absent limit is a dash.
std::string LimitOf(const Json& json, const char* key, bool bytes) {
  const uint64_t limit = NumberOf(json, key);
  if (limit == 0) return "-";
  return bytes ? FormatSize(limit) + "/s" : absl::StrCat(limit);
}

std::string StateOf(const Json& json) {
  if (json.value("served", false)) return "served";
  return "NOT SERVED: " + PrintableText(json.value("error", std::string()));
}

std::string JoinedNames(const Json& names) {
  std::vector<std::string> quoted;
  for (const Json& name : names) quoted.push_back(QuotedName(name.get<std::string>()));
  return absl::StrJoin(quoted, ", ");
}

uint64_t Operations(const Json& json, const char* figure) {
  uint64_t sum = 0;
  for (const auto& [kind, figures] : json.at("since_start").items()) {
    sum += NumberOf(figures, figure);
  }
  return sum;
}

std::string FormatSubsystems(const Json& answer) {
  TextTable table({"SUBSYSTEM", "HOSTS", "STATE", "NAMESPACES", "CONTROLLERS", "OPERATIONS"}, 3);
  for (const Json& subsystem : answer.at("subsystems")) {
    const bool any = subsystem.value("allow_any_host", false);
    table.Add({TextOf(subsystem, "nqn"), any ? "any" : absl::StrCat(subsystem.at("hosts").size()),
               StateOf(subsystem), CountOf(subsystem, "namespaces"),
               CountOf(subsystem, "controllers"),
               absl::StrCat(Operations(subsystem, "operations"))});
  }
  return table.Print();
}

std::string FormatSubsystem(const Json& subsystem) {
  const bool any = subsystem.value("allow_any_host", false);
  return absl::StrFormat(
      "subsystem      %s\nserial number  %s\nhosts          %s\nstate          %s\n",
      TextOf(subsystem, "nqn"), TextOf(subsystem, "serial_number"),
      any ? "any" : JoinedNames(subsystem.at("hosts")), StateOf(subsystem));
}

std::string FormatHosts(const Json& answer) {
  TextTable table({"HOST", "CREATED"}, 2);
  for (const Json& host : answer.at("hosts")) {
    table.Add({TextOf(host, "host"), TextOf(host, "created")});
  }
  return table.Print() + (answer.value("allow_any_host", false) ? "any host may connect\n" : "");
}

std::string FormatNamespaces(const Json& answer) {
  TextTable table(
      {"SUBSYSTEM", "DEVICE", "STATE", "NSID", "SIZE", "BLOCK", "IOPS", "BANDWIDTH", "ERRORS"}, 3);
  for (const Json& space : answer.at("namespaces")) {
    table.Add({TextOf(space, "subsystem"), TextOf(space, "uri"),
               StateOf(space) + (space.value("read_only", false) ? ", read-only" : ""),
               CountOf(space, "nsid"), SizeOf(space, "size_bytes"),
               CountOf(space, "block_size_bytes"), LimitOf(space, "iops", false),
               LimitOf(space, "bytes_per_second", true),
               absl::StrCat(Operations(space, "errors"))});
  }
  return table.Print();
}

std::string FormatNamespace(const Json& space) {
  const std::string hosts = JoinedNames(space.at("hosts"));
  return absl::StrFormat(
      "namespace   %s of %s\ndevice      %s\nsize        %s in blocks of %s\nUUID        %s\n"
      "seen by     %s\nlimits      %s IOPS, %s\nstate       %s\n",
      CountOf(space, "nsid"), TextOf(space, "subsystem"), TextOf(space, "uri"),
      SizeOf(space, "size_bytes"), CountOf(space, "block_size_bytes"), TextOf(space, "uuid"),
      hosts.empty() ? "all hosts" : hosts, LimitOf(space, "iops", false),
      LimitOf(space, "bytes_per_second", true), StateOf(space));
}

std::string FormatListeners(const Json& answer) {
  TextTable table({"ADDRESS", "SERVES", "FROM", "STATE"}, 4);
  for (const Json& listener : answer.at("listeners")) {
    table.Add({TextOf(listener, "address"),
               listener.value("discovery_only", false) ? "discovery" : "subsystems, discovery",
               listener.value("configured", false) ? "settings" : "command",
               listener.value("listening", false)
                   ? "listening"
                   : PrintableText(listener.value("error", std::string()))});
  }
  return table.Print();
}

std::string FormatConnections(const Json& answer) {
  TextTable table({"SUBSYSTEM", "HOST", "PEER", "SINCE", "DIGESTS", "CNTLID", "QUEUE", "COMMANDS",
                   "TO HOST", "FROM HOST"},
                  5);
  for (const Json& connection : answer.at("connections")) {
    const bool header = connection.value("header_digest", false);
    const bool data = connection.value("data_digest", false);
    table.Add({TextOf(connection, "subsystem"), TextOf(connection, "host"),
               TextOf(connection, "peer"), TextOf(connection, "connected"),
               header && data ? "header, data"
               : header       ? "header"
               : data         ? "data"
                              : "-",
               CountOf(connection, "controller"), CountOf(connection, "queue"),
               CountOf(connection, "commands"), SizeOf(connection, "bytes_to_host"),
               SizeOf(connection, "bytes_from_host")});
  }
  return table.Print();
}

std::string FormatServed(const Json& answer) {
  const uint64_t cut = NumberOf(answer, "cut_connections");
  return absl::StrFormat("stopped: %s connections, %s commands, %s to hosts, %s from hosts%s\n",
                         CountOf(answer, "connections"), CountOf(answer, "commands"),
                         SizeOf(answer, "bytes_to_host"), SizeOf(answer, "bytes_from_host"),
                         cut == 0 ? "" : absl::StrCat("; ", cut, " connections were cut off"));
}

struct Formatter {
  const char* command;
  std::string (*format)(const Json&);
};

constexpr Formatter kFormatters[] = {
    {"nvme.subsystem.create", FormatSubsystem}, {"nvme.subsystem.set", FormatSubsystem},
    {"nvme.subsystem.list", FormatSubsystems},  {"nvme.host.list", FormatHosts},
    {"nvme.namespace.add", FormatNamespace},    {"nvme.namespace.set", FormatNamespace},
    {"nvme.namespace.list", FormatNamespaces},  {"nvme.listener.list", FormatListeners},
    {"nvme.connections", FormatConnections},    {"nvme-serve", FormatServed},
};

}  // namespace

std::string FormatNvmeAnswer(std::string_view command, const Json& answer) {
  for (const Formatter& formatter : kFormatters) {
    if (command == formatter.command) return formatter.format(answer);
  }
  return "done\n";
}

std::string FormatListening(const Json& listening) {
  std::string text = absl::StrFormat(
      "listening on %s: %s, %s", JoinedNames(listening.at("addresses")), TextOf(listening, "nqn"),
      listening.value("allow_any_host", false)
          ? "any host may connect"
          : absl::StrCat("for ", listening.at("hosts").size(), " hosts"));
  for (const Json& space : listening.at("namespaces")) {
    absl::StrAppend(&text, "; namespace ", CountOf(space, "nsid"), " ", TextOf(space, "uri"), " ",
                    SizeOf(space, "size_bytes"),
                    space.value("read_only", false) ? " read-only" : "");
  }
  return text + "\n";
}

}  // namespace strata::appliance
