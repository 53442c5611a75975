// SPDX-License-Identifier: Apache-2.0
#include "server/session.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <exception>
#include <utility>

#include "http/encoding.h"
#include "http/errors.h"
#include "http/http_date.h"
#include "http/http_reply.h"
#include "http/text.h"
#include "http/uri_coding.h"
#include "strata/base/hex.h"
#include "strata/base/random.h"

// GCC 12 takes the coroutine frames' own pair of operators for a mismatch.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif

namespace strata::s3 {
namespace {

std::span<const std::byte> Bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

// One word, however long the path was and whatever is in it.
std::string LoggedResource(std::string_view path) {
  constexpr size_t kMaxBytes = 1100;  // A bucket and a key of the longest names.
  if (path.size() <= kMaxBytes) return UriEncode(path, Slash::kKeep);
  return Concat({UriEncode(path.substr(0, kMaxBytes), Slash::kKeep), "..."});
}

std::string OutcomeText(const OperationCounters::Outcome& outcome) {
  if (outcome.aborted) {
    return outcome.http_status == 0 ? "aborted" : std::to_string(outcome.http_status) + "-aborted";
  }
  if (outcome.cut_off) return "cut off";
  return std::to_string(outcome.http_status);
}

}  // namespace

Session::Session(SessionEnvironment& environment, std::unique_ptr<Connection> connection)
    : environment_(environment),
      connection_(std::move(connection)),
      place_(environment.newcomers, connection_.get()),
      job_(environment.workers, connection_->executor()) {}

asio::awaitable<void> Session::Run() {
  place_.Enter();
  const bool ready = co_await connection_->Handshake(environment_.limits.header_timeout);
  if (!ready) co_return;
  bool more = true;
  while (more) more = co_await ServeOne();
}

asio::awaitable<void> Session::Refuse() {
  const bool ready = co_await connection_->Handshake(environment_.limits.header_timeout);
  if (!ready) co_return;
  co_await SendError(MakeError(ErrorCode::kSlowDown, "There are too many connections."));
  co_await connection_->CloseGently();
}

// False: the connection has ended.
asio::awaitable<bool> Session::ServeOne() {
  std::optional<HttpHead> read = co_await ReadHead();
  if (!read) co_return false;
  const int64_t began_ns = environment_.clock.MonotonicNanos();

  HttpHead head = *std::move(read);
  const bool keep_alive = head.keep_alive;
  says_keep_alive_ = keep_alive && head.Find("connection") != nullptr;
  expects_continue_ = head.expect_continue;
  body_ = {};
  body_.remaining_bytes = head.content_length.value_or(0);
  if (head.chunked) body_.coding.emplace();
  body_.done = !body_.coding && body_.remaining_bytes == 0;
  outcome_ = {};

  Exchange exchange(environment_.service, std::move(head), NewRequestId());
  environment_.counters.Begun(exchange.operation());
  Answer answer;
  const WorkerJob::Guard guard(job_);
  bool sent = false;
  bool close = true;
  std::exception_ptr failure;
  try {
    co_await Serve(exchange, answer);
    if (answer.reply) {
      outcome_.http_status = answer.reply->status;
      close = !keep_alive || !body_.done || expects_continue_ || environment_.draining;
      sent = co_await SendAnswer(exchange, answer, close);
    }
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    co_await Abandon(exchange);
    std::rethrow_exception(failure);
  }
  outcome_.aborted = !sent && !outcome_.cut_off;
  outcome_.bytes_in = body_.read_bytes;
  outcome_.latency_ns = static_cast<uint64_t>(environment_.clock.MonotonicNanos() - began_ns);
  environment_.counters.Ended(exchange.operation(), outcome_);
  LogRequest(exchange, outcome_);
  if (!answer.reply) {
    // The client went in the middle of its body: what came of it is dropped where that may block.
    co_await OnWorker([&exchange] { exchange.Drop(); });
  }
  if (!sent) {
    connection_->Reset();
    co_return false;
  }
  if (close) co_await connection_->CloseGently();
  if (!close && !exchange.is_authenticated()) {
    place_.Leave();
    place_.Enter();
  }
  co_return !close;
}

// After an exception: joins what is in progress and drops what came of the request.
asio::awaitable<void> Session::Abandon(Exchange& exchange) {
  environment_.counters.Ended(exchange.operation(), {.http_status = 500});
  try {
    co_await job_.Join();
  } catch (...) {
    // Of two failures the first is told.
  }
  co_await OnWorker([&exchange] { exchange.Drop(); });
}

// Reads until the head is complete. nullopt: there is no next request, or it is answered with an
// error.
asio::awaitable<std::optional<HttpHead>> Session::ReadHead() {
  inbox_.Rest();
  large_head_.Release();
  if (inbox_.unread().empty()) {
    if (environment_.draining) co_return std::nullopt;
    idle_ = true;
    const bool readable = co_await connection_->WaitReadable(environment_.limits.idle_timeout);
    idle_ = false;
    if (!readable) co_return std::nullopt;
  }
  HttpParser parser(environment_.limits.max_header_bytes);
  Connection::Clock::time_point began;
  bool waiting = inbox_.unread().empty();  // For the first byte: that is idle time still.
  while (true) {
    if (!inbox_.unread().empty()) {
      if (began == Connection::Clock::time_point()) began = Connection::Clock::now();
      absl::StatusOr<size_t> taken = parser.ParseHead(inbox_.unread());
      if (!taken.ok()) {
        co_await SendError(taken.status());
        co_await connection_->CloseGently();
        co_return std::nullopt;
      }
      inbox_.Consume(*taken);
      if (parser.head_done()) co_return parser.TakeHead();
    }
    Connection::Timeout timeout = environment_.limits.idle_timeout;
    if (!waiting) {
      timeout = environment_.limits.header_timeout -
                std::chrono::duration_cast<Connection::Timeout>(Connection::Clock::now() - began);
    }
    idle_ = waiting;
    if (const size_t growth = inbox_.growth_bytes(); growth > 0) {
      // As bytes, as what was parsed of them, and as the request made of that.
      large_head_.Release();
      large_head_ = environment_.memory.TryClaim(2 * growth, BodyMemory::Use::kUnauthenticated);
      if (!large_head_) {
        co_await SendError(MakeError(ErrorCode::kSlowDown, "There are too many large heads."));
        co_await connection_->CloseGently();
        co_return std::nullopt;
      }
    }
    const std::span<std::byte> room = inbox_.Room();
    const size_t size = co_await connection_->ReadSome(room, timeout);
    idle_ = false;
    waiting = false;
    if (size == 0) co_return std::nullopt;
    inbox_.Added(size);
  }
}

// Gets an answer, unless the client goes first.
asio::awaitable<void> Session::Serve(Exchange& exchange, Answer& answer) {
  if (body_.done && !expects_continue_) {
    co_await OnWorker([&] {
      answer.reply = exchange.Begin();
      if (!answer.reply) answer.reply = exchange.Finish();
      ReadFirst(exchange, answer);
    });
    co_return;
  }
  BodyMemory::Buffer whole;
  if (!body_.coding && body_.remaining_bytes <= BodyMemory::kFullBytes && !expects_continue_) {
    whole = environment_.memory.TryTake(static_cast<size_t>(body_.remaining_bytes),
                                        BodyMemory::Use::kUnauthenticated);
  }
  if (whole) {
    co_await ServeSmallBody(exchange, answer, std::move(whole));
    co_return;
  }
  co_await OnWorker([&] { answer.reply = exchange.Begin(); });
  if (!answer.reply && expects_continue_) {
    const bool sent = co_await SendContinue();
    if (!sent) co_return;
  }
  if (!answer.reply && !body_.done) {
    co_await ServeStream(exchange, answer);
    co_return;
  }
  co_await OnWorker([&] {
    if (!answer.reply) answer.reply = exchange.Finish();
    ReadFirst(exchange, answer);
  });
}

// Not when the body has begun to come. An empty body is waited for like any other: clients of
// botocore take a final answer without this one for the end of the connection.
asio::awaitable<bool> Session::SendContinue() {
  if (inbox_.unread().empty()) {
    const bool sent = co_await connection_->Write(kContinue, {}, environment_.limits.write_timeout);
    if (!sent) co_return false;
  }
  expects_continue_ = false;
  co_return true;
}

// A body that fits the buffer is read first and then all is done in one stay at a worker.
asio::awaitable<void> Session::ServeSmallBody(Exchange& exchange, Answer& answer,
                                              BodyMemory::Buffer buffer) {
  const Filled filled = co_await FillFromBody(buffer.bytes());
  if (filled.outcome == ReadOutcome::kTooSlow) {
    answer.reply = exchange.Reject(MakeError(ErrorCode::kRequestTimeout));
  }
  if (filled.outcome != ReadOutcome::kOk) co_return;
  co_await OnWorker([&] {
    answer.reply = exchange.Begin();
    if (!answer.reply) answer.reply = exchange.Write(buffer.bytes().first(filled.size_bytes));
    if (!answer.reply) answer.reply = exchange.Finish();
    buffer = {};
    ReadFirst(exchange, answer);
  });
}

// Two buffers take turns: one is filled from the socket while the other goes to the store. Where
// memory is short one has to do, and that a small one.
asio::awaitable<void> Session::ServeStream(Exchange& exchange, Answer& answer) {
  BodyMemory::Buffer current = environment_.memory.Take(BodyMemory::kFullBytes);
  BodyMemory::Buffer other;
  const WorkerJob::Guard guard(job_);
  Filled filled = co_await FillFromBody(current.bytes());
  while (filled.outcome == ReadOutcome::kOk) {
    const bool last = body_.done;
    const std::span<const std::byte> content = current.bytes().first(filled.size_bytes);
    job_.Start([&exchange, &answer, content, last] {
      answer.reply = exchange.Write(content);
      if (last && !answer.reply) answer.reply = exchange.Finish();
    });
    if (!last) GrowBuffer(other, BodyMemory::kFullBytes);
    if (!last && other) filled = co_await FillFromBody(other.bytes());
    co_await job_.Join();
    if (answer.reply) co_return;
    if (other) {
      std::swap(current, other);
    } else {
      filled = co_await FillFromBody(current.bytes());
    }
  }
  if (filled.outcome == ReadOutcome::kGone) co_return;
  const absl::Status why = filled.outcome == ReadOutcome::kTooSlow
                               ? MakeError(ErrorCode::kRequestTimeout)
                               : body_.malformed;
  co_await OnWorker([&] { answer.reply = exchange.Reject(why); });
}

// Fills `out` with the body's next bytes; less at its end.
asio::awaitable<Session::Filled> Session::FillFromBody(std::span<std::byte> out) {
  Filled filled;
  while (!body_.done && filled.size_bytes < out.size()) {
    std::span<std::byte> free = out.subspan(filled.size_bytes);
    if (!body_.coding) free = free.first(std::min<uint64_t>(free.size(), body_.remaining_bytes));
    size_t written = 0;
    if (body_.coding) {
      const absl::StatusOr<TransferDecoder::Progress> progress =
          body_.coding->Decode(inbox_.unread(), free);
      if (!progress.ok()) {
        body_.malformed = progress.status();
        filled.outcome = ReadOutcome::kMalformed;
        co_return filled;
      }
      inbox_.Consume(progress->taken_bytes);
      written = progress->written_bytes;
      body_.done = body_.coding->done();
    } else if (!inbox_.unread().empty()) {
      written = std::min(free.size(), inbox_.unread().size());
      std::memcpy(free.data(), inbox_.unread().data(), written);
      inbox_.Consume(written);
    }
    if (written == 0 && !body_.done) {
      if (!body_.coding) inbox_.Rest();
      const std::span<std::byte> room = body_.coding ? inbox_.Room() : free;
      const Connection::Clock::time_point began = Connection::Clock::now();
      const size_t size = co_await connection_->ReadSome(room, BodyTimeout());
      body_.waited += Connection::Clock::now() - began;
      if (size == 0) {
        filled.outcome = connection_->timed_out() ? ReadOutcome::kTooSlow : ReadOutcome::kGone;
        co_return filled;
      }
      if (body_.coding) {
        inbox_.Added(size);
      } else {
        written = size;
      }
    }
    filled.size_bytes += written;
    body_.read_bytes += written;
    if (!body_.coding) {
      body_.remaining_bytes -= written;
      body_.done = body_.remaining_bytes == 0;
    }
  }
  co_return filled;
}

// A client may stand still for read_timeout, all pauses of a body together, and longer only as far
// as what it sent was worth it.
Connection::Timeout Session::BodyTimeout() const {
  const ServerLimits& limits = environment_.limits;
  const std::chrono::milliseconds earned(
      limits.min_body_bytes_per_s == 0 ? 0 : body_.read_bytes * 1000 / limits.min_body_bytes_per_s);
  const auto waited = std::chrono::duration_cast<std::chrono::milliseconds>(body_.waited);
  if (limits.min_body_bytes_per_s == 0) return limits.read_timeout;
  return std::clamp(limits.read_timeout + earned - waited, std::chrono::milliseconds(0),
                    limits.read_timeout);
}

// In a worker: begins to read a reply's content if there is memory for it now, so that a small
// object needs no second stay, and an error at its very beginning can still be told.
void Session::ReadFirst(Exchange& exchange, Answer& answer) {
  if (!answer.reply || answer.reply->source == nullptr) return;
  BodySource& source = *answer.reply->source;
  answer.first =
      environment_.memory.TryTake(std::min<uint64_t>(source.size_bytes(), BodyMemory::kFullBytes));
  if (!answer.first) return;
  const absl::StatusOr<size_t> size = source.Read(answer.first.bytes());
  if (!size.ok()) {
    answer.first = {};
    answer.reply = exchange.Reject(size.status());
    return;
  }
  answer.first_bytes = *size;
  if (*size == source.size_bytes()) {
    // All of it: the store's reader is let go here, where that may block.
    answer.reply->content_length = source.size_bytes();
    answer.reply->source.reset();
  }
}

// A large document waits in memory for a client that may take its time. Where the budget has no
// room for it, an answer that can be asked for again is not given.
void Session::ClaimDocument(Exchange& exchange, Answer& answer) {
  constexpr size_t kLargeBytes = 16 << 10;
  const size_t size_bytes = answer.reply->body.capacity();
  if (size_bytes < kLargeBytes) return;
  if (!exchange.is_safe()) {
    answer.document = environment_.memory.ForceClaim(size_bytes, BodyMemory::Use::kDocument);
    return;
  }
  answer.document = environment_.memory.TryClaim(size_bytes, BodyMemory::Use::kDocument);
  if (answer.document) return;
  answer.reply =
      exchange.Reject(MakeError(ErrorCode::kSlowDown, "There are too many answers under way."));
  outcome_.http_status = answer.reply->status;
}

// False: the connection is of no use any more.
asio::awaitable<bool> Session::SendAnswer(Exchange& exchange, Answer& answer, bool close) {
  ClaimDocument(exchange, answer);
  Reply& reply = *answer.reply;
  const std::string date = Date();
  std::string head = FormatReplyHead(reply, {.date = date,
                                             .is_head = exchange.is_head(),
                                             .close = close,
                                             .says_keep_alive = says_keep_alive_});
  if (reply.source != nullptr) {
    const bool sent = co_await SendSource(exchange, answer, std::move(head));
    co_return sent;
  }
  std::span<const std::byte> content = Bytes(reply.body);
  if (answer.first) content = answer.first.bytes().first(answer.first_bytes);
  if (exchange.is_head()) content = {};
  const bool sent = co_await connection_->Write(head, content, environment_.limits.write_timeout);
  if (sent) outcome_.bytes_out += content.size();
  co_return sent;
}

// Two buffers take turns: one goes to the socket while the other is filled from the store.
asio::awaitable<bool> Session::SendSource(Exchange& exchange, Answer& answer, std::string head) {
  std::unique_ptr<BodySource> source = std::move(answer.reply->source);
  BodyMemory::Buffer current = std::move(answer.first);
  BodyMemory::Buffer other;
  uint64_t remaining_bytes = source->size_bytes() - answer.first_bytes;
  absl::StatusOr<size_t> size = answer.first_bytes;
  const WorkerJob::Guard guard(job_);
  if (!current) {
    current = environment_.memory.Take(std::min<uint64_t>(remaining_bytes, BodyMemory::kFullBytes));
    co_await OnWorker([&] { size = source->Read(current.bytes()); });
    if (size.ok()) remaining_bytes -= *size;
  }
  bool sent = true;
  while (size.ok()) {
    const std::span<const std::byte> content = current.bytes().first(*size);
    if (remaining_bytes > 0) {
      GrowBuffer(other, std::min<uint64_t>(remaining_bytes, BodyMemory::kFullBytes));
      if (other) job_.Start([&] { size = source->Read(other.bytes()); });
    }
    sent = co_await connection_->Write(head, content, environment_.limits.write_timeout);
    head.clear();
    co_await job_.Join();
    if (!sent) break;
    outcome_.bytes_out += content.size();
    if (remaining_bytes == 0) break;
    if (other) {
      std::swap(current, other);
    } else {
      co_await OnWorker([&] { size = source->Read(current.bytes()); });
    }
    if (size.ok()) remaining_bytes -= *size;
  }
  if (!size.ok()) {
    outcome_.cut_off = true;
    exchange.LogSourceError(size.status());
  }
  co_await OnWorker([&] { source.reset(); });
  co_return sent&& size.ok();
}

asio::awaitable<bool> Session::SendError(const absl::Status& status) {
  environment_.counters.Begun(nullptr);
  const Reply reply = ErrorReply(status, "", NewRequestId(), /*is_head=*/false);
  const std::string date = Date();
  const std::string head = FormatReplyHead(reply, {.date = date, .close = true});
  const bool sent =
      co_await connection_->Write(head, Bytes(reply.body), environment_.limits.write_timeout);
  environment_.counters.Ended(nullptr, {.http_status = reply.status, .aborted = !sent});
  co_return sent;
}

// Makes `buffer` one of `size_bytes` if it is smaller and memory is there for it.
void Session::GrowBuffer(BodyMemory::Buffer& buffer, size_t size_bytes) {
  if (buffer.bytes().size() >= size_bytes) return;
  BodyMemory::Buffer larger = environment_.memory.TryTake(size_bytes);
  if (larger) buffer = std::move(larger);
}

asio::awaitable<void> Session::OnWorker(absl::AnyInvocable<void()> work) {
  const WorkerJob::Guard guard(job_);
  place_.Leave();
  job_.Start(std::move(work));
  co_await job_.Join();
}

std::string Session::NewRequestId() {
  std::array<std::byte, 8> bytes;
  // Not a secret; but with a seed of their own, two servers' identifiers would be the same.
  thread_local Random random = [] {
    uint64_t seed = 0;
    const absl::Status status = SecureRandomBytes(std::as_writable_bytes(std::span(&seed, 1)));
    return Random(status.ok() ? seed : static_cast<uint64_t>(SystemClock().WallNanos()));
  }();
  random.Fill(bytes);
  return ToHex({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

std::string Session::Date() const {
  // Formatted once a second, in each thread.
  constexpr uint64_t kSecond = 1'000'000'000;
  thread_local uint64_t formatted_s = 0;
  thread_local std::string text;
  const auto now_s = static_cast<uint64_t>(environment_.clock.WallNanos()) / kSecond;
  if (now_s != formatted_s) {
    text = FormatHttpDate(now_s * kSecond);
    formatted_s = now_s;
  }
  return text;
}

void Session::LogRequest(const Exchange& exchange,
                         const OperationCounters::Outcome& outcome) const {
  if (!environment_.log_requests) return;
  const Operation* operation = exchange.operation();
  Log(environment_.service.log(), LogLevel::kInfo,
      Concat({"s3: ", exchange.request_id(), " ",
              operation == nullptr ? "Unknown" : operation->name, " ",
              LoggedResource(exchange.resource()), " ", OutcomeText(outcome), " in ",
              std::to_string(outcome.bytes_in), " out ", std::to_string(outcome.bytes_out), " ",
              std::to_string(outcome.latency_ns / 1000), " us"}));
}

}  // namespace strata::s3
