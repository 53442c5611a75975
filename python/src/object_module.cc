// SPDX-License-Identifier: Apache-2.0
//
// strata._object: an object store in one directory, as thin as it goes; strata/object.py makes it
// pleasant. The directory is the one stratad uses, so an appliance that is stopped can be scripted.
// Every call that waits releases the GIL.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "held_streams.h"
#include "secret.h"
#include "status.h"
#include "strata/dedup/directory.h"
#include "strata/object/store.h"

namespace strata::python {
namespace {

namespace py = pybind11;

// What an object store stands on; readers and writers keep it alive.
struct Opened {
  const std::string& path() const { return directory->path(); }

  std::unique_ptr<dedup::Directory> directory;
  std::unique_ptr<object::Store> store;
};
using SharedStore = std::shared_ptr<Opened>;

py::dict InfoDict(const object::ObjectInfo& info) {
  py::dict dict;
  dict["key"] = info.key;
  dict["version_id"] = info.version_id;
  dict["is_latest"] = info.is_latest;
  dict["is_delete_marker"] = info.is_delete_marker;
  dict["size_bytes"] = info.size_bytes;
  dict["etag"] = info.etag;
  dict["modified_ns"] = info.modified_ns;
  dict["content_type"] = info.metadata.content_type;
  dict["metadata"] = info.metadata.user;
  return dict;
}

using PyObjectWriter = HeldWriter<Opened, object::ObjectWriter, InfoDict>;
using PyObjectReader = HeldReader<Opened, object::ObjectReader, InfoDict>;

class PyObjectStore {
 public:
  PyObjectStore(const std::string& path, bool create, bool read_only, bool assume_unlocked,
                uint64_t max_size_bytes, const py::object& encryption_key)
      : store_(std::make_shared<Opened>()) {
    dedup::DirectoryOptions options;
    options.path = path;
    options.create = create;
    options.read_only = read_only || assume_unlocked;
    options.assume_unlocked = assume_unlocked;
    options.max_size_bytes = max_size_bytes;
    options.store.encryption_key = SecretOf(encryption_key, "an encryption key");
    store_->directory = Value(Unlocked([&] { return dedup::Directory::Open(options); }));
    store_->store = Value(Unlocked([&] {
      object::StoreOptions object_options;
      object_options.dedup = &store_->directory->store();
      object_options.kv = &store_->directory->kv();
      object_options.encryption_key = options.store.encryption_key;
      return object::Store::Open(object_options);
    }));
  }

