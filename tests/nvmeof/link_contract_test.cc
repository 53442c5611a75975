// SPDX-License-Identifier: Apache-2.0
//
// The contract of Link, over each engine. Peers that misbehave are plain sockets of the test.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <cerrno>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "link/link.h"
#include "strata/base/random.h"
#include "support/manual_clock.h"
#include "support/seed.h"

namespace strata::nvmeof {
namespace {

using Bytes = std::vector<std::byte>;

constexpr int64_t kForever = INT64_MAX;
constexpr int64_t kStepNanos = 20'000'000;
constexpr int kMaxSteps = 3000;  // A minute: only a failure takes so long.
constexpr int kFewRounds = 50;   // A loop that spins makes thousands.

// Keeps what happens to a stream.
struct Recorder final : StreamHandler {
  void OnConnected() override { is_connected = true; }

  size_t PlaceReceived(std::span<iovec> places) override {
    ++asked_count;
    if (is_paused) return 0;
    // Scattered: three bytes, then the rest.
    places[0] = {buffer.data(), 3};
    places[1] = {buffer.data() + 3, buffer.size() - 3};
    return 2;
  }

  void OnReceived(size_t size_bytes) override {
    CHECK(size_bytes > 0);
    CHECK(size_bytes <= buffer.size());
    received.insert(received.end(), buffer.begin(),
                    buffer.begin() + static_cast<ptrdiff_t>(size_bytes));
    if (on_received) on_received();
  }

  void OnEnd() override {
    CHECK_FALSE(is_ended);
    is_ended = true;
    if (on_end) on_end();
  }

  void OnClosed(const absl::Status& status) override {
    CHECK_FALSE(closed.has_value());
    closed = status;
  }

  Bytes buffer = Bytes(4096);
  bool is_paused = false;
  bool is_connected = false;
  bool is_ended = false;
  int asked_count = 0;
  Bytes received;
  std::optional<absl::Status> closed;
  std::function<void()> on_received;
  std::function<void()> on_end;
  Stream* stream = nullptr;
};

struct Acceptor final : AcceptHandler {
  explicit Acceptor(Link* a_link) : link(a_link) {}

  void OnAccept(Socket socket, const Endpoint& peer) override {
    peers.push_back(peer);
    handlers.push_back(std::make_unique<Recorder>());
    handlers.back()->is_paused = is_paused;
    absl::StatusOr<Stream*> stream = link->Adopt(std::move(socket), handlers.back().get());
    REQUIRE(stream.ok());
    handlers.back()->stream = *stream;
  }

  Link* const link;
  bool is_paused = false;
  std::vector<Endpoint> peers;
  std::vector<std::unique_ptr<Recorder>> handlers;
};

// Requests whose bytes live as long as they do.
class Outbox {
 public:
  void Send(Stream* stream, Bytes bytes, size_t piece_bytes = SIZE_MAX) {
    Item& item = items_.emplace_back();
    item.bytes = std::move(bytes);
    for (size_t at = 0; at < item.bytes.size(); at += piece_bytes) {
      item.vectors.push_back(
          {item.bytes.data() + at, std::min(piece_bytes, item.bytes.size() - at)});
      if (piece_bytes == SIZE_MAX) break;
    }
    item.outbox = this;
    item.request.vectors = item.vectors;
    item.request.context = &item;
    item.request.done = [](SendRequest* request, bool is_sent) {
      Item* done = static_cast<Item*>(request->context);
      CHECK_FALSE(done->is_done);
      done->is_done = true;
      ++(is_sent ? done->outbox->sent_count : done->outbox->unsent_count);
    };
    stream->Send(&item.request);
  }

  int sent_count = 0;
  int unsent_count = 0;

 private:
  struct Item {
    Bytes bytes;
    std::vector<iovec> vectors;
    SendRequest request;
    Outbox* outbox = nullptr;
    bool is_done = false;
  };

