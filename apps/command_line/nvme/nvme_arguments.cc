// SPDX-License-Identifier: Apache-2.0
#include "command_line/nvme/nvme_arguments.h"

#include <cstdint>
#include <limits>
#include <map>
#include <string_view>
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
    "  strata nvme bench 'nvme-tcp:127.0.0.1:4420/nqn.2026-11.org.example:a?nsid=1' --rw randrw "
    "--verify\n"
    "\n"
    "subsystem, namespace, host, listener and connections are about the stratad that holds DIR;\n"
    "serve is a target of its own; all others are a host's. docs/nvme.md has all of it.";

constexpr char kBenchFooter[] =
    "Answers IOPS, bandwidth, percentiles of the latency, and the processor time of this process\n"
    "per request. With --verify each block that was written carries a stamp of the seed, its "
    "place\n"
    "and how often it was written; reads take blocks that were written, and at the end all of "
    "them\n"
    "are read again.";

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
    AddController();
    AddBlocks();
    AddBench();
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
        Add(group, "set", "nvme.subsystem.set",
            "Change who may connect. Hosts that may not any more are disconnected at once.");
    Text(set, "nqn", "nqn", "Its name.")->required();
    Flag(set, "--allow-any-host", "allow_any_host", true, "Any host may connect.");
    Flag(set, "--no-allow-any-host,--only-named-hosts", "allow_any_host", false,
         "Those that `host add` named.");
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
    CLI::App* const show = Add(group, "show", "nvme.namespace.show",
                               "A namespace, with what its hosts did since the start.");
    Text(show, "nqn", "nqn", "The subsystem.")->required();
    Number(show, "nsid", "nsid", 0xfffffffe, "The namespace.", /*required=*/true);
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
                                 "Let it connect no more, and disconnect it at once.");
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

  // What a controller says of itself.
  void AddController() {
    constexpr char kUri[] = "nvme-tcp:ADDRESS:PORT/NQN, with ?nsid=1 where a namespace is meant.";
    NvmeHostRequest& host = request_.host;
    CLI::App* const discover =
        Add(nvme_, "discover", "nvme-discover", "What a discovery service lets this host reach.");
    discover->add_option("address", host.address, "Its address, and its port [8009].")->required();
    discover->add_option("--hostnqn", host.host_nqn, "The name to ask by [random].");
    struct Shown {
      const char* name;
      const char* command;
      const char* meaning;
    };
    for (const Shown& shown :
         {Shown{"connect", "nvme-connect", "Connect, say to what, and disconnect."},
          Shown{"list", "nvme-list", "The namespaces of a subsystem."},
          Shown{"id-ctrl", "nvme-id-ctrl", "Identify Controller."},
          Shown{"id-ns", "nvme-id-ns", "Identify Namespace."},
          Shown{"get-log", "nvme-get-log", "A log page, in hexadecimal digits."}}) {
      CLI::App* const sub = Add(nvme_, shown.name, shown.command, shown.meaning);
      sub->add_option("uri", host.uri, kUri)->required();
      if (std::string_view(shown.name) != "get-log") continue;
      sub->add_option("--page", host.log_page, "Its number, as 2 or 0x70.")
          ->required()
          ->check(CLI::Range(0, 255));
      AddPlace(sub, "[4096]");
    }
  }

  void AddPlace(CLI::App* sub, const char* length_default) {
    BytesOption(sub, "--offset", &request_.host.offset_bytes, "Where to begin, as 1M [0].");
    BytesOption(sub, "--length", &request_.host.length_bytes,
                std::string("How much, as 1M ") + length_default + ".");
  }

  static void BytesOption(CLI::App* sub, const std::string& option, uint64_t* bytes,
                          const std::string& meaning) {
    sub->add_option_function<std::string>(
        option,
        [bytes, option](const std::string& value) {
          const absl::StatusOr<uint64_t> parsed = block::ParseSizeBytes(value);
          if (!parsed.ok()) throw CLI::ValidationError(option, "not a size: " + value);
          *bytes = *parsed;
        },
        meaning);
  }

  void AddBlocks() {
    constexpr char kUri[] = "The device: nvme-tcp:ADDRESS:PORT/NQN?nsid=1, or any other URI.";
    NvmeHostRequest& host = request_.host;
    CLI::App* const read = Add(nvme_, "read", "nvme-read", "Copy a device to a file.");
    read->add_option("uri", host.uri, kUri)->required();
    read->add_option("--output", host.file, "The file; - is standard output.")->required();
    read->add_flag("--force", host.force, "Replace the file.");
    AddPlace(read, "[to the end]");
    CLI::App* const write = Add(nvme_, "write", "nvme-write", "Copy a file to a device.");
    write->add_option("uri", host.uri, kUri)->required();
    write->add_option("--input", host.file, "The file; - is standard input.")->required();
    AddPlace(write, "[to the file's end]");
    CLI::App* const copy = Add(nvme_, "copy", "nvme-copy", "Copy one device to another.");
    copy->add_option("from", host.uri, kUri)->required();
    copy->add_option("to", host.to_uri, "A device of at least the same size.")->required();
  }

  void AddBench() {
    BenchRequest& bench = request_.host.bench;
    CLI::App* const sub = Add(nvme_, "bench", "nvme-bench",
                              "Load a device with equal requests; what it had is overwritten by "
                              "patterns that write.");
    sub->footer(kBenchFooter);
    sub->add_option("uri", bench.uri, "The device.")->required();
    sub->add_option("--rw", bench.pattern, "[randread]")
        ->transform(CLI::CheckedTransformer(
            std::map<std::string, BenchPattern>{{"read", BenchPattern::kRead},
                                                {"write", BenchPattern::kWrite},
                                                {"randread", BenchPattern::kRandomRead},
                                                {"randwrite", BenchPattern::kRandomWrite},
                                                {"randrw", BenchPattern::kRandomMixed}}));
    BytesOption(sub, "--block", &bench.block_bytes, "Size of a request [4K].");
    sub->add_option("--depth", bench.depth, "Requests in flight [32].")->check(CLI::Range(1, 4096));
    sub->add_option("--seconds", bench.seconds, "[5]")->check(CLI::Range(0.01, 1e6));
    BytesOption(sub, "--size", &bench.size_bytes, "From the device's beginning [all].");
    sub->add_flag("--busy-poll", bench.busy_poll,
                  "Wait without sleeping: shorter latencies, for a processor.");
    sub->add_flag("--verify", bench.verify,
                  "Stamp what is written, and check it; 3 when anything is wrong.");
    sub->add_option("--seed", bench.seed, "Of places and stamps [random].");
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
