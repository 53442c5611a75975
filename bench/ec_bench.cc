// SPDX-License-Identifier: Apache-2.0
//
// Measures libec and CRC-32C next to ISA-L, on one core.
//
//   ec_bench [--ops a,b,...] [--shapes 4+2,...] [--sizes 65536,...] [--rounds N] [--kernel NAME]
//
// Operations:
//   encode       parity of one stripe, again and again
//   rebuildN     N lost shards, data shards first, from the rest; N from 1 to m; the algebra is
//                done beforehand, its time is printed by `plan`
//   update       the parity after one data shard changed
//   memory       encode, every time another stripe out of 512 MiB
//   lrc          a locally repairable code of two groups and m - 2 global parities, encode
//   plan         microseconds to plan the repair of two lost shards (ISA-L: invert a matrix)
//   crc32c       checksums of --sizes bytes
//   read         a word of every cache line of 512 MiB, in eight streams: the bound of `memory`
// Each prints: name, ours, ISA-L's, and ours over ISA-L's. The two run in turn; figures are the
// medians of the rounds, the ratio is the median of the rounds' ratios. Rates are GB of data (not
// of parity) per second of processor time. ISA-L is given the instruction set of --kernel when that
// is avx2, and chooses itself otherwise.
//
// --shapes [4+2,6+3,8+3,10+4,17+3]  --sizes: of a shard [4096,65536,1048576]
#include <isa-l/crc.h>
#include <isa-l/erasure_code.h>
#include <isa-l/raid.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "strata/base/crc32c.h"
#include "strata/base/random.h"
#include "strata/ec/code.h"
#include "support/must.h"

namespace strata::ec {
namespace {

constexpr size_t kMemoryBytes = size_t{512} << 20;
constexpr size_t kRoundBytes = size_t{8} << 20;

struct Shape {
  int k;
  int m;
};

struct Flags {
  std::vector<std::string> ops = {"encode",   "rebuild1", "rebuild2", "rebuild3",
                                  "rebuild4", "update",   "memory",   "lrc",
                                  "plan",     "crc32c",   "read"};
  std::vector<Shape> shapes = {{4, 2}, {6, 3}, {8, 3}, {10, 4}, {17, 3}};
  std::vector<size_t> sizes = {4096, 65536, 1048576};
  int rounds = 21;
  Kernel kernel = Kernel::kFastest;
};

using test::Must;

double ProcessorSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Runs both `repeats` times in each round and prints the line. `amount`: of whatever, per call.
void Compare(const std::string& name, const Flags& flags, size_t repeats, double amount,
             const std::function<void()>& ours, const std::function<void()>& theirs) {
  std::vector<double> rates[2];
  std::vector<double> ratios;
  const auto seconds = [&](const std::function<void()>& run) {
    const double begin = ProcessorSeconds();
    for (size_t i = 0; i < repeats; ++i) run();
    return ProcessorSeconds() - begin;
  };
  for (int round = 0; round < flags.rounds; ++round) {
    const bool first = round % 2 == 0;
    const double a = seconds(first ? ours : theirs);
    const double b = seconds(first ? theirs : ours);
    const double total = amount * static_cast<double>(repeats);
    rates[0].push_back(total / (first ? a : b));
    rates[1].push_back(total / (first ? b : a));
    ratios.push_back(rates[0].back() / rates[1].back());
  }
  std::printf("%-28s %9.2f %9.2f %6.2f\n", name.c_str(), Median(rates[0]), Median(rates[1]),
              Median(ratios));
  std::fflush(stdout);
}

// Page-aligned memory, so that shards lie as badly for the cache as shards do.
class Memory {
 public:
  explicit Memory(size_t bytes)
      : bytes_(bytes), data_(static_cast<std::byte*>(std::aligned_alloc(4096, bytes))) {
    Random random(1);
    random.Fill(Bytes(data_.get(), bytes));
  }
  Bytes At(size_t offset, size_t size) const { return {data_.get() + offset, size}; }
  size_t size() const { return bytes_; }

 private:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  const size_t bytes_;
  const std::unique_ptr<std::byte, Free> data_;
};

// The shards of one stripe, as each side wants them.
struct Stripe {
  std::vector<ConstBytes> data;
  std::vector<Bytes> parity;
  std::vector<Bytes> all;
  std::vector<unsigned char*> raw;

