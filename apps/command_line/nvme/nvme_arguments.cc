// SPDX-License-Identifier: Apache-2.0
#include "command_line/nvme/nvme_arguments.h"

#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "strata/block/registry.h"

namespace strata::appliance {
namespace {

constexpr char kFooter[] =
    "Examples:\n"
    "  strata nvme serve 'file:/srv/disk.img?size=64G&create=1'      # for hosts on this machine\n"
    "  strata nvme serve file:/dev/sdb --listen 0.0.0.0:4420 --host "
    "nqn.2014-08.org.nvmexpress:uuid:...\n"
    "  strata --data /srv/strata nvme subsystem create nqn.2026-11.org.example:a\n"
    "  strata --data /srv/strata nvme namespace add nqn.2026-11.org.example:a "
    "'file:/srv/vol?size=4G&create=1'\n"
    "  strata --data /srv/strata nvme host add nqn.2026-11.org.example:a $(cat /etc/nvme/hostnqn)\n"
    "  strata --data /srv/strata nvme connections\n"
    "\n"
    "subsystem, namespace, host, listener and connections are about the stratad that holds DIR;\n"
    "serve is a target of its own. docs/nvme.md has all of it.";

constexpr char kServeFooter[] =
    "A URI is a device: file:PATH?size=64G&create=1, file:/dev/sdb, mem:?size=1G, null:?size=1T.\n"
    "Each becomes a namespace, from 1 on. On a loopback address any host may connect, on another\n"
    "one those that --host names. NVMe/TCP neither encrypts nor proves who a host is: keep the\n"
    "address on a network of its own.\n"
    "One line is printed when hosts can connect. SIGINT or SIGTERM: commands in progress get five\n"
    "seconds, then what hosts wrote is made durable. A second signal ends it at once.";

class NvmeCommandLine {
 public:
  NvmeCommandLine(CLI::App* app, Json* arguments, NvmeRequest* request,
                  std::function<void(const std::string&)> chosen)
      : arguments_(*arguments), request_(*request), chosen_(std::move(chosen)) {
    nvme_ = Group(app, "nvme", "NVMe/TCP: export block devices, use those of others.");
    nvme_->footer(kFooter);
    AddServe();
    AddSubsystems();
    AddNamespaces();
    AddHosts();
    AddListeners();
    CLI::App* const connections =
        Add(nvme_, "connections", "nvme.connections", "Who is connected, since when, how much.");
    Text(connections, "nqn", "nqn", "Of this subsystem alone.");
  }

 private:
  static CLI::App* Group(CLI::App* parent, const char* name, const char* meaning) {
    CLI::App* const group = parent->add_subcommand(name, meaning);
    group->require_subcommand(1);
    group->fallthrough();
    return group;
  }

  CLI::App* Add(CLI::App* parent, const char* name, const char* command, const char* meaning) {
    CLI::App* const sub = parent->add_subcommand(name, meaning);
    sub->fallthrough();
    // It outlives this object, which is gone when the command line is parsed.
    sub->callback([chosen = chosen_, command] { chosen(command); });
    return sub;
  }

  CLI::Option* Text(CLI::App* sub, const char* option, const char* argument, const char* meaning) {
    return sub->add_option_function<std::string>(
        option,
        [&arguments = arguments_, argument](const std::string& value) {
          arguments[argument] = value;
        },
        meaning);
  }

  void Flag(CLI::App* sub, const char* option, const char* argument, bool value,
            const char* meaning) {
    sub->add_flag_function(
        option,
        [&arguments = arguments_, argument, value](int64_t) { arguments[argument] = value; },
        meaning);
  }

  void Number(CLI::App* sub, const char* option, const char* argument, uint64_t most,
              const char* meaning, bool required = false) {
    sub->add_option_function<uint64_t>(
           option,
           [&arguments = arguments_, argument](uint64_t value) { arguments[argument] = value; },
           meaning)
        ->check(CLI::Range(uint64_t{0}, most))
        ->required(required);
  }

