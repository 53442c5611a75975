// SPDX-License-Identifier: Apache-2.0
//
// What both engines have in common: the states of streams, the send queues, deadlines, the order of
// a round. An engine says which descriptors are ready and carries out sends and receives.
//
// Thread safety: none, but for Wake().
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "link/link.h"

namespace strata::nvmeof {

class LinkRounds;

// A descriptor that an engine looks after. The engine's own fields are here to spare a second
// table.
struct Pollable {
  enum class Kind { kStream, kListener, kWatch };

  Pollable(Kind a_kind, int a_fd) : kind(a_kind), fd(a_fd) {}
  virtual ~Pollable() = default;
  Pollable(const Pollable&) = delete;
  Pollable& operator=(const Pollable&) = delete;

  const Kind kind;
  const int fd;
  bool wants_in = false;
  bool wants_out = false;
  bool is_quiet = false;    // Hung up while nobody reads: looked at no more until somebody does.
  bool is_closing = false;  // The engine is to let go of it.
  size_t index = 0;         // Among the link's pollables.

  bool is_registered = false;  // The engine's: the kernel knows it with `armed_events`.
  uint32_t armed_events = 0;   // The engine's.
  uint32_t ops_in_flight = 0;  // The engine's: kernel operations that name it.
  bool is_listed = false;      // The engine's: waits for its interest to be renewed.
  bool is_cancelled = false;   // The engine's.
  bool is_hung_up = false;     // The engine's: the peer's end was reported.
  bool is_aside = false;       // The engine's: writability is looked for elsewhere.
};

struct TcpStream final : Pollable, Stream {
  TcpStream(LinkRounds* a_link, Socket a_socket, StreamHandler* a_handler)
      : Pollable(Kind::kStream, a_socket.fd()),
        link(a_link),
        socket(std::move(a_socket)),
        handler(a_handler) {}

  void Send(SendRequest* request) override;
  void ShutdownSend() override;
  void ResumeReceive() override;
  void Close() override;
  void Reset() override;
  const Endpoint& peer() const override { return peer_endpoint; }

  // Lists what is unsent, or enough of it for one send; returns how many.
  size_t Gather(std::span<iovec> vectors);
  // Takes sent bytes off the queue and moves requests that are done to *done.
  void Consume(size_t size_bytes, std::vector<SendRequest*>* done);

  LinkRounds* const link;
  Socket socket;
  StreamHandler* const handler;
  Endpoint peer_endpoint;
  absl::Status close_status;
  int64_t connect_deadline_ns = 0;
  bool is_connecting = false;
  bool is_peer_ended = false;
  bool is_shutdown_wanted = false;
  bool is_shutdown_done = false;
  bool is_dirty = false;      // In the list of streams to send.
  bool is_sending = false;    // The engine has a send of it.
  bool is_receiving = false;  // The engine has a receive of it.
  SendRequest* first = nullptr;
  SendRequest* last = nullptr;
  size_t offered_bytes = 0;  // What Gather() has listed.
};

class LinkRounds : public Link {
 public:
  absl::StatusOr<Listener*> Listen(const Endpoint& endpoint, AcceptHandler* handler) override;
  Listener* Listen(Socket socket, AcceptHandler* handler) override;
  Endpoint LocalEndpoint(const Listener* listener) const override;
  void StopListening(Listener* listener) override;
  absl::StatusOr<Stream*> Connect(const Endpoint& endpoint, int64_t deadline_ns,
                                  StreamHandler* handler) override;
  absl::StatusOr<Stream*> Adopt(Socket socket, StreamHandler* handler) override;
  absl::StatusOr<Watch*> AddWatch(int fd, WatchHandler* handler) override;
  void RemoveWatch(Watch* watch) override;
  void Poll(int64_t timeout_ns) override;
  void Wake() override;
  size_t stream_count() const override { return stream_count_; }

  const LinkCounters& counters() const override { return counters_; }

  // As many as 128 answers of 4 KiB have.
  static constexpr size_t kMaxSendVectors = 384;
  static constexpr size_t kMaxReceiveVectors = 8;

 protected:
  explicit LinkRounds(const LinkOptions& options) : options_(options) {}

  absl::Status OpenWakeup();
  void CloseEverything();  // For the engine's destructor, while its virtual functions still exist.

  // What an engine does.
  virtual void Renew(
      Pollable* pollable) = 0;  // wants_in, wants_out, is_quiet or is_closing changed.
  virtual void Sleep(int64_t timeout_ns) = 0;        // Calls OnReady() for what is ready.
  virtual void StartSend(TcpStream* stream) = 0;     // Ends in OnSent(), now or in Finish().
  virtual void StartReceive(TcpStream* stream) = 0;  // Ends in OnReceived(), now or in Finish().
  virtual void Finish() = 0;                         // Carries out what was started.

  // Asks the stream's owner where received bytes go; 0: nowhere now, and the stream rests.
  size_t Place(TcpStream* stream, std::span<iovec> places);
  // Ends what the kernel refuses to look after.
  void BeginFail(Pollable* pollable, absl::Status status);

  // What it reports. `result`: bytes, or a negative errno.
  void OnReady(Pollable* pollable, bool is_in, bool is_out, bool is_error);
  void OnSent(TcpStream* stream, int64_t result);
  void OnReceived(TcpStream* stream, int64_t result);

  const LinkOptions options_;

 private:
  friend struct TcpStream;

  struct WakeWatch;

  TcpStream* AddStream(Socket socket, StreamHandler* handler);
  void Add(std::unique_ptr<Pollable> pollable);
  void BeginClose(Pollable* pollable);
  void Fail(TcpStream* stream, absl::Status status);
  void MarkDirty(TcpStream* stream);
  void Connected(TcpStream* stream);
  void Accept(Listener* listener);
  void SendDirty();
  void ExpireConnects();
  void ResumeListeners();
  void BuryClosed();
  int64_t SleepNanos(int64_t timeout_ns) const;

  std::vector<std::unique_ptr<Pollable>> pollables_;
  std::vector<TcpStream*> dirty_;
  std::vector<TcpStream*> sending_;
  std::vector<TcpStream*> connecting_;
  std::vector<Pollable*> closing_;
  std::vector<Listener*> resting_;  // The process had no descriptor for a connection.
  int64_t rest_until_ns_ = 0;
  std::vector<SendRequest*> done_;
  size_t stream_count_ = 0;
  LinkCounters counters_;
  Socket wakeup_;
  std::unique_ptr<WatchHandler> wake_handler_;
};

absl::StatusOr<std::unique_ptr<Link>> OpenEpollLink(const LinkOptions& options);
absl::StatusOr<std::unique_ptr<Link>> OpenUringLink(const LinkOptions& options);

}  // namespace strata::nvmeof
