// SPDX-License-Identifier: Apache-2.0
//
// What is exported over NVMe/TCP as state: records, what is refused, and that all of it is there
// after the store is opened again.
#include "appliance/nvme/exports.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <string>

#include "appliance/arguments.h"
#include "appliance/json.h"
#include "appliance/nvme/export_store.h"
#include "appliance/nvme/nvme_commands.h"
#include "strata/kv/engines.h"
#include "support/block/temp_file.h"

namespace strata::appliance {
namespace {

constexpr char kNqn[] = "nqn.2026-11.org.example:a";
constexpr char kHost[] = "nqn.2014-08.org.nvmexpress:uuid:6ba7b810-9dad-41d1-80b4-00c04fd430c8";

std::string MessageOf(const absl::Status& status) { return std::string(status.message()); }

std::array<std::byte, 16> SomeBytes(uint8_t first) {
  std::array<std::byte, 16> bytes{};
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(first + i);
  return bytes;
}

struct Rig {
  explicit Rig(Config::Nvme config = {}) : config_(std::move(config)) { Open(); }

  void Open() {
    exports.reset();
    absl::StatusOr<std::unique_ptr<Exports>> opened =
        Exports::Open({.kv = kv.get(), .own = {}, .config = config_});
    REQUIRE(opened.status() == absl::OkStatus());
    exports = *std::move(opened);
  }

  absl::StatusOr<Json> Run(const char* command, const Json& arguments) {
    const NvmeCommand run = FindNvmeCommand(command);
    REQUIRE(run != nullptr);
    Arguments reader(arguments);
    return run(*exports, reader);
  }

  const Config::Nvme config_;
  const std::unique_ptr<kv::Store> kv = kv::CreateMemoryStore();
  std::unique_ptr<Exports> exports;
};

TEST_CASE("NVMe records come back as they were, in the form of the format page") {
  const SubsystemRecord subsystem{.serial_number = "S1",
                                  .model_number = "M",
                                  .allow_any_host = true,
                                  .first_controller_id = 5,
                                  .last_controller_id = 9,
                                  .next_nsid = 3,
                                  .created_ns = 77};
  CHECK(Encode(subsystem) ==
        R"({"version":1,"serial_number":"S1","model_number":"M","allow_any_host":true,)"
        R"("first_controller_id":5,"last_controller_id":9,"next_nsid":3,"created_ns":77})");
  CHECK(DecodeSubsystem("x", Encode(subsystem)).value() == subsystem);
  const NamespaceRecord space{.uri = "file:/x?size=1G",
                              .uuid = SomeBytes(1),
                              .nguid = {},
                              .read_only = true,
                              .hosts = {kHost},
                              .qos = {.iops = 5, .bytes_per_second = 6, .burst_ms = 7},
                              .created_ns = 8};
  CHECK(Encode(space) ==
        R"({"version":1,"uri":"file:/x?size=1G","uuid":"0102030405060708090a0b0c0d0e0f10",)"
        R"("nguid":"","read_only":true,"hosts":["nqn.2014-08.org.nvmexpress:uuid:)"
        R"(6ba7b810-9dad-41d1-80b4-00c04fd430c8"],"iops":5,"bytes_per_second":6,"burst_ms":7,)"
        R"("created_ns":8})");
  CHECK(DecodeNamespace("x", Encode(space)).value() == space);
  const HostRecord host{.created_ns = 1};
  CHECK(Encode(host) == R"({"version":1,"created_ns":1})");
  CHECK(DecodeHost("x", Encode(host)).value() == host);
  const ListenerRecord listener{.is_discovery_only = true, .created_ns = 2};
  CHECK(Encode(listener) == R"({"version":1,"discovery_only":true,"created_ns":2})");
  CHECK(DecodeListener("x", Encode(listener)).value() == listener);
}

TEST_CASE("an NVMe record that is damaged or newer is refused, and named") {
  for (const char* text :
       {"", "[]", "{}", "{\"version\":1}", "{\"version\":1,\"created_ns\":-1}",
        "{\"version\":1,\"created_ns\":1,\"more\":2}", "{\"version\":1,\"created_ns\":1.5}",
        "{\"version\":\"1\",\"created_ns\":1}", "\xff\xfe"}) {
    INFO(text);
    const absl::Status status = DecodeHost("the host", text).status();
    CHECK(absl::IsDataLoss(status));
    CHECK_THAT(MessageOf(status), Catch::Contains("the host"));
  }
  CHECK(absl::IsUnimplemented(DecodeHost("x", R"({"version":2})").status()));
  CHECK(absl::IsDataLoss(
      DecodeNamespace("x", Encode(NamespaceRecord{.uri = "mem:"}).replace(31, 1, "z")).status()));
}

