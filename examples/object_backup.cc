// SPDX-License-Identifier: Apache-2.0
//
// A small backup product: it streams a folder into a bucket, night after night, lists what there
// is, restores a night and compares it with what was saved.
//
//   example_object_backup            makes itself a folder to save, in the current one
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <span>
#include <string>

#include "strata/base/status_macros.h"
#include "strata/dedup/directory.h"
#include "strata/object/store.h"

namespace fs = std::filesystem;
namespace object = strata::object;

namespace {

constexpr size_t kBufferBytes = 256 << 10;

// Saves one file as an object. It is durable when this returns OK.
absl::Status SaveFile(object::Store& store, const fs::path& file, const std::string& key) {
  object::PutOptions options;
  options.metadata.user["mode"] = std::to_string(static_cast<int>(fs::status(file).permissions()));
  STRATA_ASSIGN_OR_RETURN(const std::unique_ptr<object::ObjectWriter> writer,
                          store.NewWriter("backups", key, options));
  std::ifstream in(file, std::ios::binary);
  std::string buffer(kBufferBytes, '\0');
  while (in) {
    in.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    const std::span read(buffer.data(), static_cast<size_t>(in.gcount()));
    STRATA_RETURN_IF_ERROR(writer->Write(std::as_bytes(read)));
  }
  return writer->Finish({}).status();
}

absl::Status SaveFolder(object::Store& store, const fs::path& folder, const std::string& night) {
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    const std::string key = night + "/" + fs::relative(entry.path(), folder).generic_string();
    STRATA_RETURN_IF_ERROR(SaveFile(store, entry.path(), key));
  }
  return absl::OkStatus();
}

absl::Status RestoreFile(object::Store& store, const std::string& key, const fs::path& file) {
  STRATA_ASSIGN_OR_RETURN(const std::unique_ptr<object::ObjectReader> reader,
                          store.OpenReader("backups", key, {}));
  fs::create_directories(file.parent_path());
  std::ofstream out(file, std::ios::binary);
  std::string buffer(kBufferBytes, '\0');
  for (uint64_t offset = 0; offset < reader->size_bytes();) {
    STRATA_ASSIGN_OR_RETURN(const size_t read,
                            reader->Read(offset, std::as_writable_bytes(std::span(buffer))));
    out.write(buffer.data(), static_cast<std::streamsize>(read));
    offset += read;
  }
  return out ? absl::OkStatus() : absl::UnavailableError("cannot write " + file.string());
}

// Restores all of a night, however many pages its listing has.
absl::Status RestoreFolder(object::Store& store, const std::string& night, const fs::path& folder) {
  object::ListOptions options;
  options.prefix = night + "/";
  for (bool more = true; more;) {
    STRATA_ASSIGN_OR_RETURN(const object::ListPage page, store.List("backups", options));
    for (const object::ObjectInfo& info : page.objects) {
      const fs::path file = folder / info.key.substr(options.prefix.size());
      STRATA_RETURN_IF_ERROR(RestoreFile(store, info.key, file));
    }
    more = page.truncated;
    options.start_after = page.next_start_after;
  }
  return absl::OkStatus();
}

std::string ReadFile(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

absl::Status Compare(const fs::path& saved, const fs::path& restored) {
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(saved)) {
    if (!entry.is_regular_file()) continue;
    if (ReadFile(entry.path()) != ReadFile(restored / fs::relative(entry.path(), saved))) {
      return absl::DataLossError(entry.path().string() + " was not restored as it was");
    }
  }
  return absl::OkStatus();
}

// Some files that have a lot in common.
void MakeFiles(const fs::path& folder, int night) {
  fs::create_directories(folder / "logs");
  for (int file = 0; file < 20; ++file) {
    std::ofstream out(folder / "logs" / ("log-" + std::to_string(file)), std::ios::binary);
    for (int line = 0; line < 5000; ++line) out << "line " << line * (file + 1) << " of the log\n";
    out << "night " << night << "\n";
  }
}

absl::Status Run() {
  strata::dedup::DirectoryOptions where;
  where.path = "store";
  STRATA_ASSIGN_OR_RETURN(const std::unique_ptr<strata::dedup::Directory> directory,
                          strata::dedup::Directory::Open(where));
  object::StoreOptions options;
  options.dedup = &directory->store();
  options.kv = &directory->kv();
  STRATA_ASSIGN_OR_RETURN(const std::unique_ptr<object::Store> store, object::Store::Open(options));
  STRATA_RETURN_IF_ERROR(store->CreateBucket("backups", "operator"));

  for (const int night : {1, 2, 3}) {
    MakeFiles("folder", night);
    STRATA_RETURN_IF_ERROR(SaveFolder(*store, "folder", "night-" + std::to_string(night)));
  }
  object::ListOptions nights;
  nights.delimiter = "/";
  STRATA_ASSIGN_OR_RETURN(const object::ListPage page, store->List("backups", nights));
  for (const std::string& prefix : page.common_prefixes) std::printf("saved %s\n", prefix.c_str());

  STRATA_RETURN_IF_ERROR(RestoreFolder(*store, "night-3", "restored"));
  STRATA_RETURN_IF_ERROR(Compare("folder", "restored"));
  STRATA_ASSIGN_OR_RETURN(const object::BucketUsage usage, store->GetBucketUsage("backups"));
  std::printf("%llu objects, %llu bytes, on the device %llu\n",
              static_cast<unsigned long long>(usage.object_count),
              static_cast<unsigned long long>(usage.logical_bytes),
              static_cast<unsigned long long>(usage.stored_bytes));
  return absl::OkStatus();
}

}  // namespace

int main() {
  const absl::Status status = Run();
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
