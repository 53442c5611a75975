// SPDX-License-Identifier: Apache-2.0
//
// What a message costs on each engine of the link. One thread owns both ends of every connection:
// one end sends a message, the other answers it with one of the same size.
//
//   nvmeof_link_bench [--rounds N] [--seconds S]
//
// For each shape (connections x messages in flight on each, bytes) the engines alternate, --rounds
// times [5] for --seconds [0.5] each, and the least processor time per message of each is printed,
// in nanoseconds of user and system time of the whole process: both ends, the kernel's TCP and the
// kernel's threads included. A message is one send or one answer.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <string_view>
#include <vector>

#include "link/link.h"

namespace strata::nvmeof {
namespace {

struct Shape {
  size_t connections;
  size_t in_flight;
  size_t message_bytes;
};

constexpr Shape kShapes[] = {
    {1, 1, 72}, {1, 32, 72}, {32, 1, 72}, {4, 32, 72}, {1, 1, 4168}, {4, 32, 4168}, {1, 8, 131072},
};

[[noreturn]] void Die(const absl::Status& status) {
  std::fprintf(stderr, "nvmeof_link_bench: %s\n", status.ToString().c_str());
  std::exit(1);
}

double ProcessSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// One end: sends a message for each whole one that came.
class End final : public StreamHandler {
 public:
  End(const Shape& shape, uint64_t* message_count)
      : shape_(shape), message_count_(message_count), received_(256 << 10) {
    for (size_t i = 0; i < shape.in_flight; ++i) {
      Message& message = messages_.emplace_back();
      message.bytes.resize(shape.message_bytes);
      message.vector = {message.bytes.data(), message.bytes.size()};
      message.end = this;
      message.request.vectors = {&message.vector, 1};
      message.request.context = &message;
      message.request.done = [](SendRequest* request, bool) {
        Message* sent = static_cast<Message*>(request->context);
        sent->end->idle_.push_back(sent);
        sent->end->Answer();
      };
      idle_.push_back(&message);
    }
  }

  void Open(Stream* stream) { stream_ = stream; }
  void SendFirst() {
    owed_ = shape_.in_flight;
    Answer();
  }

  size_t PlaceReceived(std::span<iovec> places) override {
    places[0] = {received_.data(), received_.size()};
    return 1;
  }
  void OnReceived(size_t size_bytes) override {
    partial_bytes_ += size_bytes;
    const size_t whole = partial_bytes_ / shape_.message_bytes;
    partial_bytes_ %= shape_.message_bytes;
    *message_count_ += whole;
    owed_ += whole;
    Answer();
  }
  void OnEnd() override {}
  void OnClosed(const absl::Status&) override { is_closed_ = true; }

 private:
  struct Message {
    std::vector<std::byte> bytes;
    iovec vector{};
    SendRequest request;
    End* end = nullptr;
  };

  void Answer() {
    for (; owed_ > 0 && !idle_.empty() && !is_closed_; --owed_) {
      Message* message = idle_.back();
      idle_.pop_back();
      stream_->Send(&message->request);
    }
  }

  const Shape shape_;
  uint64_t* const message_count_;
  std::vector<std::byte> received_;
  std::deque<Message> messages_;
  std::vector<Message*> idle_;
  Stream* stream_ = nullptr;
  size_t partial_bytes_ = 0;
  size_t owed_ = 0;
  bool is_closed_ = false;
};

struct Accepting final : AcceptHandler {
  void OnAccept(Socket socket, const Endpoint&) override {
    ends.push_back(std::make_unique<End>(shape, &message_count));
    absl::StatusOr<Stream*> stream = link->Adopt(std::move(socket), ends.back().get());
    if (!stream.ok()) Die(stream.status());
    ends.back()->Open(*stream);
  }

  Link* link = nullptr;
  Shape shape{};
  uint64_t message_count = 0;
  std::vector<std::unique_ptr<End>> ends;
};

// Nanoseconds of processor time per message.
double Measure(LinkEngine engine, const Shape& shape, double seconds) {
  Accepting accepting;  // It and the ends outlive the link.
  std::vector<std::unique_ptr<End>> ends;
  absl::StatusOr<std::unique_ptr<Link>> link = OpenLink({.engine = engine});
  if (!link.ok()) Die(link.status());
  accepting.link = link->get();
  accepting.shape = shape;
  absl::StatusOr<Listener*> listener =
      (*link)->Listen(ParseEndpoint("127.0.0.1:0").value(), &accepting);
  if (!listener.ok()) Die(listener.status());
  for (size_t i = 0; i < shape.connections; ++i) {
    ends.push_back(std::make_unique<End>(shape, &accepting.message_count));
    absl::StatusOr<Stream*> stream =
        (*link)->Connect((*link)->LocalEndpoint(*listener), INT64_MAX, ends.back().get());
    if (!stream.ok()) Die(stream.status());
    ends.back()->Open(*stream);
  }
  while (accepting.ends.size() < shape.connections) (*link)->Poll(1'000'000);
  for (const auto& end : ends) end->SendFirst();
  using SteadyClock = std::chrono::steady_clock;
  const auto until = SteadyClock::now() + std::chrono::duration<double>(seconds);
  const double began = ProcessSeconds();
  const uint64_t before = accepting.message_count;
  while (SteadyClock::now() < until) {
    for (int i = 0; i < 16; ++i) (*link)->Poll(1'000'000);
  }
  return (ProcessSeconds() - began) * 1e9 / static_cast<double>(accepting.message_count - before);
}

void Run(int rounds, double seconds) {
  std::printf("%-28s %10s %10s   ns of CPU per message\n", "connections x depth, bytes", "epoll",
              "io_uring");
  for (const Shape& shape : kShapes) {
    double epoll_ns = 1e18;
    double uring_ns = 1e18;
    for (int i = 0; i < rounds; ++i) {
      epoll_ns = std::min(epoll_ns, Measure(LinkEngine::kEpoll, shape, seconds));
      uring_ns = std::min(uring_ns, Measure(LinkEngine::kUring, shape, seconds));
    }
    std::printf("%3zu x %3zu, %7zu %20.0f %10.0f\n", shape.connections, shape.in_flight,
                shape.message_bytes, epoll_ns, uring_ns);
    std::fflush(stdout);
  }
}

}  // namespace
}  // namespace strata::nvmeof

int main(int argc, char** argv) {
  int rounds = 5;
  double seconds = 0.5;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    if (name == "--rounds") rounds = std::max(1, std::atoi(argv[i + 1]));
    if (name == "--seconds") seconds = std::max(0.01, std::atof(argv[i + 1]));
  }
  strata::nvmeof::Run(rounds, seconds);
  return 0;
}
