// SPDX-License-Identifier: Apache-2.0
#include "command_line/dedup/dedup_arguments.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <thread>
#include <utility>

#include "strata/block/registry.h"
#include "strata/dedup/chunker.h"

namespace strata::appliance {
namespace {

constexpr char kFooter[] =
    "Examples:\n"
    "  strata dedup scan release-1 release-2           # what would be saved, by each algorithm\n"
    "  strata dedup ingest --store s monday.tar tuesday.tar\n"
    "  pg_dumpall | strata dedup ingest --store s --name db/monday -\n"
    "  strata dedup restore --store s db/monday --output - | psql\n"
    "  strata dedup delete --store s monday.tar && strata dedup gc --store s\n"
    "  strata --json dedup stat --store s | jq .reduction_ratio\n"
    "\n"
    "Each command has more in its own --help. A folder's files become streams named after it.\n"
    "Symbolic links, pipes, devices and empty folders come back too, with modes, times and, for\n"
    "root, owners. A file that cannot be read does not end the others: it is named, and the exit\n"
    "code is 1.\n"
    "Exit codes: 0 done, 1 error, 2 usage, 3 damage found, 130 and 143 interrupted.";

constexpr char kScanExamples[] =
    "Examples:\n"
    "  strata dedup scan release-1 release-2           # every algorithm; the second against the "
    "first\n"
    "  strata dedup scan --algo lincdc fastcdc2020 --avg 16K --min 8K --max 32K -- home\n"
    "  strata --json dedup scan home | jq '.algorithms[] | {algorithm, savings}'";

constexpr char kIngestExamples[] =
    "Examples:\n"
    "  strata dedup ingest --store s monday.tar tuesday.tar\n"
    "  strata dedup ingest --store s --name home/monday /home\n"
    "  pg_dumpall | strata dedup ingest --store s --name db/monday -\n"
    "  strata dedup ingest --store s --compression zstd --level 9 --region 1M big.img\n"
    "  (umask 077; openssl rand -hex 32 >key); strata dedup ingest --store s --key-file key home\n"
    "\n"
    "--algo, the chunk sizes and --key-file count when the store is made, which the first ingest\n"
    "does; later ones refuse others. A store made with a key needs it in every later command. "
    "Whoever loses the key file\n"
    "loses the store.";

constexpr char kRestoreExamples[] =
    "Examples:\n"
    "  strata dedup restore --store s home/monday                   # to ./monday\n"
    "  strata dedup restore --store s home/monday --output back --force\n"
    "  strata dedup restore --store s db/monday --output - | psql";

constexpr char kListExamples[] =
    "Examples:\n"
    "  strata dedup list --store s\n"
    "  strata --json dedup list --store s home/monday | jq -r '.streams[].name'";

constexpr char kDeleteExamples[] =
    "Examples:\n"
    "  strata dedup delete --store s home/monday db/monday\n"
    "  strata dedup delete --store s monday.tar && strata dedup gc --store s   # and the space";

constexpr char kCollectExamples[] =
    "Examples:\n"
    "  strata dedup gc --store s\n"
    "  strata dedup gc --store s --rewrite-below 0.9 --max-rate 50M   # thorough, and gentle\n"
    "  strata dedup gc --store s --fold      # after ingest --mode hybrid or post-process\n"
    "  strata dedup gc --store s --level 9   # smaller, whatever ingest said\n"
    "\n"
    "What it copies is compressed as the ingest that brought it said, or once, harder: what no "
    "collection\n"
    "has compressed yet. With one of --compression, --level and --region, only what is copied "
    "anyway is\n"
    "compressed, as these three say.";

constexpr char kVerifyExamples[] =
    "Examples:\n"
    "  strata dedup verify --store s || echo 'look at the lines above'\n"
    "  strata --json dedup verify --store s | jq -r '.streams[].name'";

constexpr char kRebuildExamples[] =
    "Examples:\n"
    "  strata dedup rebuild-index --store s && strata dedup verify --store s";

constexpr char kRebuildMetadataExamples[] =
    "Examples:\n"
    "  strata dedup rebuild-metadata --store s   # s/meta is lost, s/containers is there\n"
    "\n"
    "What was in s/meta before is kept as s/meta.old.";

constexpr char kStatExamples[] =
    "Examples:\n"
    "  strata dedup stat --store s\n"
    "  strata --json dedup stat --store s | jq .reduction_ratio";

// "fixed, rabin, ..."
std::string AlgorithmNames() {
  std::string names;
  for (const dedup::ChunkAlgorithm algorithm : dedup::AllChunkAlgorithms()) {
    if (!names.empty()) names += ", ";
    names += dedup::ChunkAlgorithmName(algorithm);
  }
  return names;
}

// Describes the commands to CLI11.
class DedupArguments final {
 public:
  DedupArguments(DedupRequest* request, std::function<void(const std::string&)> chosen)
      : request_(*request), chosen_(std::move(chosen)) {}