  Stripe(const Memory& memory, size_t offset, int k, int m, size_t size) {
    for (int i = 0; i < k + m; ++i) {
      const Bytes shard = memory.At(offset + static_cast<size_t>(i) * size, size);
      if (i < k) {
        data.push_back(shard);
      } else {
        parity.push_back(shard);
      }
      all.push_back(shard);
      raw.push_back(reinterpret_cast<unsigned char*>(shard.data()));
    }
  }
};

// ISA-L's side.
class IsaL {
 public:
  IsaL(Shape shape, Kernel kernel) : k_(shape.k), m_(shape.m), avx2_(kernel == Kernel::kAvx2) {
    matrix_.resize(static_cast<size_t>((k_ + m_) * k_));
    gf_gen_cauchy1_matrix(matrix_.data(), k_ + m_, k_);
    tables_.resize(static_cast<size_t>(32 * k_ * m_));
    ec_init_tables(k_, m_, matrix_.data() + k_ * k_, tables_.data());
  }

  void Encode(Stripe& stripe, size_t size) {
    Run(size, m_, tables_, stripe.raw.data(), stripe.raw.data() + k_);
  }

  // Data shards 0 .. losses - 1 are lost; the parity shards replace them.
  void PlanRebuild(int losses) {
    std::vector<unsigned char> kept(static_cast<size_t>(k_ * k_));
    for (int i = 0; i < k_; ++i) {
      std::memcpy(&kept[static_cast<size_t>(i * k_)],
                  &matrix_[static_cast<size_t>((i + losses) * k_)], static_cast<size_t>(k_));
    }
    std::vector<unsigned char> inverse(kept.size());
    if (gf_invert_matrix(kept.data(), inverse.data(), k_) != 0) std::exit(1);
    rebuild_tables_.resize(static_cast<size_t>(32 * k_ * losses));
    ec_init_tables(k_, losses, inverse.data(), rebuild_tables_.data());
  }

  void Rebuild(Stripe& stripe, int losses, size_t size) {
    Run(size, losses, rebuild_tables_, stripe.raw.data() + losses, stripe.raw.data());
  }

  void Update(Stripe& stripe, const std::byte* old_data, Bytes delta) {
    void* vectors[] = {const_cast<std::byte*>(old_data), stripe.raw[0], delta.data()};
    xor_gen(3, static_cast<int>(delta.size()), vectors);
    ec_encode_data_update(static_cast<int>(delta.size()), k_, m_, 0, tables_.data(),
                          reinterpret_cast<unsigned char*>(delta.data()), stripe.raw.data() + k_);
  }

 private:
  void Run(size_t size, int rows, std::vector<unsigned char>& tables, unsigned char** from,
           unsigned char** to) const {
#if defined(__x86_64__)
    if (avx2_)
      return ec_encode_data_avx2(static_cast<int>(size), k_, rows, tables.data(), from, to);
#endif
    ec_encode_data(static_cast<int>(size), k_, rows, tables.data(), from, to);
  }

  const int k_;
  const int m_;
  const bool avx2_;
  std::vector<unsigned char> matrix_;
  std::vector<unsigned char> tables_;
  std::vector<unsigned char> rebuild_tables_;
};

class Bench {
 public:
  explicit Bench(const Flags& flags) : flags_(flags) {}

  void Run() {
    for (const std::string& op : flags_.ops) {
      if (op == "crc32c") {
        for (const size_t size : flags_.sizes) Checksum(size);
      } else if (op == "read") {
        Read();
      } else {
        for (const Shape shape : flags_.shapes) {
          if (op == "plan") {
            Plan(shape);
            continue;
          }
          for (const size_t size : flags_.sizes) Shards(op, shape, size);
        }
      }
    }
  }

 private:
  static std::string Name(const std::string& op, Shape shape, size_t size) {
    return op + "." + std::to_string(shape.k) + "+" + std::to_string(shape.m) + "." +
           std::to_string(size);
  }

  std::unique_ptr<Code> ReedSolomon(Shape shape) const {
    return Must(CreateReedSolomon(
        {.data_shards = shape.k, .parity_shards = shape.m, .kernel = flags_.kernel}));
  }