TEST_CASE("names that no host could use are refused") {
  CHECK(CheckNqn("host", kHost) == absl::OkStatus());
  const std::string longest = "nqn." + std::string(219, 'x');
  CHECK(CheckNqn("host", longest) == absl::OkStatus());
  for (const std::string& nqn :
       {std::string(), std::string("nqn."), std::string("iqn.2026-11.org.example:a"), longest + "x",
        std::string("nqn.a b"), std::string("nqn.a\nb"), std::string("nqn.\0b", 6),
        std::string("nqn.\xff"), std::string("nqn.a\x1b[31m")}) {
    INFO(nqn);
    CHECK(absl::IsInvalidArgument(CheckNqn("host", nqn)));
  }
  SubsystemRecord record{.nqn = kNqn, .serial_number = "S", .model_number = "M"};
  CHECK(CheckSubsystem(record) == absl::OkStatus());
  record.serial_number = std::string(21, '1');
  CHECK_THAT(MessageOf(CheckSubsystem(record)), Catch::Contains("serial number"));
  record = {.nqn = kNqn,
            .serial_number = "S",
            .model_number = "M",
            .first_controller_id = 9,
            .last_controller_id = 8};
  CHECK_THAT(MessageOf(CheckSubsystem(record)), Catch::Contains("controller ids 9 to 8"));
  record = {
      .nqn = "nqn.2014-08.org.nvmexpress.discovery", .serial_number = "S", .model_number = "M"};
  CHECK(absl::IsInvalidArgument(CheckSubsystem(record)));
}

TEST_CASE("UUIDs and NGUIDs as text") {
  CHECK(PrintUuid(SomeBytes(0)) == "00010203-0405-0607-0809-0a0b0c0d0e0f");
  CHECK(ParseUuid("00010203-0405-0607-0809-0A0b0c0d0e0f").value() == SomeBytes(0));
  CHECK(ParseNguid("000102030405060708090a0b0c0d0e0f").value() == SomeBytes(0));
  for (const char* text :
       {"", "00010203-0405-0607-0809-0a0b0c0d0e0", "000102030405060708090a0b0c0d0e0f",
        "00010203-0405-0607-0809-0a0b0c0d0e0g", "00010203040506070809-0a0b0c0d0e0f---"}) {
    CHECK(absl::IsInvalidArgument(ParseUuid(text).status()));
  }
}

TEST_CASE("a store that exports nothing has no space for it") {
  Rig rig;
  CHECK(rig.exports->Subsystems().empty());
  CHECK(rig.kv->ListSpaces().value().empty());
}

TEST_CASE("subsystems, hosts, namespaces and listeners are there again after a restart") {
  Rig rig;
  REQUIRE(rig.Run("nvme.subsystem.create", {{"nqn", kNqn}}).status() == absl::OkStatus());
  REQUIRE(rig.Run("nvme.subsystem.create", {{"nqn", "nqn.b"}, {"allow_any_host", true}}).ok());
  REQUIRE(rig.Run("nvme.host.add", {{"nqn", kNqn}, {"host", kHost}}).ok());
  const Json added =
      rig.Run("nvme.namespace.add",
              {{"nqn", kNqn}, {"uri", "mem:?size=1M"}, {"iops", 100}, {"hosts", {kHost}}})
          .value();
  CHECK(added["nsid"] == 1);
  REQUIRE(rig.Run("nvme.namespace.add",
                  {{"nqn", kNqn}, {"uri", "null:?size=1G"}, {"nsid", 7}, {"read_only", true}})
              .ok());
  CHECK(rig.Run("nvme.listener.add", {{"address", "[::1]:4421"}}).value()["address"] ==
        "[::1]:4421");
  REQUIRE(
      rig.Run("nvme.namespace.set", {{"nqn", kNqn}, {"nsid", 1}, {"bytes_per_second", 5}}).ok());

  const auto lists = [&rig] {
    return Json{rig.Run("nvme.subsystem.list", Json::object()).value(),
                rig.Run("nvme.namespace.list", Json::object()).value(),
                rig.Run("nvme.host.list", {{"nqn", kNqn}}).value(),
                rig.Run("nvme.listener.list", Json::object()).value()};
  };
  const Json before = lists();
  CHECK(before[1]["namespaces"].size() == 2);
  CHECK(before[1]["namespaces"][0]["iops"] == 100);
  CHECK(before[1]["namespaces"][0]["bytes_per_second"] == 5);
  CHECK(before[1]["namespaces"][0]["uuid"] == added["uuid"]);
  CHECK(before[0]["subsystems"][0]["serial_number"].get<std::string>().size() == 20);
  rig.Open();
  CHECK(lists() == before);

  // An identifier is used again as late as possible, also across a restart.
  REQUIRE(rig.Run("nvme.namespace.remove", {{"nqn", kNqn}, {"nsid", 1}}).ok());
  rig.Open();
  CHECK(rig.Run("nvme.namespace.add", {{"nqn", kNqn}, {"uri", "mem:?size=1M"}}).value()["nsid"] ==
        2);
  CHECK(absl::IsFailedPrecondition(rig.Run("nvme.subsystem.delete", {{"nqn", kNqn}}).status()));
  REQUIRE(rig.Run("nvme.subsystem.delete", {{"nqn", kNqn}, {"force", true}}).ok());
  rig.Open();
  CHECK(rig.exports->Subsystems().size() == 1);
  // Nothing of it is left for one of the same name.
  REQUIRE(rig.Run("nvme.subsystem.create", {{"nqn", kNqn}}).ok());
  CHECK(rig.exports->Subsystem(kNqn).value().hosts.empty());
  CHECK(rig.exports->Subsystem(kNqn).value().namespaces.empty());
}

