// SPDX-License-Identifier: Apache-2.0
//
// Encrypted stores: nothing in clear on the device, no nonce twice, no key but the right one.
#include <openssl/evp.h>

#include <array>
#include <set>
#include <string>

#include "fixture.h"
#include "format/cipher.h"
#include "format/codec.h"
#include "format/region_format.h"
#include "region_bytes.h"
#include "strata/base/endian.h"
#include "strata/block/blocking.h"

namespace strata::dedup {
namespace {

using Catch::Contains;

EncryptionKey KeyFrom(uint64_t seed) {
  EncryptionKey key;
  Random(seed).Fill(key);
  return key;
}

Bytes WholeDevice(block::Device& device) {
  const block::Geometry& geometry = device.geometry();
  Bytes bytes(geometry.block_count * geometry.block_size_bytes);
  const auto channel = device.OpenChannel({.queue_depth = 4});
  REQUIRE(channel.ok());
  REQUIRE(block::ReadBlocking(**channel, block::Lba{0}, bytes).ok());
  return bytes;
}

bool Holds(const Bytes& bytes, std::span<const std::byte> wanted) {
  return std::search(bytes.begin(), bytes.end(), wanted.begin(), wanted.end()) != bytes.end();
}

std::string Hex(std::span<const std::byte> bytes) {
  std::string hex;
  for (const std::byte byte : bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    hex += kDigits[static_cast<uint8_t>(byte) >> 4];
    hex += kDigits[static_cast<uint8_t>(byte) & 15];
  }
  return hex;
}

}  // namespace

TEST_CASE("keys are derived as the format says") {
  EncryptionKey key;
  for (size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::byte>(i);
  Uuid store;
  store.fill(std::byte{0x11});
  std::array<std::byte, 8> salt;
  for (size_t i = 0; i < salt.size(); ++i) salt[i] = static_cast<std::byte>(i);
  CHECK(Hex(DeriveKey(key, "strata dedup check", store)) ==
        "ea8a91272fc314746f35da9c4bc3106ac6a723bc2ddeb8a4ddf8ab0e4b45afde");
  CHECK(Hex(DeriveKey(key, "strata dedup data", store, salt)) ==
        "2f56c14fcb60bd048edbf83dfc154070caa70f0e68385e1b7e45f19e2f272a72");
}

TEST_CASE("what is sealed opens by the book, and any change to it is found") {
  const uint64_t seed = test::Seed();
  const EncryptionKey key = KeyFrom(seed);
  Uuid store;
  Random(seed + 1).Fill(store);
  auto cipher = CreateCipher(key, store, 7);
  REQUIRE(cipher.ok());
  const Bytes text = RandomBytes(seed, 1000);
  Bytes about = RandomBytes(seed + 2, 16);
  Bytes sealed = text;
  std::array<std::byte, kSealBytes> seal;
  (*cipher)->Seal(sealed, about, seal.data());
  CHECK(sealed != text);
  CHECK(LoadLe32(seal.data() + 8) == 7);

  // By OpenSSL and the format's description alone.
  const auto data_key = DeriveKey(key, "strata dedup data", store, std::span(seal).first(8));
  const auto chars = [](const auto& bytes, size_t at = 0) {
    return reinterpret_cast<const unsigned char*>(bytes.data()) + at;
  };
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  Bytes opened(text.size());
  int size = 0;
  EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), nullptr, chars(data_key), chars(seal, 8));
  EVP_DecryptUpdate(context, nullptr, &size, chars(about), static_cast<int>(about.size()));
  EVP_DecryptUpdate(context, reinterpret_cast<unsigned char*>(opened.data()), &size, chars(sealed),
                    static_cast<int>(sealed.size()));
  EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, 16, seal.data() + 20);
  unsigned char none;
  CHECK(EVP_DecryptFinal_ex(context, &none, &size) == 1);
  EVP_CIPHER_CTX_free(context);
  CHECK(opened == text);

  const auto opens = [&] {
    return (*cipher)->Open(sealed, about, seal.data(), opened).ok() && opened == text;
  };
  CHECK(opens());
  for (size_t bit = 0; bit < kSealBytes * 8; ++bit) {
    seal[bit / 8] ^= std::byte{1} << (bit % 8);
    CHECK_FALSE(opens());
    seal[bit / 8] ^= std::byte{1} << (bit % 8);
  }
  for (Bytes* part : {&sealed, &about}) {
    for (std::byte& byte : *part) {
      byte ^= std::byte{1};
      CHECK_FALSE(opens());
      byte ^= std::byte{1};
    }
  }
  CHECK(opens());
  // Another opening with the key reads it; another key or another store does not.
  CHECK((*CreateCipher(key, store, 8))->Open(sealed, about, seal.data(), opened).ok());
  CHECK(absl::IsDataLoss(
      (*CreateCipher(KeyFrom(seed + 9), store, 7))->Open(sealed, about, seal.data(), opened)));
  store[0] ^= std::byte{1};
  CHECK(absl::IsDataLoss((*CreateCipher(key, store, 7))->Open(sealed, about, seal.data(), opened)));
}