  void AddTo(CLI::App* app) {
    CLI::App* const dedup = app->add_subcommand(
        "dedup", "Files in a deduplicating store of your own; what would be saved.");
    dedup->require_subcommand(1);
    dedup->fallthrough();
    dedup->footer(kFooter);
    request_.directory.path = "store";
    // Streams here are read and written whole, and the command has the machine's cores to itself.
    request_.directory.store.region_bytes = 512u << 10;
    request_.directory.store.data_cache_bytes = 64u << 20;
    request_.directory.store.read_ahead_bytes = 16u << 20;
    request_.directory.store.worker_threads =
        std::clamp(std::thread::hardware_concurrency(), 1u, 65u) - 1;
    AddScan(dedup);
    AddIngest(dedup);
    AddRestore(dedup);
    CLI::App* const list =
        AddOnStore(dedup, "list", "dedup.list", "Names and sizes.", kListExamples);
    list->add_option("name", request_.operands, "Only this one, or this folder.")->expected(0, 1);
    AddReadOnly(list);
    AddOnStore(dedup, "delete", "dedup.delete", "Forget streams, or folders of them.",
               kDeleteExamples)
        ->add_option("names", request_.operands, "Their names.")
        ->required();
    AddCollect(dedup);
    CLI::App* const verify =
        AddOnStore(dedup, "verify", "dedup.verify",
                   "Read everything and check it; 3 when there is damage.", kVerifyExamples);
    verify->add_flag("--quick", request_.quick, "Check structures only; do not read the data.");
    AddReadOnly(verify);
    AddOnStore(
        dedup, "rebuild-index", "dedup.rebuild-index",
        "Write the chunk index again from the containers, where verify says that it is wrong.",
        kRebuildExamples);
    AddOnStore(dedup, "rebuild-metadata", "dedup.rebuild-metadata",
               "Make the metadata again from the containers alone; 3 when not all comes back.",
               kRebuildMetadataExamples);
    AddReadOnly(
        AddOnStore(dedup, "stat", "dedup.stat", "Sizes, and what is saved.", kStatExamples));
  }

 private:
  CLI::App* Add(CLI::App* parent, const char* name, const char* command, const char* meaning,
                const char* examples) {
    CLI::App* const sub = parent->add_subcommand(name, meaning);
    sub->fallthrough();
    sub->footer(examples);
    sub->callback([chosen = chosen_, command] { chosen(command); });
    return sub;
  }

  CLI::App* AddOnStore(CLI::App* parent, const char* name, const char* command, const char* meaning,
                       const char* examples) {
    CLI::App* const sub = Add(parent, name, command, meaning, examples);
    sub->add_option("--store", request_.directory.path, "The store's directory [./store].")
        ->envname("STRATA_STORE");
    sub->add_option("--key-file", request_.key_file,
                    "The key of an encrypted store: a file of 32 bytes or 64 hexadecimal digits.")
        ->envname("STRATA_KEY_FILE");
    sub->add_option("--workers", request_.directory.store.worker_threads,
                    "Threads that help, 0 to 64 [one less than the processors].")
        ->check(CLI::Range(0, 64).description(""));
    return sub;
  }

  void AddReadOnly(CLI::App* sub) {
    sub->add_flag("--read-only", request_.directory.read_only,
                  "Change nothing in the store's directory, as where that is not possible.");
    sub->add_flag("--unlocked", request_.directory.assume_unlocked,
                  "Read only, without looking whether somebody writes; what a writer frees then is "
                  "damage here.");
  }

  template <typename Bytes>
  static Bytes MostOf(const Bytes*) {
    return std::numeric_limits<Bytes>::max();
  }
  static uint32_t MostOf(const std::optional<uint32_t>*) { return UINT32_MAX; }

  template <typename Bytes>
  static void Size(CLI::App* sub, const char* option, Bytes* bytes, const char* meaning) {
    sub->add_option_function<std::string>(
        option,
        [option, bytes](const std::string& value) {
          const absl::StatusOr<uint64_t> size = block::ParseSizeBytes(value);
          if (!size.ok() || *size > MostOf(bytes)) {
            throw CLI::ValidationError(option, "not a size, as 64K: " + value);
          }
          *bytes = static_cast<decltype(MostOf(bytes))>(*size);
        },
        meaning);
  }

  template <typename Sizes>
  static void ChunkSizes(CLI::App* sub, Sizes* chunker) {
    Size(sub, "--min", &chunker->min_bytes, "Shortest chunk, as 4K, which is the default.");
    Size(sub, "--avg", &chunker->avg_bytes, "Average chunk [8K].");
    Size(sub, "--max", &chunker->max_bytes, "Longest chunk [16K].");
  }