  void Size(CLI::App* sub, const char* option, const char* argument, const char* meaning) {
    sub->add_option_function<std::string>(
        option,
        [&arguments = arguments_, argument, option](const std::string& value) {
          const absl::StatusOr<uint64_t> bytes = block::ParseSizeBytes(value);
          if (!bytes.ok()) throw CLI::ValidationError(option, "not a size: " + value);
          arguments[argument] = *bytes;
        },
        meaning);
  }

  void AddServe() {
    NvmeServeRequest& serve = request_.serve;
    CLI::App* const sub = Add(nvme_, "serve", "nvme-serve",
                              "Export block devices, without a data directory, until a signal.");
    sub->footer(kServeFooter);
    sub->add_option("uris", serve.uris, "The devices, a namespace each.")->required();
    sub->add_option("--nqn", serve.nqn,
                    "The subsystem's name [one of this machine, address and devices].");
    sub->add_option("--listen", serve.listen, "Address and port [127.0.0.1:4420].");
    sub->add_option("--discovery", serve.discovery,
                    "Another address, for discovery alone, as 127.0.0.1:8009; the first answers it "
                    "too.");
    CLI::Option* const hosts =
        sub->add_option("--host", serve.hosts, "The NQN of a host that may connect; repeatable.")
            ->allow_extra_args(false);
    sub->add_flag("--allow-any-host", serve.allow_any_host,
                  "Any host that reaches the address may connect.")
        ->excludes(hosts);
    sub->add_option("--workers", serve.workers, "Threads that serve connections [1].")
        ->check(CLI::Range(1, 64));
    sub->add_flag("--busy-poll", serve.busy_poll, "They never sleep: a processor each.");
    sub->add_flag("--read-only", serve.read_only, "Hosts can only read.");
  }

  void AddSubsystems() {
    CLI::App* const group = Group(nvme_, "subsystem", "What hosts connect to, by its NQN.");
    CLI::App* const create =
        Add(group, "create", "nvme.subsystem.create", "Make a subsystem, without namespaces.");
    Text(create, "nqn", "nqn", "Its name, as nqn.2026-11.org.example:disks.")->required();
    Flag(create, "--allow-any-host", "allow_any_host", true,
         "Any host that reaches a listener may connect.");
    Text(create, "--serial", "serial_number", "At most 20 characters [random].");
    Text(create, "--model", "model_number", "At most 40 characters [Strata].");
    Number(create, "--first-controller-id", "first_controller_id", 0xffef, "[1]");
    Number(create, "--last-controller-id", "last_controller_id", 0xffef, "[65519]");
    Add(group, "list", "nvme.subsystem.list", "All subsystems.");
    CLI::App* const set =
        Add(group, "set", "nvme.subsystem.set", "Change who may connect; hosts are disconnected.");
    Text(set, "nqn", "nqn", "Its name.")->required();
    Flag(set, "--allow-any-host", "allow_any_host", true, "Any host may connect.");
    Flag(set, "--only-named-hosts", "allow_any_host", false, "Those that `host add` named.");
    CLI::App* const remove = Add(group, "delete", "nvme.subsystem.delete", "Delete a subsystem.");
    Text(remove, "nqn", "nqn", "Its name.")->required();
    Flag(remove, "--force", "force", true, "With its namespaces; their devices stay as they are.");
  }