TEST_CASE("an encrypted store shows neither data nor fingerprints on its device") {
  const uint64_t seed = test::Seed();
  for (const bool encrypted : {false, true}) {
    for (const Compression compression : {Compression::kNone, Compression::kZstd}) {
      INFO("STRATA_SEED=" << seed << " encrypted " << encrypted);
      MemoryHome home(16u << 20);
      home.options.compression = compression;
      home.options.worker_threads = 1;
      if (encrypted) home.options.encryption_key = KeyFrom(seed);
      home.options.chunker = {.algorithm = ChunkAlgorithm::kFixed, .avg_bytes = 8192};
      home.Open();
      const Bytes data = RandomBytes(seed, 4000000);
      const StreamId id = home.Put(data).id;
      home.Open();
      CHECK(home.Get(id) == data);
      CHECK(home.Damages() == 0);
      const Bytes device = WholeDevice(*home.device);
      const auto chunk = std::span(data).subspan(10 * 8192, 8192);
      CHECK(Holds(device, chunk.first(64)) == !encrypted);
      CHECK(Holds(device, FingerprintOf(chunk).bytes) == !encrypted);
      // And all of it goes on working.
      REQUIRE(home.store->RebuildIndex(nullptr).ok());
      CHECK(home.Get(id) == data);
      REQUIRE(home.store->Delete(id).ok());
      const StreamId next = home.Put(RandomBytes(seed + 1, 1000000)).id;
      CHECK(home.Collect().containers_freed >= 3);
      CHECK(home.Get(next) == RandomBytes(seed + 1, 1000000));
      CHECK(home.Damages() == 0);
    }
  }
}

TEST_CASE("a wrong, missing or unwanted key is named, and harms nothing") {
  const uint64_t seed = test::Seed();
  const auto refused = [](MemoryHome& home) {
    home.store.reset();
    const auto status = Store::Open(home.options).status();
    CHECK(absl::IsInvalidArgument(status));
    return std::string(status.message());
  };
  {
    MemoryHome home;
    home.options.encryption_key = KeyFrom(seed);
    home.Open();
    const StreamId id = home.Put(TextBytes(seed, 300000)).id;
    home.options.encryption_key = KeyFrom(seed + 1);
    CHECK_THAT(refused(home), Contains("encryption_key") && Contains("is not the one"));
    home.options.encryption_key.reset();
    CHECK_THAT(refused(home), Contains("encryption_key") && Contains("is missing"));
    home.options.encryption_key = KeyFrom(seed);
    home.Open();
    CHECK(home.Get(id) == TextBytes(seed, 300000));
  }
  {
    MemoryHome home;
    home.Open();
    const StreamId id = home.Put(TextBytes(seed, 300000)).id;
    home.options.encryption_key = KeyFrom(seed);
    CHECK_THAT(refused(home), Contains("without one"));
    home.options.encryption_key.reset();
    home.options.chunker.key = KeyFrom(seed);
    CHECK_THAT(refused(home), Contains("chunker.key") && Contains("without one"));
    home.options.chunker.key.reset();
    home.Open();
    CHECK(home.Get(id) == TextBytes(seed, 300000));
  }
  {
    MemoryHome home;
    home.options.chunker.key = KeyFrom(seed);
    home.Open();
    const Bytes data = RandomBytes(seed, 300000);
    home.Put(data);
    home.options.chunker.key = KeyFrom(seed + 1);
    CHECK_THAT(refused(home), Contains("chunker.key") && Contains("is not the one"));
    home.options.chunker.key = KeyFrom(seed);
    home.Open();
    CHECK(home.Put(data).new_chunk_bytes == 0);
  }
}

