// SPDX-License-Identifier: Apache-2.0
//
// strata: the operator's command line.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <string>
#include <string_view>

#include "appliance/commands.h"
#include "appliance/config.h"
#include "appliance/json.h"
#include "appliance/secret_file.h"
#include "command_line/answers.h"
#include "command_line/dedup/dedup_arguments.h"
#include "command_line/dedup/dedup_commands.h"
#include "command_line/erasure/erasure_commands.h"
#include "command_line/nvme/host_commands.h"
#include "command_line/nvme/nvme_answers.h"
#include "command_line/nvme/nvme_arguments.h"
#include "command_line/nvme/serve.h"
#include "command_line/ofs/ofs_answers.h"
#include "command_line/ofs/ofs_arguments.h"
#include "command_line/ofs/ofs_commands.h"
#include "command_line/progress_line.h"
#include "command_line/quoted_text.h"
#include "command_line/store/store_access.h"
#include "strata/base/status_macros.h"
#include "strata/block/registry.h"

namespace strata::appliance {
namespace {

enum ExitCode { kExitOk = 0, kExitError = 1, kExitUsage = 2, kExitDamage = 3 };

constexpr char kFooter[] =
    "Commands go to the stratad that holds DIR, through DIR/admin.sock; when there is none they "
    "open\n"
    "the store themselves (give them stratad's --config then, if it has one).\n"
    "\n"
    "Examples:\n"
    "  strata --data /srv/strata stat\n"
    "  strata --data /srv/strata user add ada --name 'Ada Lovelace'\n"
    "  strata --data /srv/strata --json bucket usage | jq .\n"
    "  strata --data /srv/strata verify || echo 'look at the lines above'\n"
    "  strata dedup ingest --store /srv/backup home.tar\n"
    "  strata ec encode --data-shards 10 --parity-shards 4 archive.tar\n"
    "  strata nvme serve 'file:/srv/disk.img?size=64G&create=1'\n"
    "  strata ofs mount meta /srv/files\n"
    "\n"
    "Exit codes: 0 done, 1 error, 2 usage, 3 damage found, 130 and 143 interrupted.";

std::atomic<int> interrupted{0};  // The signal's number.

// What a shell calls a process that the signal ended: 130 or 143.
int InterruptedCode(int signal) { return 128 + signal; }

// The first one cancels the command, which ends at its next progress; the second one does not wait.
void OnSignal(int signal) {
  if (interrupted.exchange(signal) != 0) _exit(InterruptedCode(signal));
}

// What the command line asks for.
struct Request {
  std::string data = "data";
  ConfigSources sources;
  bool json = false;
  std::string command;
  Json arguments = Json::object();
  std::string secret_key_file;  // Becomes an argument when it was read.
  ErasureRequest erasure;       // Of the commands ec.*, instead of `arguments`.
  DedupRequest dedup;           // Of the commands dedup.*, likewise.
  NvmeRequest nvme;             // Of the commands nvme-*, likewise.
  OfsRequest ofs;               // Of the commands ofs.*, likewise.
};

// Describes commands to CLI11. Each leaves its name and arguments in the request.
class CommandLine {
 public:
  explicit CommandLine(Request* request) : request_(*request) {
    app_.add_option("--data", request_.data, "stratad's data directory [./data].")
        ->envname("STRATA_DATA");
    app_.add_option("--config", request_.sources.file, "stratad's configuration file.");
    app_.add_flag("--json", request_.json, "Answer in JSON.");
    app_.set_version_flag("--version", "strata " STRATA_VERSION);
    app_.footer(kFooter);
    app_.require_subcommand(1);
    app_.fallthrough();
    AddUpkeep();
    AddUsers();
    AddBuckets();
    AddErasureCoding();
    AddDedupCommands(&app_, &request_.dedup,
                     [this](const std::string& command) { request_.command = command; });
    AddNvmeCommands(&app_, &request_.arguments, &request_.nvme,
                    [this](const std::string& command) { request_.command = command; });
    AddOfsCommands(&app_, &request_.ofs,
                   [this](const std::string& command) { request_.command = command; });
  }

  CLI::App& app() { return app_; }

 private:
  CLI::App* Add(CLI::App* parent, const char* name, const char* command, const char* meaning) {
    CLI::App* const sub = parent->add_subcommand(name, meaning);
    sub->fallthrough();
    sub->callback([this, command] { request_.command = command; });
    return sub;
  }