  void AddNamespaces() {
    CLI::App* const group = Group(nvme_, "namespace", "Devices that the hosts of a subsystem see.");
    CLI::App* const add = Add(group, "add", "nvme.namespace.add", "Export a device.");
    Text(add, "nqn", "nqn", "The subsystem.")->required();
    Text(add, "uri", "uri", "The device, as file:/srv/vol?size=4G&create=1 or file:/dev/sdb.")
        ->required();
    Number(add, "--nsid", "nsid", 0xfffffffe, "Its identifier [a free one].");
    Text(add, "--uuid", "uuid", "[random]");
    Text(add, "--nguid", "nguid", "32 hexadecimal digits [none].");
    Flag(add, "--read-only", "read_only", true, "Hosts can only read.");
    AddLimits(add);
    AddVisibility(add);
    Text(Add(group, "list", "nvme.namespace.list", "Namespaces, of one subsystem or of all."),
         "nqn", "nqn", "The subsystem.");
    CLI::App* const set =
        Add(group, "set", "nvme.namespace.set", "Change a namespace while hosts use it.");
    Text(set, "nqn", "nqn", "The subsystem.")->required();
    Number(set, "nsid", "nsid", 0xfffffffe, "The namespace.", /*required=*/true);
    AddLimits(set);
    AddVisibility(set);
    set->add_flag_function(
        "--all-hosts", [&arguments = arguments_](int64_t) { arguments["hosts"] = Json::array(); },
        "All hosts of the subsystem see it.");
    Text(set, "--uri", "uri", "Another device, which holds the same data.");
    Size(set, "--size", "size", "A larger size of the file, as 8G.");
    Flag(set, "--reopen", "reopen", true,
         "Open the device again: it was enlarged, or could not be opened before.");
    CLI::App* const remove = Add(group, "remove", "nvme.namespace.remove",
                                 "Take a namespace away; its device stays as it is.");
    Text(remove, "nqn", "nqn", "The subsystem.")->required();
    Number(remove, "nsid", "nsid", 0xfffffffe, "The namespace.", /*required=*/true);
  }

  void AddLimits(CLI::App* sub) {
    constexpr uint64_t kAny = std::numeric_limits<int64_t>::max();
    Number(sub, "--iops", "iops", kAny, "Commands per second at most; 0: no limit.");
    Size(sub, "--bytes-per-second", "bytes_per_second", "As 100M, at most; 0: no limit.");
    Number(sub, "--burst-ms", "burst_ms", 3'600'000,
           "How much of a quiet time may be made up for, in milliseconds [100].");
  }

  void AddVisibility(CLI::App* sub) {
    sub->add_option_function<std::vector<std::string>>(
        "--hosts",
        [&arguments = arguments_](const std::vector<std::string>& hosts) {
          arguments["hosts"] = hosts;
        },
        "NQNs of the hosts that see it [all].");
  }

  void AddHosts() {
    CLI::App* const group = Group(nvme_, "host", "Hosts that may connect, by their NQN.");
    CLI::App* const add = Add(group, "add", "nvme.host.add", "Let a host connect.");
    CLI::App* const list = Add(group, "list", "nvme.host.list", "The hosts of a subsystem.");
    CLI::App* const remove = Add(group, "remove", "nvme.host.remove",
                                 "Let it connect no more; while it is connected it stays so.");
    for (CLI::App* const sub : {add, list, remove}) {
      Text(sub, "nqn", "nqn", "The subsystem.")->required();
      if (sub != list) Text(sub, "host", "host", "The host.")->required();
    }
  }

  void AddListeners() {
    CLI::App* const group =
        Group(nvme_, "listener", "Addresses beside those of the settings nvme.listen, .discovery.");
    CLI::App* const add = Add(group, "add", "nvme.listener.add", "Listen on another address.");
    Text(add, "address", "address", "As 10.0.0.1:4420 or [fd00::1]:4420.")->required();
    Flag(add, "--discovery", "discovery_only", true, "For discovery alone.");
    Add(group, "list", "nvme.listener.list", "All listeners.");
    Text(Add(group, "remove", "nvme.listener.remove", "Listen there no more."), "address",
         "address", "The address.")
        ->required();
  }

  Json& arguments_;
  NvmeRequest& request_;
  const std::function<void(const std::string&)> chosen_;
  CLI::App* nvme_ = nullptr;
};

}  // namespace

void AddNvmeCommands(CLI::App* app, Json* arguments, NvmeRequest* request,
                     std::function<void(const std::string&)> chosen) {
  NvmeCommandLine(app, arguments, request, std::move(chosen));
}

}  // namespace strata::appliance