  void Shards(const std::string& op, Shape shape, size_t size) {
    if (op == "memory") return FromMemory(shape, size);
    const Memory memory(static_cast<size_t>(shape.k + shape.m) * size);
    Stripe stripe(memory, 0, shape.k, shape.m, size);
    IsaL peer(shape, flags_.kernel);
    auto code = ReedSolomon(shape);
    if (op == "lrc") {
      if (shape.m < 3 || shape.k % 2 != 0) return;
      code = Must(CreateLocallyRepairable({.data_shards = shape.k,
                                           .groups = 2,
                                           .global_parities = shape.m - 2,
                                           .kernel = flags_.kernel}));
    }
    const double gigabytes = static_cast<double>(shape.k) * static_cast<double>(size) / 1e9;
    const size_t repeats = std::max<size_t>(1, kRoundBytes / (size * static_cast<size_t>(shape.k)));
    if (op == "encode" || op == "lrc") {
      Compare(
          Name(op, shape, size), flags_, repeats, gigabytes,
          [&] { Must(code->Encode(stripe.data, stripe.parity)); },
          [&] { peer.Encode(stripe, size); });
    } else if (op == "update") {
      Update(*code, peer, stripe, shape, size);
    } else if (op.starts_with("rebuild")) {
      const int losses = std::atoi(op.c_str() + std::strlen("rebuild"));
      if (losses > shape.m || losses < 1) return;
      Rebuild(*code, peer, stripe, shape, size, losses);
    } else {
      std::fprintf(stderr, "ec_bench: no operation '%s'\n", op.c_str());
      std::exit(2);
    }
  }

  void Rebuild(const Code& code, IsaL& peer, Stripe& stripe, Shape shape, size_t size,
               int losses) const {
    Must(code.Encode(stripe.data, stripe.parity));
    ShardSet lost;
    for (int i = 0; i < losses; ++i) lost.set(static_cast<size_t>(i));
    const auto repair = Must(code.PlanRepair(code.AllShards() & ~lost, lost));
    std::vector<ConstBytes> sources;
    std::vector<Bytes> targets;
    for (const int i : repair->sources()) sources.push_back(stripe.all[static_cast<size_t>(i)]);
    for (const int i : repair->targets()) targets.push_back(stripe.all[static_cast<size_t>(i)]);
    peer.PlanRebuild(losses);
    const double gigabytes = static_cast<double>(shape.k) * static_cast<double>(size) / 1e9;
    Compare(
        Name("rebuild" + std::to_string(losses), shape, size), flags_,
        std::max<size_t>(1, kRoundBytes / (size * static_cast<size_t>(shape.k))), gigabytes,
        [&] { Must(repair->Run(sources, targets)); }, [&] { peer.Rebuild(stripe, losses, size); });
  }

  void Update(const Code& code, IsaL& peer, Stripe& stripe, Shape shape, size_t size) const {
    const Memory old_data(size);
    const Memory delta(size);
    Compare(
        Name("update", shape, size), flags_, std::max<size_t>(1, kRoundBytes / size / 2),
        static_cast<double>(size) / 1e9,
        [&] { Must(code.Update(0, old_data.At(0, size), stripe.data[0], stripe.parity)); },
        [&] { peer.Update(stripe, old_data.At(0, size).data(), delta.At(0, size)); });
  }

  void FromMemory(Shape shape, size_t size) {
    const Memory& memory = Large();
    const size_t stripe_bytes = static_cast<size_t>(shape.k + shape.m) * size;
    std::vector<Stripe> stripes;
    for (size_t at = 0; at + stripe_bytes <= memory.size(); at += stripe_bytes) {
      stripes.emplace_back(memory, at, shape.k, shape.m, size);
    }
    IsaL peer(shape, flags_.kernel);
    const auto code = ReedSolomon(shape);
    // Each side goes on where the other stopped: what it touches has left the cache.
    size_t next = 0;
    const auto take = [&]() -> Stripe& { return stripes[next++ % stripes.size()]; };
    const double data_bytes = static_cast<double>(shape.k) * static_cast<double>(size);
    Compare(
        Name("memory", shape, size), flags_, std::max<size_t>(1, stripes.size() / 4),
        data_bytes / 1e9,
        [&] {
          Stripe& stripe = take();
          Must(code->Encode(stripe.data, stripe.parity));
        },
        [&] { peer.Encode(take(), size); });
  }