  void Text(CLI::App* sub, const char* option, const char* argument, const char* meaning,
            bool required = false) {
    sub->add_option_function<std::string>(
           option,
           [this, argument](const std::string& value) { request_.arguments[argument] = value; },
           meaning)
        ->required(required);
  }

  void Flag(CLI::App* sub, const char* option, const char* argument, const char* meaning) {
    sub->add_flag_function(
        option, [this, argument](int64_t) { request_.arguments[argument] = true; }, meaning);
  }

  void AddUpkeep() {
    Add(&app_, "stat", "stat", "Sizes, reduction and activity.");
    CLI::App* const gc = Add(&app_, "gc", "gc", "Free what nothing refers to any more.");
    gc->add_option_function<double>(
          "--rewrite-below", [this](double value) { request_.arguments["rewrite_below"] = value; },
          "Copy containers with a smaller live share out and free them (0 to 1).")
        ->check(CLI::Range(0.0, 1.0));
    Flag(gc, "--fold", "fold",
         "Also keep one copy only of what was stored twice; so it is anyway where storage.mode is "
         "hybrid or post-process.");
    gc->add_option_function<std::string>(
        "--max-rate",
        [this](const std::string& value) {
          const absl::StatusOr<uint64_t> bytes = block::ParseSizeBytes(value);
          if (!bytes.ok()) throw CLI::ValidationError("--max-rate", "not a size: " + value);
          request_.arguments["max_rate"] = *bytes;
        },
        "Bytes per second, as 50M.");
    CLI::App* const verify =
        Add(&app_, "verify", "verify", "Read everything and check it; 3 when there is damage.");
    Flag(verify, "--quick", "quick", "Check structures only; do not read the data.");
    Add(&app_, "rebuild-index", "rebuild-index",
        "Write the chunk index again from the containers.");
    Add(&app_, "rebuild-metadata", "rebuild-metadata",
        "Make DATA/meta again from the containers alone, while no stratad runs; 3 when not all "
        "comes back.");
  }

  void AddUsers() {
    CLI::App* const user = app_.add_subcommand("user", "Users and their access keys.");
    user->require_subcommand(1);
    user->fallthrough();
    Add(user, "list", "user.list", "All users.");
    CLI::App* const add = Add(user, "add", "user.add", "Make a user with an access key.");
    Text(add, "id", "id", "Its id.", true);
    Text(add, "--name", "display_name", "Its name for people.");
    Flag(add, "--admin", "admin", "May do anything to any bucket.");
    Text(add, "--access-key", "access_key", "Instead of a generated one.");
    AddSecretKey(add);
    Text(Add(user, "remove", "user.remove", "Remove a user and its keys."), "id", "id", "Its id.",
         true);
    CLI::App* const key = user->add_subcommand("key", "Access keys.");
    key->require_subcommand(1);
    key->fallthrough();
    Text(Add(key, "list", "user.key.list", "A user's keys."), "id", "id", "The user.", true);
    CLI::App* const add_key = Add(key, "add", "user.key.add", "Give a user another key.");
    Text(add_key, "id", "id", "The user.", true);
    Text(add_key, "--access-key", "access_key",
         "Instead of a generated one; one that the user has gets a new secret.");
    AddSecretKey(add_key);
    Text(Add(key, "remove", "user.key.remove", "Take a key away."), "access_key", "access_key",
         "The key.", true);
  }

  void AddSecretKey(CLI::App* sub) {
    sub->add_option("--secret-key-file", request_.secret_key_file,
                    "A file whose one line is the secret key, instead of a generated one; - is "
                    "standard input.");
    // Hidden: it is known only to say why it does not work.
    sub->add_option_function<std::string>(
           "--secret-key",
           [](const std::string&) {
             throw CLI::ValidationError(
                 "--secret-key",
                 "every user of this machine sees command lines, so this secret should not be used "
                 "any more; use --secret-key-file FILE, or - for standard input");
           })
        ->group("");
  }

  void AddBuckets() {
    CLI::App* const bucket = app_.add_subcommand("bucket", "Buckets.");
    bucket->require_subcommand(1);
    bucket->fallthrough();
    Add(bucket, "list", "bucket.list", "All buckets.");
    Text(Add(bucket, "usage", "bucket.usage", "Objects and bytes, of one bucket or of all."),
         "name", "name", "The bucket.");
    CLI::App* const create = Add(bucket, "create", "bucket.create", "Make a bucket.");
    Text(create, "name", "name", "Its name.", true);
    Text(create, "--owner", "owner", "The user who owns it [root].");
    Text(Add(bucket, "remove", "bucket.remove", "Remove an empty bucket."), "name", "name",
         "Its name.", true);
  }