  void CreateBucket(const std::string& bucket, const std::string& owner) {
    const SharedStore store = Open();
    Check(Unlocked([&] { return store->store->CreateBucket(bucket, owner); }));
  }
  void DeleteBucket(const std::string& bucket) {
    const SharedStore store = Open();
    Check(Unlocked([&] { return store->store->DeleteBucket(bucket); }));
  }
  py::list ListBuckets() {
    const SharedStore store = Open();
    py::list list;
    for (const auto& bucket : Value(Unlocked([&] { return store->store->ListBuckets(""); }))) {
      list.append(bucket.name);
    }
    return list;
  }
  void SetVersioning(const std::string& bucket, bool enabled) {
    const auto versioning = enabled ? object::Versioning::kEnabled : object::Versioning::kSuspended;
    const SharedStore store = Open();
    Check(Unlocked([&] { return store->store->SetVersioning(bucket, versioning); }));
  }
  std::unique_ptr<PyObjectWriter> NewWriter(const std::string& bucket, const std::string& key,
                                            const std::string& content_type,
                                            const std::map<std::string, std::string>& metadata) {
    object::PutOptions options;
    options.metadata.content_type = content_type;
    options.metadata.user = metadata;
    SharedStore store = Open();
    auto writer = Value(Unlocked([&] { return store->store->NewWriter(bucket, key, options); }));
    return std::make_unique<PyObjectWriter>(std::move(store), std::move(writer));
  }
  std::unique_ptr<PyObjectReader> OpenReader(const std::string& bucket, const std::string& key,
                                             const std::string& version_id) {
    object::GetOptions options;
    options.version_id = version_id;
    SharedStore store = Open();
    auto reader = Value(Unlocked([&] { return store->store->OpenReader(bucket, key, options); }));
    return std::make_unique<PyObjectReader>(std::move(store), std::move(reader));
  }
  py::dict Head(const std::string& bucket, const std::string& key, const std::string& version_id) {
    object::GetOptions options;
    options.version_id = version_id;
    const SharedStore store = Open();
    return InfoDict(Value(Unlocked([&] { return store->store->Head(bucket, key, options); })));
  }
  void Delete(const std::string& bucket, const std::string& key, const std::string& version_id) {
    const SharedStore store = Open();
    auto result = Unlocked([&] { return store->store->Delete(bucket, key, version_id); });
    Check(result.status());
  }
  py::dict Copy(const std::string& from_bucket, const std::string& from_key,
                const std::string& bucket, const std::string& key) {
    object::CopySource source;
    source.bucket = from_bucket;
    source.key = from_key;
    const SharedStore store = Open();
    return InfoDict(Value(Unlocked([&] { return store->store->Copy(source, bucket, key, {}); })));
  }
  // (objects, common prefixes, where the next page starts or None)
  py::tuple List(const std::string& bucket, const std::string& prefix, const std::string& delimiter,
                 const std::string& start_after, size_t max_keys) {
    object::ListOptions options;
    options.prefix = prefix;
    options.delimiter = delimiter;
    options.start_after = start_after;
    options.max_keys = max_keys;
    const SharedStore store = Open();
    const object::ListPage page =
        Value(Unlocked([&] { return store->store->List(bucket, options); }));
    py::list objects;
    for (const auto& info : page.objects) objects.append(InfoDict(info));
    return py::make_tuple(objects, page.common_prefixes,
                          page.truncated ? py::object(py::str(page.next_start_after)) : py::none());
  }
  void Close() {
    SharedStore store = std::move(store_);
    Unlocked([&] { store.reset(); });
  }

 private:
  // A copy, which a call takes before it releases the GIL: another thread may close the store.
  SharedStore Open() {
    if (!store_) throw py::value_error("the store is closed");
    return store_;
  }
  SharedStore store_;  // Touched with the GIL alone.
};

}  // namespace

PYBIND11_MODULE(_object, m) {
  m.doc() = "Buckets and objects on a deduplicating store. Use strata.object.";

  PyObjectWriter::Bind(m);
  PyObjectReader::Bind(m);
  py::class_<PyObjectStore>(m, "Store")
      .def(py::init<const std::string&, bool, bool, bool, uint64_t, const py::object&>(),
           py::arg("path"), py::kw_only(), py::arg("create") = true, py::arg("read_only") = false,
           py::arg("assume_unlocked") = false, py::arg("max_size_bytes") = 0,
           py::arg("encryption_key") = py::none())
      .def("create_bucket", &PyObjectStore::CreateBucket, py::arg("bucket"), py::arg("owner") = "")
      .def("delete_bucket", &PyObjectStore::DeleteBucket, py::arg("bucket"))
      .def("list_buckets", &PyObjectStore::ListBuckets)
      .def("set_versioning", &PyObjectStore::SetVersioning, py::arg("bucket"), py::arg("enabled"))
      .def("new_writer", &PyObjectStore::NewWriter, py::arg("bucket"), py::arg("key"),
           py::arg("content_type") = "binary/octet-stream",
           py::arg("metadata") = std::map<std::string, std::string>())
      .def("open_reader", &PyObjectStore::OpenReader, py::arg("bucket"), py::arg("key"),
           py::arg("version_id") = "")
      .def("head", &PyObjectStore::Head, py::arg("bucket"), py::arg("key"),
           py::arg("version_id") = "")
      .def("delete", &PyObjectStore::Delete, py::arg("bucket"), py::arg("key"),
           py::arg("version_id") = "")
      .def("copy", &PyObjectStore::Copy, py::arg("from_bucket"), py::arg("from_key"),
           py::arg("bucket"), py::arg("key"))
      .def("list", &PyObjectStore::List, py::arg("bucket"), py::arg("prefix") = "",
           py::arg("delimiter") = "", py::arg("start_after") = "", py::arg("max_keys") = 1000)
      .def("close", &PyObjectStore::Close);
}

}  // namespace strata::python
