// SPDX-License-Identifier: Apache-2.0
#include "command_line/nvme/nvme_answers.h"

#include <algorithm>
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

std::string FormatKinds(const Json& kinds) {
  TextTable table({"SINCE THE START", "OPERATIONS", "BYTES", "ERRORS", "P50 BELOW", "P99 BELOW"},
                  1);
  const auto microseconds = [](const Json& figures, const char* key) {
    return absl::StrFormat("%.1f us", static_cast<double>(NumberOf(figures, key)) / 1000);
  };
  for (const auto& [kind, figures] : kinds.items()) {
    if (NumberOf(figures, "operations") == 0) continue;
    table.Add({kind, CountOf(figures, "operations"), SizeOf(figures, "bytes"),
               CountOf(figures, "errors"), microseconds(figures, "p50_ns"),
               microseconds(figures, "p99_ns")});
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

std::string FormatNamespaceInUse(const Json& space) {
  return absl::StrCat(FormatNamespace(space), FormatKinds(space.at("since_start")));
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

std::string FormatDiscovered(const Json& answer) {
  TextTable table({"SUBSYSTEM", "ADDRESS", "PORT", "TYPE"}, 4);
  for (const Json& entry : answer.at("entries")) {
    table.Add({TextOf(entry, "subsystem"), TextOf(entry, "address"), TextOf(entry, "port"),
               TextOf(entry, "type")});
  }
  return table.Print();
}

std::string FormatSeen(const Json& answer) {
  TextTable table({"UUID", "ACCESS", "NSID", "SIZE", "BLOCK"}, 2);
  for (const Json& space : answer.at("namespaces")) {
    table.Add({TextOf(space, "uuid"), space.value("read_only", false) ? "read" : "read, write",
               CountOf(space, "nsid"), SizeOf(space, "size_bytes"),
               CountOf(space, "block_size_bytes")});
  }
  return table.Print();
}

std::string FormatConnected(const Json& answer) {
  return absl::StrFormat(
             "subsystem      %s\nmodel          %s\nserial number  %s\nfirmware       %s\n"
             "version        %s\ncontroller     %s\n",
             TextOf(answer, "subsystem"), TextOf(answer, "model_number"),
             TextOf(answer, "serial_number"), TextOf(answer, "firmware"), TextOf(answer, "version"),
             CountOf(answer, "controller_id")) +
         FormatSeen(answer);
}

// A field a line, numbers in the notation that bit fields are read in too.
std::string FormatFields(const Json& answer) {
  std::string text;
  for (const auto& [name, value] : answer.items()) {
    if (value.is_string()) {
      absl::StrAppendFormat(&text, "%-16s %s\n", name, QuotedName(value.get<std::string>()));
    } else {
      const uint64_t number = value.get<uint64_t>();
      absl::StrAppendFormat(&text, "%-16s %d (%#x)\n", name, number, number);
    }
  }
  return text;
}

std::string FormatLogPage(const Json& answer) {
  constexpr size_t kDigits = 64;  // Of a line.
  const std::string digits = answer.value("data", std::string());
  std::string text;
  for (size_t at = 0; at < digits.size(); at += kDigits) {
    absl::StrAppendFormat(&text, "%08x  %s\n", NumberOf(answer, "offset_bytes") + at / 2,
                          digits.substr(at, kDigits));
  }
  return text;
}

std::string FormatMoved(const Json& answer) {
  const double seconds = answer.value("seconds", 0.0);
  const auto rate = static_cast<uint64_t>(static_cast<double>(NumberOf(answer, "bytes")) /
                                          std::max(seconds, 1e-6));
  return absl::StrFormat("%s in %.1f s, %s/s\n", SizeOf(answer, "bytes"), seconds,
                         FormatSize(rate));
}

std::string FormatBench(const Json& answer) {
  std::string text = absl::StrFormat(
      "%s on %s, %s at depth %s for %.1f s\n%.0f IOPS, %s/s, %.1f us of processor time per "
      "request\n",
      answer.value("pattern", std::string()), TextOf(answer, "device"),
      SizeOf(answer, "block_bytes"), CountOf(answer, "depth"), answer.value("seconds", 0.0),
      answer.value("iops", 0.0),
      FormatSize(static_cast<uint64_t>(answer.value("bytes_per_second", 0.0))),
      answer.value("cpu_us_per_operation", 0.0));
  TextTable table({"LATENCY, us", "REQUESTS", "MEAN", "P50", "P90", "P99", "P99.9", "MAX"});
  for (const char* kind : {"read", "write"}) {
    if (!answer.contains(kind)) continue;
    const Json& figures = answer.at(kind);
    std::vector<std::string> row = {kind, CountOf(figures, "operations")};
    for (const char* figure : {"mean_us", "p50_us", "p90_us", "p99_us", "p999_us", "max_us"}) {
      row.push_back(absl::StrFormat("%.1f", figures.value(figure, 0.0)));
    }
    table.Add(std::move(row));
  }
  text += table.Print();
  if (!answer.contains("verified_blocks")) return text;
  const Json& damage = answer.at("damage");
  for (const Json& place : damage)
    absl::StrAppend(&text, "DAMAGED  ", place.get<std::string>(), "\n");
  absl::StrAppend(&text, CountOf(answer, "verified_blocks"), " blocks were read and checked",
                  damage.empty() ? ", all as they were written\n" : "\n");
  return text;
}

struct Formatter {
  const char* command;
  std::string (*format)(const Json&);
};

constexpr Formatter kFormatters[] = {
    {"nvme.subsystem.create", FormatSubsystem},
    {"nvme.subsystem.set", FormatSubsystem},
    {"nvme.subsystem.list", FormatSubsystems},
    {"nvme.host.list", FormatHosts},
    {"nvme.namespace.add", FormatNamespace},
    {"nvme.namespace.set", FormatNamespace},
    {"nvme.namespace.show", FormatNamespaceInUse},
    {"nvme.namespace.list", FormatNamespaces},
    {"nvme.listener.list", FormatListeners},
    {"nvme.connections", FormatConnections},
    {"nvme-serve", FormatServed},
    {"nvme-discover", FormatDiscovered},
    {"nvme-connect", FormatConnected},
    {"nvme-list", FormatSeen},
    {"nvme-id-ctrl", FormatFields},
    {"nvme-id-ns", FormatFields},
    {"nvme-get-log", FormatLogPage},
    {"nvme-read", FormatMoved},
    {"nvme-write", FormatMoved},
    {"nvme-copy", FormatMoved},
    {"nvme-bench", FormatBench},
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