TEST_CASE("encrypted stores cut by a key of their own") {
  const uint64_t seed = test::Seed();
  const Bytes data = RandomBytes(seed, 4000000);
  std::set<uint64_t> sizes;
  for (const uint64_t key : {1, 2, 3, 3}) {
    MemoryHome home;
    home.options.encryption_key = KeyFrom(key);
    home.Open();
    const StreamInfo info = home.Put(data);
    home.Open();
    CHECK(home.Put(data).new_chunk_bytes == 0);
    // How many chunks end in each half: the same by chance only.
    sizes.insert(info.chunk_count * 1000 + home.Put(std::span(data).first(2000000)).chunk_count);
  }
  CHECK(sizes.size() > 1);
}

TEST_CASE("no nonce is used twice, through reopenings, lost writes and collections") {
  const uint64_t seed = test::Seed();
  INFO("STRATA_SEED=" << seed);
  MemoryHome home(24u << 20);
  home.options.encryption_key = KeyFrom(seed);
  home.options.region_bytes = 16u << 10;
  std::set<std::string> nonces;   // Salt, opening and number.
  std::set<std::string> regions;  // Whole regions' seals with their places.
  std::vector<StreamId> streams;
  size_t seen = 0;
  for (int opening = 0; opening < 8; ++opening) {
    home.Open();
    for (int i = 0; i < 6; ++i) {
      streams.push_back(home.Put(TextBytes(seed + opening * 100 + i, 200000)).id);
    }
    if (opening % 3 == 2) {
      for (size_t i = 0; i < streams.size(); i += 2) REQUIRE(home.store->Delete(streams[i]).ok());
      std::vector<StreamId> left;
      for (size_t i = 1; i < streams.size(); i += 2) left.push_back(streams[i]);
      streams = left;
      home.Collect();
    }
    // An abandoned writer: its regions may stay behind in the slot.
    const std::unique_ptr<Writer> writer = home.store->NewWriter();
    REQUIRE(writer->Write(RandomBytes(seed + opening, 100000)).ok());
    const Bytes device = WholeDevice(*home.device);
    for (size_t at = 0; at + kRegionHeaderBytes <= device.size(); at += kUnitBytes) {
      const auto header = DecodeRegionHeader(std::span(device).subspan(at));
      if (!header.ok() || at + header->total_bytes() > device.size()) continue;
      REQUIRE(header->sealed);
      const size_t seal_at = at + header->total_bytes() - kSealBytes;
      const std::string nonce = Hex(std::span(device).subspan(seal_at, 20));
      const std::string whole = nonce + Hex(std::span(device).subspan(at, kRegionHeaderBytes));
      if (!regions.insert(whole).second) continue;  // Seen in an earlier round.
      ++seen;
      CHECK(nonces.insert(nonce).second);
    }
  }
  CHECK(seen > 200);
}

TEST_CASE("a store takes no region that is not sealed as its own are") {
  const std::unique_ptr<Codec> codec = CreateCodec();
  auto cipher = CreateCipher(KeyFrom(1), Uuid{}, 1);
  REQUIRE(cipher.ok());
  const Bytes raw = TextBytes(2, 5000);
  const ChunkEntry entry{FingerprintOf(raw), 5000};
  for (Cipher* writing : {static_cast<Cipher*>(nullptr), cipher->get()}) {
    for (Cipher* reading : {static_cast<Cipher*>(nullptr), cipher->get()}) {
      EncodedRegion region;
      EncodeRegion(RegionKind::kData, {&entry, 1}, raw, Compression::kLz4, 1, *codec, writing,
                   &region);
      PlaceRegion({.container_id = 1, .offset_units = 1}, &region);
      const Bytes bytes = BytesOf(region);
      const auto back = DecodeRegion(bytes, reading);
      CHECK(back.ok() == (writing == reading));
      if (!back.ok()) {
        CHECK(absl::IsDataLoss(back.status()));
        continue;
      }
      Bytes data(raw.size());
      REQUIRE(codec->Decompress(back->header.codec, back->payload, data).ok());
      CHECK(data == raw);
    }
  }
}

}  // namespace strata::dedup