  std::deque<Item> items_;
};

Bytes SomeBytes(size_t size, uint64_t salt = 0) {
  Bytes bytes(size);
  Random(test::Seed() + salt).Fill(bytes);
  return bytes;
}

template <typename Condition>
void PollUntil(Link* link, Condition condition) {
  for (int step = 0; step < kMaxSteps && !condition(); ++step) link->Poll(kStepNanos);
  REQUIRE(condition());
}

// Rounds that the link makes in a sleep without a limit, until another thread ends it.
int RoundsUntilWoken(Link* link) {
  std::atomic<bool> is_woken = false;
  std::thread waker([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(60));
    is_woken = true;
    link->Wake();
  });
  int rounds = 0;
  while (!is_woken) {
    link->Poll(-1);
    ++rounds;
  }
  waker.join();
  return rounds;
}

std::unique_ptr<Link> MustOpen(LinkEngine engine, const Clock& clock = SystemClock(),
                               size_t max_streams = 16384) {
  absl::StatusOr<std::unique_ptr<Link>> link =
      OpenLink({.engine = engine, .clock = &clock, .max_streams = max_streams});
  REQUIRE(link.ok());
  return *std::move(link);
}

// A link that listens, and what it accepted.
struct Served {
  explicit Served(LinkEngine engine, const char* address = "127.0.0.1:0",
                  const Clock& clock = SystemClock())
      : acceptor(nullptr), link(MustOpen(engine, clock)) {
    acceptor = std::make_unique<Acceptor>(link.get());
    absl::StatusOr<Listener*> listening =
        link->Listen(ParseEndpoint(address).value(), acceptor.get());
    REQUIRE(listening.ok());
    listener = *listening;
    endpoint = link->LocalEndpoint(listener);
  }

  Recorder& Accepted(size_t index = 0) {
    PollUntil(link.get(), [&] { return acceptor->handlers.size() > index; });
    return *acceptor->handlers[index];
  }

