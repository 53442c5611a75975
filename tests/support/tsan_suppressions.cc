// SPDX-License-Identifier: Apache-2.0
//
// Part of every program that is built with the thread sanitizer. Debian's RocksDB is not, so the
// sanitizer misses the order that its atomics make and takes its reads and writes for races.
extern "C" const char* __tsan_default_suppressions() {
  return "called_from_lib:librocksdb.so\n"
         "race:librocksdb.so\n"
         "race:rocksdb::\n";
}