  void AddScan(CLI::App* parent) {
    CLI::App* const scan =
        Add(parent, "scan", "dedup.scan", "What would be saved; nothing is stored.", kScanExamples);
    scan->add_option("paths", request_.operands, "Files or folders, oldest version first.")
        ->required();
    scan->add_option("--algo", request_.algorithms,
                     "One or more of " + AlgorithmNames() + " [all].");
    ChunkSizes(scan, &request_.sizes);
  }

  // Of what is written.
  void AddCompression(CLI::App* sub) {
    dedup::StoreOptions& store = request_.directory.store;
    const std::map<std::string, dedup::Compression> kinds = {{"none", dedup::Compression::kNone},
                                                             {"lz4", dedup::Compression::kLz4},
                                                             {"zstd", dedup::Compression::kZstd},
                                                             {"gzip", dedup::Compression::kGzip}};
    sub->add_option("--compression", store.compression, "none, lz4, zstd or gzip [zstd].")
        ->transform(CLI::CheckedTransformer(kinds).description(""));
    sub->add_option("--level", store.compression_level, "Of zstd: -7 to 19; of gzip: 0 to 3 [1].");
    Size(sub, "--region", &store.region_bytes, "Compressed together, 16K to 4M [512K].");
  }

  void AddIngest(CLI::App* parent) {
    dedup::StoreOptions& store = request_.directory.store;
    CLI::App* const ingest =
        AddOnStore(parent, "ingest", "dedup.ingest", "Store files; make the store when absent.",
                   kIngestExamples);
    ingest->add_option("paths", request_.operands, "Files, folders, or - for standard input.")
        ->required();
    ingest->add_option("--name", request_.name, "The name of the stream or folder [the path].");
    ingest->add_flag("--force", request_.force, "Replace streams of the same name.");
    const std::map<std::string, dedup::Mode> modes = {{"inline", dedup::Mode::kInline},
                                                      {"hybrid", dedup::Mode::kHybrid},
                                                      {"post-process", dedup::Mode::kPostProcess}};
    ingest
        ->add_option("--mode", store.mode,
                     "inline, hybrid or post-process: when equal data is found [inline]; the last "
                     "two leave some or all of it to gc --fold.")
        ->transform(CLI::CheckedTransformer(modes).description(""));
    AddCompression(ingest);
    ingest->add_flag("--defer-compression", store.defer_compression,
                     "Store data as it comes, for the next gc to compress: the shortest backup, "
                     "for more room until then.");
    ingest->add_option_function<std::string>(
        "--algo",
        [request = &request_](const std::string& name) {
          const auto algorithm = dedup::ParseChunkAlgorithm(name);
          if (!algorithm.ok()) {
            throw CLI::ValidationError("--algo", std::string(algorithm.status().message()));
          }
          request->chosen.algorithm = *algorithm;
        },
        "How a new store cuts: " + AlgorithmNames() + ".");
    ChunkSizes(ingest, &request_.chosen);
  }

  void AddRestore(CLI::App* parent) {
    CLI::App* const restore = AddOnStore(parent, "restore", "dedup.restore",
                                         "Write a stream, or a folder of them.", kRestoreExamples);
    restore->add_option("name", request_.operands, "Its name.")->required()->expected(1);
    restore->add_option("--output", request_.output,
                        "The file or folder [the name's last part]; - is standard output.");
    restore->add_flag("--force", request_.force, "Replace files that exist.");
    AddReadOnly(restore);
  }

  void AddCollect(CLI::App* parent) {
    CLI::App* const gc =
        AddOnStore(parent, "gc", "dedup.gc",
                   "Free what no stream needs; compress what ingest --defer-compression left.",
                   kCollectExamples);
    AddCompression(gc);
    for (const char* const option : {"--compression", "--level", "--region"}) {
      gc->get_option(option)->each(
          [request = &request_](const std::string&) { request->compression_chosen = true; });
    }
    gc->add_option("--recompress", request_.recompress,
                   "Compress once more, with zstd of this level in 2M, what no gc has compressed "
                   "yet, 9 to 19; 0: not [12; 0 with an option above].")
        ->check((CLI::Range(9, 19) | CLI::Range(0, 0)).description(""));
    gc->add_flag("--fold", request_.fold, "Also keep one copy only of what was stored twice.");
    gc->add_option_function<double>(
          "--rewrite-below",
          [request = &request_](double ratio) { request->rewrite_below_live_ratio = ratio; },
          "Copy containers with a smaller live share out and free them, 0 to 1 [0.8; with --fold "
          "0.95].")
        ->check(CLI::Range(0.0, 1.0).description(""));
    Size(gc, "--max-rate", &request_.max_bytes_per_second,
         "Bytes per second to read and write, as 50M.");
  }

  DedupRequest& request_;
  const std::function<void(const std::string&)> chosen_;
};

}  // namespace

void AddDedupCommands(CLI::App* app, DedupRequest* request,
                      std::function<void(const std::string&)> chosen) {
  DedupArguments(request, std::move(chosen)).AddTo(app);
}

}  // namespace strata::appliance