  void AddErasureCoding() {
    constexpr char kShardFiles[] =
        "The shard files that there are; FILE stands for the FILE.ec.NNN beside it.";
    CLI::App* const ec =
        app_.add_subcommand("ec", "Files to shard files and back; needs no store.");
    ec->require_subcommand(1);
    ec->fallthrough();
    ErasureRequest& erasure = request_.erasure;
    CLI::App* const encode = Add(ec, "encode", "ec.encode", "Turn each file into shard files.");
    encode->add_option("files", erasure.files, "FILE becomes FILE.ec.000, ...")->required();
    encode->add_option("--data-shards", erasure.layout.data_shards, "[4]");
    encode->add_option("--parity-shards", erasure.layout.parity_shards,
                       "All of them, local ones included [2].");
    encode->add_option("--groups", erasure.layout.groups,
                       "A locally repairable code: so many groups, each with a local parity.");
    encode->add_option_function<std::string>(
        "--unit",
        [&erasure](const std::string& value) {
          const absl::StatusOr<uint64_t> bytes = block::ParseSizeBytes(value);
          if (!bytes.ok() || *bytes > ec::kMaxUnitBytes) {
            throw CLI::ValidationError("--unit", "not a size up to 16M: " + value);
          }
          erasure.layout.unit_bytes = static_cast<uint32_t>(*bytes);
        },
        "Bytes of a shard in one stripe, as 128K, which is the default.");
    encode->add_option("--output", erasure.output, "The folder for the shards [the file's].");
    CLI::App* const decode =
        Add(ec, "decode", "ec.decode", "Turn shard files back; rebuild what is lost.");
    decode->add_option("files", erasure.files, kShardFiles)->required();
    decode->add_option("--output", erasure.output, "The file to write [FILE].");
    CLI::App* const repair =
        Add(ec, "repair", "ec.repair", "Write shard files again that are lost or damaged.");
    repair->add_option("files", erasure.files, kShardFiles)->required();
    for (CLI::App* const sub : {encode, decode, repair}) {
      sub->add_flag("--force", erasure.force, "Replace files that exist.");
    }
    Add(ec, "verify", "ec.verify", "Check shard files; 3 when anything is missing or damaged.")
        ->add_option("files", erasure.files, kShardFiles)
        ->required();
  }