TEST_CASE("what cannot be exported is refused with its name, and nothing is stored") {
  Config::Nvme config;
  config.max_namespaces = 2;
  config.max_hosts = 1;
  Rig rig(config);
  REQUIRE(rig.Run("nvme.subsystem.create", {{"nqn", kNqn}}).ok());
  const auto error = [&rig](const char* command, const Json& arguments) {
    const absl::Status status = rig.Run(command, arguments).status();
    CHECK(!status.ok());
    return absl::StatusCodeToString(status.code()) + ": " + MessageOf(status);
  };
  const auto add = [&](const Json& more) {
    Json arguments = {{"nqn", kNqn}};
    arguments.update(more);
    return error("nvme.namespace.add", arguments);
  };
  CHECK_THAT(error("nvme.subsystem.create", {{"nqn", kNqn}}), Catch::StartsWith("ALREADY_EXISTS"));
  CHECK_THAT(error("nvme.subsystem.create", {{"nqn", "disk"}}), Catch::Contains("'disk'"));
  CHECK_THAT(error("nvme.host.add", {{"nqn", "nqn.absent"}, {"host", kHost}}),
             Catch::StartsWith("NOT_FOUND") && Catch::Contains("nqn.absent"));
  CHECK_THAT(error("nvme.host.add", {{"nqn", kNqn}, {"host", "me"}}), Catch::Contains("'me'"));
  CHECK_THAT(add({{"uri", "file:vol"}}), Catch::Contains("not absolute"));
  CHECK_THAT(add({{"uri", "delay:file:vol;read_us=1"}}), Catch::Contains("not absolute"));
  CHECK_THAT(add({{"uri", "file:/nonexistent/vol"}}), Catch::Contains("/nonexistent/vol"));
  CHECK_THAT(add({{"uri", "floppy:a"}}), Catch::Contains("floppy"));
  CHECK_THAT(add({{"uri", "mem:?size=1M"}, {"nsid", 3}}), Catch::Contains("max_namespaces"));
  CHECK_THAT(add({{"uri", "mem:?size=1M"}, {"uuid", "1"}}), Catch::Contains("UUID"));
  CHECK_THAT(add({{"uri", "mem:?size=1M"}, {"hosts", {kHost, "nqn.b"}}}),
             Catch::Contains("max_hosts"));
  CHECK_THAT(add({{"uri", "mem:?size=1M"}, {"hosts", "nqn.b"}}), Catch::Contains("'hosts'"));
  CHECK_THAT(add({{"uri", "mem:?size=1M"}, {"iops", -1}}), Catch::Contains("'iops'"));
  CHECK(rig.exports->Subsystem(kNqn).value().namespaces.empty());

  REQUIRE(rig.Run("nvme.namespace.add",
                  {{"nqn", kNqn}, {"uri", "mem:?size=1M"}, {"uuid", PrintUuid(SomeBytes(1))}})
              .ok());
  CHECK_THAT(add({{"uri", "mem:?size=1M"}, {"uuid", PrintUuid(SomeBytes(1))}}),
             Catch::Contains("same UUID"));
  REQUIRE(rig.Run("nvme.namespace.add", {{"nqn", kNqn}, {"uri", "mem:?size=1M"}}).ok());
  CHECK_THAT(add({{"uri", "mem:?size=1M"}}), Catch::StartsWith("RESOURCE_EXHAUSTED"));
  REQUIRE(rig.Run("nvme.host.add", {{"nqn", kNqn}, {"host", kHost}}).ok());
  CHECK_THAT(error("nvme.host.add", {{"nqn", kNqn}, {"host", "nqn.b"}}),
             Catch::StartsWith("RESOURCE_EXHAUSTED"));
  CHECK_THAT(error("nvme.host.remove", {{"nqn", kNqn}, {"host", "nqn.b"}}),
             Catch::StartsWith("NOT_FOUND"));
  CHECK_THAT(error("nvme.namespace.set", {{"nqn", kNqn}, {"nsid", 1}}),
             Catch::Contains("nothing is to be changed"));
  CHECK_THAT(error("nvme.namespace.set", {{"nqn", kNqn}, {"nsid", 9}, {"iops", 1}}),
             Catch::StartsWith("NOT_FOUND"));
  CHECK_THAT(error("nvme.namespace.set", {{"nqn", kNqn}, {"nsid", 1}, {"size", 4096}}),
             Catch::Contains("no file"));
  CHECK_THAT(error("nvme.listener.add", {{"address", "127.0.0.1:0"}}), Catch::Contains("port 0"));
  CHECK_THAT(error("nvme.listener.add", {{"address", "example.org:4420"}}),
             Catch::Contains("example.org"));
  CHECK_THAT(error("nvme.connections", Json::object()), Catch::Contains("no target runs"));
}