  void Plan(Shape shape) const {
    const auto code = ReedSolomon(shape);
    IsaL peer(shape, flags_.kernel);
    const ShardSet lost(0b11);
    const ShardSet present = code->AllShards() & ~lost;
    std::vector<double> micros[2];
    for (int round = 0; round < flags_.rounds; ++round) {
      constexpr int kRepeats = 200;
      double begin = ProcessorSeconds();
      for (int i = 0; i < kRepeats; ++i) Must(code->PlanRepair(present, lost));
      micros[0].push_back((ProcessorSeconds() - begin) / kRepeats * 1e6);
      begin = ProcessorSeconds();
      for (int i = 0; i < kRepeats; ++i) peer.PlanRebuild(2);
      micros[1].push_back((ProcessorSeconds() - begin) / kRepeats * 1e6);
    }
    const std::string name = "plan." + std::to_string(shape.k) + "+" + std::to_string(shape.m);
    std::printf("%-28s %9.2f %9.2f %6.2f\n", name.c_str(), Median(micros[0]), Median(micros[1]),
                Median(micros[1]) / Median(micros[0]));
  }

  void Checksum(size_t size) const {
    const Memory memory(size);
    const Bytes data = memory.At(0, size);
    uint32_t sum = 0;
    Compare(
        "crc32c." + std::to_string(size), flags_, std::max<size_t>(1, kRoundBytes / size),
        static_cast<double>(size) / 1e9, [&] { sum = ExtendCrc32c(sum, data); },
        [&] {
          sum = crc32_iscsi(reinterpret_cast<unsigned char*>(data.data()), static_cast<int>(size),
                            sum);
        });
    if (sum == 1) std::puts("");  // The sums are used.
  }

  void Read() {
    const Memory& memory = Large();
    uint64_t sum = 0;
    // Eight streams, as encoding has them, each fetched ahead into the second-level cache (in the
    // first they evict each other): one alone is slower.
    constexpr size_t kStreams = 8;
    constexpr size_t kAheadBytes = 1024;
    const size_t stream_bytes = memory.size() / kStreams;
    const auto read = [&] {
      for (size_t at = 0; at < stream_bytes; at += 64) {
        for (size_t stream = 0; stream < kStreams; ++stream) {
          const std::byte* const line = memory.At(stream * stream_bytes + at, 64).data();
          __builtin_prefetch(line + kAheadBytes, 0, /*locality=*/2);
          uint64_t word = 0;
          std::memcpy(&word, line, sizeof(word));
          sum += word;
        }
      }
    };
    Compare("read", flags_, 1, static_cast<double>(memory.size()) / 1e9, read, read);
    if (sum == 1) std::puts("");
  }

  const Memory& Large() {
    if (large_ == nullptr) large_ = std::make_unique<Memory>(kMemoryBytes);
    return *large_;
  }

  const Flags flags_;
  std::unique_ptr<Memory> large_;
};

std::vector<std::string> Split(const std::string& list) {
  std::vector<std::string> parts;
  for (size_t at = 0; at <= list.size();) {
    const size_t end = std::min(list.find(',', at), list.size());
    parts.push_back(list.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

int Main(int argc, char** argv) {
  Flags flags;
  for (int i = 1; i < argc; i += 2) {
    const std::string flag = argv[i];
    if (i + 1 == argc) {
      std::fprintf(stderr, "ec_bench: %s wants a value\n", argv[i]);
      return 2;
    }
    const std::string value = argv[i + 1];
    if (flag == "--ops") {
      flags.ops = Split(value);
    } else if (flag == "--rounds") {
      flags.rounds = std::max(1, std::atoi(value.c_str()));
    } else if (flag == "--kernel") {
      flags.kernel = Must(ParseKernel(value));
    } else if (flag == "--sizes") {
      flags.sizes.clear();
      for (const std::string& size : Split(value)) flags.sizes.push_back(std::stoul(size));
    } else if (flag == "--shapes") {
      flags.shapes.clear();
      for (const std::string& shape : Split(value)) {
        flags.shapes.push_back({std::stoi(shape), std::stoi(shape.substr(shape.find('+') + 1))});
      }
    } else {
      std::fprintf(stderr, "ec_bench: what is %s? The top of its source file says what there is.\n",
                   argv[i]);
      return 2;
    }
  }
  Bench(flags).Run();
  return 0;
}

}  // namespace
}  // namespace strata::ec

int main(int argc, char** argv) { return strata::ec::Main(argc, argv); }