  std::unique_ptr<Acceptor> acceptor;
  std::unique_ptr<Link> link;
  Listener* listener = nullptr;
  Endpoint endpoint;
};

// A peer that is a plain blocking socket.
Socket PlainPeer(const Endpoint& endpoint) {
  Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(endpoint.port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(connect(socket.fd(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  return socket;
}

void SendAll(const Socket& socket, const Bytes& bytes) {
  REQUIRE(send(socket.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(bytes.size()));
}

LinkEngine AnyEngine() { return GENERATE(LinkEngine::kEpoll, LinkEngine::kUring); }

TEST_CASE("Bytes go both ways, over IPv4 and IPv6, whatever the pieces") {
  const LinkEngine engine = AnyEngine();
  const char* address = GENERATE("127.0.0.1:0", "[::1]:0");
  Served served(engine, address);
  Recorder client;
  absl::StatusOr<Stream*> stream = served.link->Connect(served.endpoint, kForever, &client);
  REQUIRE(stream.ok());
  Outbox outbox;
  outbox.Send(*stream, SomeBytes(10));  // Before it is connected.
  Recorder& server = served.Accepted();
  CHECK(served.acceptor->peers[0].is_ipv6 == served.endpoint.is_ipv6);
  Bytes to_server = SomeBytes(10);
  Bytes to_client;
  Random random(test::Seed());
  int count = 1;
  for (uint64_t round = 1; round < 40; ++round) {
    const size_t size = random.Uniform(round % 8 == 0 ? 700'000 : 5000);
    const size_t piece = 1 + random.Uniform(size / 50 + 50);
    for (Stream* to : {*stream, server.stream}) {
      Bytes bytes = SomeBytes(size, round * 2 + (to == *stream ? 1 : 0));
      Bytes& all = to == *stream ? to_server : to_client;
      all.insert(all.end(), bytes.begin(), bytes.end());
      outbox.Send(to, std::move(bytes), piece);
      ++count;
    }
    if (round % 3 == 0) served.link->Poll(0);
  }
  PollUntil(served.link.get(), [&] {
    return server.received.size() >= to_server.size() && client.received.size() >= to_client.size();
  });
  CHECK(server.received == to_server);
  CHECK(client.received == to_client);
  PollUntil(served.link.get(), [&] { return outbox.sent_count == count; });
  CHECK(client.is_connected);
  (*stream)->Close();
  PollUntil(served.link.get(), [&] { return client.closed.has_value() && server.is_ended; });
  CHECK(client.closed->ok());
  CHECK(served.link->stream_count() == 1);
}

TEST_CASE("A peer that never reads holds back its own bytes only, and costs no rounds") {
  Served served(AnyEngine());
  const Socket stuck = PlainPeer(served.endpoint);
  Recorder& server = served.Accepted();
  Outbox outbox;
  const Bytes bytes = SomeBytes(16 << 20);
  outbox.Send(server.stream, bytes, 100'000);
  for (int i = 0; i < 20; ++i) served.link->Poll(1'000'000);
  CHECK(outbox.sent_count == 0);
  CHECK(RoundsUntilWoken(served.link.get()) < kFewRounds);

  const Socket lively = PlainPeer(served.endpoint);
  Recorder& other = served.Accepted(1);
  outbox.Send(other.stream, SomeBytes(100));
  PollUntil(served.link.get(), [&] { return outbox.sent_count == 1; });

  SECTION("and gets all of them once it reads") {
    Bytes got(bytes.size());
    std::thread reader([&] {
      CHECK(recv(stuck.fd(), got.data(), got.size(), MSG_WAITALL) ==
            static_cast<ssize_t>(got.size()));
    });
    PollUntil(served.link.get(), [&] { return outbox.sent_count == 2; });
    reader.join();
    CHECK(got == bytes);
  }
  SECTION("and has ended its half: waiting for room does not spin") {
    REQUIRE(shutdown(stuck.fd(), SHUT_WR) == 0);
    PollUntil(served.link.get(), [&] { return server.is_ended; });
    CHECK(RoundsUntilWoken(served.link.get()) < kFewRounds);
    Bytes got(bytes.size());
    std::thread reader([&] {
      CHECK(recv(stuck.fd(), got.data(), got.size(), MSG_WAITALL) ==
            static_cast<ssize_t>(got.size()));
    });
    PollUntil(served.link.get(), [&] { return outbox.sent_count == 2; });
    reader.join();
    CHECK(got == bytes);
  }
  SECTION("and is closed: the request ends unsent, exactly once") {
    server.stream->Close();
    CHECK(outbox.unsent_count == 0);
    PollUntil(served.link.get(), [&] { return server.closed.has_value(); });
    CHECK(outbox.unsent_count == 1);
    CHECK(server.closed->ok());
  }
  SECTION("and the link goes: the request ends unsent") {
    served.link.reset();
    CHECK(outbox.unsent_count == 1);
    CHECK(server.closed.has_value());
  }
}

TEST_CASE("Half-close, in each direction") {
  Served served(AnyEngine());
  const Socket peer = PlainPeer(served.endpoint);
  Recorder& server = served.Accepted();
  Outbox outbox;
  SECTION("the peer ends its half and still receives") {
    SendAll(peer, SomeBytes(1000));
    REQUIRE(shutdown(peer.fd(), SHUT_WR) == 0);
    PollUntil(served.link.get(), [&] { return server.is_ended; });
    CHECK(server.received == SomeBytes(1000));
    CHECK(RoundsUntilWoken(served.link.get()) < kFewRounds);
    outbox.Send(server.stream, SomeBytes(2000));
    PollUntil(served.link.get(), [&] { return outbox.sent_count == 1; });
    Bytes got(2000);
    CHECK(recv(peer.fd(), got.data(), got.size(), MSG_WAITALL) == 2000);
    CHECK(got == SomeBytes(2000));
  }
  SECTION("our half ends after what was queued, and we still receive") {
    outbox.Send(server.stream, SomeBytes(2000));
    server.stream->ShutdownSend();
    PollUntil(served.link.get(), [&] { return outbox.sent_count == 1; });
    Bytes got(2001);
    CHECK(recv(peer.fd(), got.data(), got.size(), MSG_WAITALL) == 2000);
    SendAll(peer, SomeBytes(500));
    PollUntil(served.link.get(), [&] { return server.received.size() == 500; });
  }
  SECTION("both halves end: the stream is the owner's until it closes it") {
    server.stream->ShutdownSend();
    REQUIRE(shutdown(peer.fd(), SHUT_WR) == 0);
    PollUntil(served.link.get(), [&] { return server.is_ended; });
    CHECK(RoundsUntilWoken(served.link.get()) < kFewRounds);
    CHECK_FALSE(server.closed.has_value());
    server.stream->Close();
    PollUntil(served.link.get(), [&] { return server.closed.has_value(); });
  }
}

TEST_CASE("A reset, by the peer and by us") {
  Served served(AnyEngine());
  Socket peer = PlainPeer(served.endpoint);
  Recorder& server = served.Accepted();
  SECTION("by the peer") {
    ResetOnClose(peer.fd());
    peer.Close();
    PollUntil(served.link.get(), [&] { return server.closed.has_value(); });
    CHECK(absl::IsUnavailable(*server.closed));
    CHECK_FALSE(server.is_ended);
  }
  SECTION("by the peer, while the owner takes nothing") {
    server.is_paused = true;
    SendAll(peer, SomeBytes(10));
    PollUntil(served.link.get(), [&] { return server.asked_count > 0; });
    ResetOnClose(peer.fd());
    peer.Close();
    PollUntil(served.link.get(), [&] { return server.closed.has_value(); });
    CHECK(absl::IsUnavailable(*server.closed));
  }
  SECTION("by us") {
    server.stream->Reset();
    PollUntil(served.link.get(), [&] { return server.closed.has_value(); });
    CHECK(server.closed->ok());
    char byte;
    CHECK(recv(peer.fd(), &byte, 1, 0) == -1);
    CHECK(errno == ECONNRESET);
  }
}

TEST_CASE("An owner that takes nothing is not asked again, and gets everything later") {
  Served served(AnyEngine());
  served.acceptor->is_paused = true;
  Socket peer = PlainPeer(served.endpoint);
  Recorder& server = served.Accepted();
  SendAll(peer, SomeBytes(50'000));
  PollUntil(served.link.get(), [&] { return server.asked_count == 1; });
  CHECK(RoundsUntilWoken(served.link.get()) < kFewRounds);
  peer.Close();  // The end comes after the bytes.
  CHECK(RoundsUntilWoken(served.link.get()) < kFewRounds);
  CHECK(server.asked_count == 1);
  CHECK(server.received.empty());
  server.is_paused = false;
  server.stream->ResumeReceive();
  PollUntil(served.link.get(), [&] { return server.is_ended; });
  CHECK(server.received == SomeBytes(50'000));
}

TEST_CASE("A connection that fails ends with the reason") {
  const LinkEngine engine = AnyEngine();
  test::ManualClock clock(1'000'000'000);
  Recorder handler;
  const std::unique_ptr<Link> link = MustOpen(engine, clock);
  SECTION("refused") {
    Served served(engine);
    const Endpoint endpoint = served.endpoint;
    served.link.reset();
    REQUIRE(link->Connect(endpoint, kForever, &handler).ok());
    PollUntil(link.get(), [&] { return handler.closed.has_value(); });
    CHECK(absl::IsUnavailable(*handler.closed));
  }
  SECTION("not in time") {
    // A full backlog: further connections stay half-open.
    const Socket listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(bind(listener.fd(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
    REQUIRE(listen(listener.fd(), 0) == 0);
    const Endpoint endpoint = LocalAddress(listener.fd());
    const Socket filler = PlainPeer(endpoint);
    Outbox outbox;
    const absl::StatusOr<Stream*> stream =
        link->Connect(endpoint, clock.now_ns + 5'000'000'000, &handler);
    REQUIRE(stream.ok());
    outbox.Send(*stream, SomeBytes(10));
    for (int i = 0; i < 5; ++i) link->Poll(1'000'000);
    CHECK_FALSE(handler.closed.has_value());
    clock.now_ns += 5'000'000'000;
    PollUntil(link.get(), [&] { return handler.closed.has_value(); });
    CHECK(absl::IsDeadlineExceeded(*handler.closed));
    CHECK(outbox.unsent_count == 1);
  }
  CHECK_FALSE(handler.is_connected);
  CHECK(link->stream_count() == 0);
}

TEST_CASE("A connect deadline ends a sleep") {
  const LinkEngine engine = AnyEngine();
  Recorder handler;
  const std::unique_ptr<Link> link = MustOpen(engine);
  const Socket listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(bind(listener.fd(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  REQUIRE(listen(listener.fd(), 0) == 0);
  const Endpoint endpoint = LocalAddress(listener.fd());
  const Socket filler = PlainPeer(endpoint);
  REQUIRE(link->Connect(endpoint, SystemClock().MonotonicNanos() + 20'000'000, &handler).ok());
  int rounds = 0;
  for (; !handler.closed.has_value(); ++rounds) link->Poll(-1);
  CHECK(absl::IsDeadlineExceeded(*handler.closed));
  CHECK(rounds < kFewRounds);
}

TEST_CASE("Hundreds of idle connections are not asked for memory and cost no rounds") {
  Served served(AnyEngine());
  constexpr size_t kCount = 400;
  std::vector<Socket> peers;
  for (size_t i = 0; i < kCount; ++i) {
    peers.push_back(PlainPeer(served.endpoint));
    if (i % 16 == 0) served.link->Poll(0);
  }
  served.Accepted(kCount - 1);
  CHECK(served.link->stream_count() == kCount);
  CHECK(RoundsUntilWoken(served.link.get()) < kFewRounds);
  for (const auto& handler : served.acceptor->handlers) REQUIRE(handler->asked_count == 0);
  // All at once, then all gone.
  for (const Socket& peer : peers) SendAll(peer, SomeBytes(100));
  PollUntil(served.link.get(), [&] {
    return std::ranges::all_of(served.acceptor->handlers,
                               [](const auto& handler) { return handler->received.size() == 100; });
  });
  Outbox outbox;
  for (const auto& handler : served.acceptor->handlers) outbox.Send(handler->stream, SomeBytes(50));
  served.link->Poll(0);
  CHECK(outbox.sent_count == kCount);
  for (Socket& peer : peers) {
    ResetOnClose(peer.fd());
    peer.Close();
  }
  PollUntil(served.link.get(), [&] { return served.link->stream_count() == 0; });
  CHECK(RoundsUntilWoken(served.link.get()) < kFewRounds);
}

TEST_CASE("One receive for each ready connection and round") {
  Served served(AnyEngine());
  const Socket peer = PlainPeer(served.endpoint);
  Recorder& server = served.Accepted();
  SendAll(peer, SomeBytes(40'960));
  size_t before = 0;
  while (server.received.size() < 40'960) {
    served.link->Poll(kStepNanos);
    CHECK(server.received.size() - before <= server.buffer.size());
    before = server.received.size();
  }
  CHECK(server.received == SomeBytes(40'960));
}

TEST_CASE("Callbacks may close streams, their own and others") {
  Served served(AnyEngine());
  const Socket first_peer = PlainPeer(served.endpoint);
  const Socket second_peer = PlainPeer(served.endpoint);
  Recorder& second = served.Accepted(1);
  Recorder& first = served.Accepted(0);
  for (Recorder* recorder : {&first, &second}) {
    recorder->on_received = [&] {
      first.stream->Close();
      second.stream->Reset();
      first.stream->Close();
    };
  }
  SendAll(first_peer, SomeBytes(10));
  SendAll(second_peer, SomeBytes(10));
  PollUntil(served.link.get(), [&] { return served.link->stream_count() == 0; });
  CHECK(first.received.size() + second.received.size() == 10);
}

TEST_CASE("Watches report until the descriptor is read, and stop when they are removed") {
  const std::unique_ptr<Link> link = MustOpen(AnyEngine());
  struct Counter final : WatchHandler {
    void OnReadable() override { ++count; }
    int count = 0;
  } counter;
  const Socket event(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  absl::StatusOr<Watch*> watch = link->AddWatch(event.fd(), &counter);
  REQUIRE(watch.ok());
  link->Poll(0);
  CHECK(counter.count == 0);
  uint64_t one = 1;
  REQUIRE(write(event.fd(), &one, sizeof(one)) == sizeof(one));
  PollUntil(link.get(), [&] { return counter.count >= 3; });
  REQUIRE(read(event.fd(), &one, sizeof(one)) == sizeof(one));
  for (int i = 0; i < 3; ++i) link->Poll(0);
  const int count = counter.count;
  CHECK(RoundsUntilWoken(link.get()) < kFewRounds);
  REQUIRE(write(event.fd(), &one, sizeof(one)) == sizeof(one));
  link->RemoveWatch(*watch);
  for (int i = 0; i < 3; ++i) link->Poll(0);
  CHECK(counter.count == count);
}

TEST_CASE("Many threads wake a link; none of the wakes is lost") {
  const std::unique_ptr<Link> link = MustOpen(AnyEngine());
  std::atomic<int> posted = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 100; ++k) {
        ++posted;
        link->Wake();
      }
    });
  }
  while (posted < 400) link->Poll(-1);
  for (std::thread& thread : threads) thread.join();
}

TEST_CASE("Limits: streams, addresses, descriptors") {
  const LinkEngine engine = AnyEngine();
  SECTION("max_streams") {
    Served served(engine);
    Recorder handler;  // It outlives the link, which ends the stream.
    const std::unique_ptr<Link> link = MustOpen(engine, SystemClock(), 1);
    REQUIRE(link->Connect(served.endpoint, kForever, &handler).ok());
    CHECK(absl::IsResourceExhausted(link->Connect(served.endpoint, kForever, &handler).status()));
    CHECK(absl::IsResourceExhausted(link->Adopt(PlainPeer(served.endpoint), &handler).status()));
  }
  SECTION("an address in use") {
    Served served(engine);
    CHECK(absl::IsAlreadyExists(
        served.link->Listen(served.endpoint, served.acceptor.get()).status()));
    served.link->StopListening(served.listener);
    served.link->Poll(0);
    served.link->Poll(0);
    CHECK(served.link->Listen(served.endpoint, served.acceptor.get()).ok());
  }
  SECTION("no descriptor for a connection: the listener rests, then accepts it") {
    test::ManualClock clock(1'000'000'000);
    Served served(engine, "127.0.0.1:0", clock);
    const Socket peer = PlainPeer(served.endpoint);
    rlimit before{};
    REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
    const rlimit none = {.rlim_cur = 3, .rlim_max = before.rlim_max};
    REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
    int rounds = 0;
    for (; rounds < 20; ++rounds) served.link->Poll(1'000'000);
    const bool is_accepted = !served.acceptor->handlers.empty();
    REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK_FALSE(is_accepted);
    served.link->Poll(1'000'000);
    CHECK(served.acceptor->handlers.empty());  // It rests.
    clock.now_ns += 100'000'000;
    served.Accepted();
  }
}

TEST_CASE("Random streams, peers and ends leave nothing behind") {
  Served served(AnyEngine());
  Random random(test::Seed());
  std::vector<Socket> peers;
  Outbox outbox;
  int requests = 0;
  for (int step = 0; step < 600; ++step) {
    const uint64_t choice = random.Uniform(10);
    if (choice < 3 && peers.size() < 30) {
      peers.push_back(PlainPeer(served.endpoint));
    } else if (choice < 5 && !peers.empty()) {
      Socket& peer = peers[random.Uniform(peers.size())];
      (void)send(peer.fd(), SomeBytes(300).data(), 1 + random.Uniform(300),
                 MSG_NOSIGNAL | MSG_DONTWAIT);
    } else if (choice < 6 && !peers.empty()) {
      const size_t index = random.Uniform(peers.size());
      if (random.Chance(0.5)) ResetOnClose(peers[index].fd());
      peers.erase(peers.begin() + static_cast<ptrdiff_t>(index));
    } else if (!served.acceptor->handlers.empty()) {
      Recorder& server =
          *served.acceptor->handlers[random.Uniform(served.acceptor->handlers.size())];
      if (!server.closed.has_value()) {
        if (choice == 9) {
          random.Chance(0.5) ? server.stream->Close() : server.stream->Reset();
        } else {
          outbox.Send(server.stream, SomeBytes(1 + random.Uniform(300'000)), 7000);
          ++requests;
        }
      }
    }
    served.link->Poll(random.Chance(0.3) ? 100'000 : 0);
  }
  peers.clear();
  for (const auto& handler : served.acceptor->handlers) {
    if (!handler->closed.has_value()) handler->stream->Close();
  }
  PollUntil(served.link.get(), [&] { return served.link->stream_count() == 0; });
  CHECK(outbox.sent_count + outbox.unsent_count == requests);
  for (const auto& handler : served.acceptor->handlers) CHECK(handler->closed.has_value());
}

}  // namespace
}  // namespace strata::nvmeof