TEST_CASE("what the appliance stands on is not exported") {
  const block::TempFile scratch;
  namespace fs = std::filesystem;
  const fs::path data = fs::path(scratch.folder()) / "data";
  fs::create_directories(data / "meta");
  for (const char* name : {"containers", "lock", "meta/000001.log", "volume"}) {
    std::ofstream(data / name) << "x";
  }
  fs::create_symlink(data, fs::path(scratch.folder()) / "link");
  fs::create_hard_link(data / "containers", fs::path(scratch.folder()) / "other-name");
  std::ofstream(fs::path(scratch.folder()) / "disk") << "x";
  const std::string folder = scratch.folder();
  const OwnStorage own{.data = data.string(), .device = "file:" + folder + "/disk?size=1G"};
  const auto refused = [&own](const std::string& path) {
    return absl::IsInvalidArgument(CheckExportUri("file:" + path + "?size=1M", own));
  };
  CHECK(refused(folder + "/data/containers"));
  CHECK(refused(folder + "/data/meta/000001.log"));
  CHECK(refused(folder + "/data/meta/to-come"));
  CHECK(refused(folder + "/data/meta.old/x"));
  CHECK(refused(folder + "/data/root.keys.new"));
  CHECK(refused(folder + "/data/admin.sock"));
  CHECK(refused(folder + "/data/./sub/../lock"));
  CHECK(refused(folder + "/link/containers"));
  CHECK(refused(folder + "/other-name"));
  CHECK(refused(folder + "/disk"));
  CHECK(refused(folder + "/data"));
  CHECK(absl::IsInvalidArgument(CheckExportUri("delay:file:" + folder + "/disk;read_us=1", own)));
  CHECK(CheckExportUri("file:" + folder + "/data/volume", own) == absl::OkStatus());
  CHECK(CheckExportUri("file:" + folder + "/data/containers-of-mine", own) == absl::OkStatus());
  CHECK(CheckExportUri("file:" + folder + "/elsewhere", own) == absl::OkStatus());
  CHECK(CheckExportUri("mem:?size=1M", own) == absl::OkStatus());
  const OwnStorage remote{.device = "nvme-tcp:10.0.0.1:4420/nqn.a?nsid=1&queues=2"};
  CHECK(absl::IsInvalidArgument(
      CheckExportUri("nvme-tcp:10.0.0.1:4420/nqn.a?depth=8&nsid=1", remote)));
  CHECK(CheckExportUri("nvme-tcp:10.0.0.1:4420/nqn.a?nsid=2", remote) == absl::OkStatus());
  CHECK(CheckExportUri("mem:?size=1M", {.device = "mem:?size=1M"}) == absl::OkStatus());
}

}  // namespace
}  // namespace strata::appliance