  Request& request_;
  CLI::App app_{"Looks after a Strata store.", "strata"};
};

std::string Indented(const Json& json) { return ShowJson(json, 2) + "\n"; }

// Commands that are run and shown alike, by the beginning of their names.
struct CommandFamily {
  std::string_view prefix;
  absl::StatusOr<Json> (*run)(const Request& request, const dedup::ProgressCallback& progress);
  std::string (*format)(const std::string& command, const Json& answer);
};

absl::StatusOr<Json> RunOnStore(const Request& request, const dedup::ProgressCallback& progress) {
  Json arguments = request.arguments;
  if (!request.secret_key_file.empty()) {
    STRATA_ASSIGN_OR_RETURN(arguments["secret_key"], ReadSecretFile(request.secret_key_file));
  }
  return StoreAccess(request.data, request.sources).Run(request.command, arguments, progress);
}

// Says at once, for scripts that wait for it, where hosts can connect.
absl::StatusOr<Json> RunServe(const Request& request, const dedup::ProgressCallback& progress) {
  const auto listening = [&request](const Json& state) {
    std::fputs(request.json ? (ShowJson({{"listening", state}}) + "\n").c_str()
                            : FormatListening(state).c_str(),
               stdout);
    std::fflush(stdout);
  };
  return ServeNvme(request.nvme.serve, listening, progress);
}

absl::StatusOr<Json> RunOfs(const Request& request, const dedup::ProgressCallback& progress) {
  const auto mounted = [&request](const Json& state) {
    std::fputs(request.json ? (ShowJson({{"mounted", state}}) + "\n").c_str()
                            : FormatMounted(state).c_str(),
               stdout);
    std::fflush(stdout);
  };
  return RunOfsCommand(request.command, request.ofs, mounted, progress);
}

constexpr CommandFamily kFamilies[] = {
    {.prefix = "ec.",
     .run =
         [](const Request& request, const dedup::ProgressCallback& progress) {
           return RunErasureCommand(request.command, request.erasure, progress);
         },
     .format = FormatErasureAnswer},
    {.prefix = "dedup.",
     .run =
         [](const Request& request, const dedup::ProgressCallback& progress) {
           return RunDedupCommand(request.command, request.dedup, progress);
         },
     .format = FormatDedupAnswer},
    {.prefix = "ofs.", .run = RunOfs, .format = FormatOfsAnswer},
    {.prefix = "nvme-serve",
     .run = RunServe,
     .format = [](const std::string& command,
                  const Json& answer) { return FormatNvmeAnswer(command, answer); }},
    {.prefix = "nvme-",
     .run =
         [](const Request& request, const dedup::ProgressCallback& progress) {
           return RunNvmeHostCommand(request.command, request.nvme.host, progress);
         },
     .format = [](const std::string& command,
                  const Json& answer) { return FormatNvmeAnswer(command, answer); }},
    {.prefix = "",  // All others, which are stratad's too.
     .run = RunOnStore,
     .format = [](const std::string& command,
                  const Json& answer) { return FormatAnswer(command, answer); }},
};

const CommandFamily& FamilyOf(std::string_view command) {
  const CommandFamily* family = kFamilies;
  while (!command.starts_with(family->prefix)) ++family;
  return *family;
}

// Says on stderr what the answer has of single files. Returns whether any failed.
bool TellFailures(const Json& answer) {
  const auto tell = [](const std::string& line) {
    std::fprintf(stderr, "strata: %s\n", PrintableText(line).c_str());
  };
  for (const Json& path : answer.value("changed", Json::array())) {
    tell(NameOfJson(path.get<std::string>()) + ": changed while it was read");
  }
  for (const Json& entry : answer.value("not_kept", Json::array())) {
    tell(NameOfJson(entry.value("path", "")) + ": not kept: " + entry.value("what", ""));
  }
  const Json failed = answer.value("failed", Json::array());
  for (const Json& entry : failed) tell(NameOfJson(entry.value("message", "")));
  return !failed.empty();
}

int Run(const Request& request) {
  for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, OnSignal);
  ProgressLine line(!request.json);
  const dedup::ProgressCallback progress = [&](const dedup::Progress& state) {
    line.Show(state);
    return interrupted == 0;
  };
  const CommandFamily& family = FamilyOf(request.command);
  const absl::StatusOr<Json> answer = family.run(request, progress);
  line.Clear();
  if (!answer.ok()) {
    const std::string message(answer.status().message());
    if (request.json) {
      const Json error = {{"code", absl::StatusCodeToString(answer.status().code())},
                          {"message", message}};
      std::fputs(Indented({{"error", error}}).c_str(), stdout);
    }
    std::fprintf(stderr, "strata: %s\n", PrintableText(message).c_str());
    const bool cut_short = interrupted != 0 && absl::IsCancelled(answer.status());
    return cut_short ? InterruptedCode(interrupted) : kExitError;
  }
  const std::string text =
      request.json ? Indented(*answer) : family.format(request.command, *answer);
  // What is restored to standard output is alone there.
  const bool taken = (request.command == "dedup.restore" && request.dedup.output == "-") ||
                     (request.command == "nvme-read" && request.nvme.host.file == "-");
  if (!taken) std::fputs(text.c_str(), stdout);
  if (std::fflush(stdout) != 0) return kExitError;
  if (TellFailures(*answer)) return kExitError;
  const bool verified = request.command == "verify" || request.command.ends_with(".verify") ||
                        request.command.ends_with("rebuild-metadata") ||
                        request.command == "nvme-bench" || request.command == "ofs.heal" ||
                        request.command == "ofs.scrub" || request.command == "ofs.check";
  return verified && answer->value("damaged", false) ? kExitDamage : kExitOk;
}

int Main(int argc, char** argv) {
  Request request;
  CommandLine command_line(&request);
  try {
    command_line.app().parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return command_line.app().exit(error) == 0 ? kExitOk : kExitUsage;
  }
  request.sources.environment = environ;
  return Run(request);
}

}  // namespace
}  // namespace strata::appliance

int main(int argc, char** argv) { return strata::appliance::Main(argc, argv); }
