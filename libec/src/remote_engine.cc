// SPDX-License-Identifier: Apache-2.0
//
// A job moves through at most five places: waiting for the remote encoder, with it, waiting for the
// local engine, with that, ended. Its slot says where it is; slots are made once.
#include "strata/ec/remote_engine.h"

#include <algorithm>
#include <utility>

#include "job_queue.h"
#include "strata/base/check.h"
#include "strata/base/fork.h"
#include "strata/base/status_macros.h"

namespace strata::ec {
namespace {

// Whether a result says something about the encoder rather than about the job.
bool IsEncoderFailure(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kDataLoss:
      return false;
    default:
      return true;
  }
}

class RemoteEngine final : public Engine {
 public:
  explicit RemoteEngine(RemoteEngineOptions options)
      : options_(std::move(options)),
        clock_(options_.clock != nullptr ? *options_.clock : SystemClock()),
        slots_(std::max(options_.max_in_flight, 1u)) {
    for (size_t i = slots_.size(); i-- > 0;) free_.push_back(static_cast<uint32_t>(i));
  }

  ~RemoteEngine() override {
    STRATA_CHECK(in_flight() == 0, "an engine is destroyed with jobs in flight");
  }

  int Poll(int max_completions) override {
    if (opener_.InForkedChild()) return 0;
    const int64_t now_ns = clock_.MonotonicNanos();
    TakeResults();
    Expire(now_ns);
    SendToRemote(now_ns);
    SendToLocal();
    options_.local->Poll(static_cast<int>(slots_.size()));
    int count = 0;
    while (count < max_completions && !ended_.empty()) {
      Job* const job = ended_.Pop();
      CountEnd(stats_, *job, clock_.MonotonicNanos());
      Release(job->engine.word);
      ++count;
      job->done(job);
    }
    return count;
  }

  bool Cancel(Job* job) override {
    if (opener_.InForkedChild()) return false;
    Slot& slot = slots_[job->engine.word];
    STRATA_CHECK(slot.job == job, "a job to be cancelled is in flight in this engine");
    switch (slot.place) {
      case Place::kWaiting:
        waiting_.Remove(job);
        break;
      case Place::kRemote:
        options_.remote->Abandon(Ticket(job->engine.word));
        break;
      case Place::kFallingBack:
        falling_back_.Remove(job);
        break;
      case Place::kLocal:
        return options_.local->Cancel(&slot.local_job);
      case Place::kEnded:
        return false;
    }
    End(job, absl::CancelledError("the job was cancelled"));
    return true;
  }

  uint32_t in_flight() const override {
    if (opener_.InForkedChild()) return 0;
    return static_cast<uint32_t>(slots_.size() - free_.size());
  }
  uint32_t max_in_flight() const override { return static_cast<uint32_t>(slots_.size()); }
  EngineStats Stats() const override { return stats_; }

 protected:
  absl::Status DoSubmit(Job* job) override {
    STRATA_RETURN_IF_ERROR(opener_.Check());
    const uint32_t index = free_.back();
    free_.pop_back();
    job->engine.word = index;
    job->engine.submitted_ns = clock_.MonotonicNanos();
    slots_[index].job = job;
    ++slots_[index].generation;
    CountSubmission(stats_, in_flight());
    slots_[index].place = Place::kWaiting;
    waiting_.Push(job);
    SendToRemote(job->engine.submitted_ns);
    return absl::OkStatus();
  }

  void CountRefusal() override { ++stats_.refused; }

 private:
  enum class Place : uint8_t { kWaiting, kRemote, kFallingBack, kLocal, kEnded };
  struct Slot {
    Job* job = nullptr;
    RemoteEngine* engine = nullptr;
    Place place = Place::kEnded;
    uint32_t generation = 0;  // Tells this use of the slot from earlier ones.
    Job local_job;
  };

  uint64_t Ticket(uint32_t index) const { return uint64_t{slots_[index].generation} << 32 | index; }

  void Release(uint32_t index) {
    slots_[index].job = nullptr;
    free_.push_back(index);
  }

  void End(Job* job, absl::Status status) {
    job->status = std::move(status);
    slots_[job->engine.word].place = Place::kEnded;
    ended_.Push(job);
  }

  void TakeResults() {
    results_.clear();
    options_.remote->Poll(&results_);
    for (RemoteEncoder::Result& result : results_) {
      const auto index = static_cast<uint32_t>(result.ticket);
      const bool known = index < slots_.size() && Ticket(index) == result.ticket &&
                         slots_[index].job != nullptr && slots_[index].place == Place::kRemote;
      if (!known) continue;  // A remote party may say anything.
      Job* const job = slots_[index].job;
      if (IsEncoderFailure(result.status)) {
        NoteFailure();
        FallBack(job);
      } else {
        failures_in_a_row_ = 0;
        ++stats_.remote;
        End(job, std::move(result.status));
      }
    }
  }

  void Expire(int64_t now_ns) {
    JobQueue expired;
    waiting_.Expire(now_ns, &expired);
    falling_back_.Expire(now_ns, &expired);
    while (!expired.empty()) {
      Job* const job = expired.Pop();
      End(job, std::move(job->status));
    }
    for (uint32_t i = 0; i < slots_.size(); ++i) {
      const Slot& slot = slots_[i];
      if (slot.job == nullptr || slot.place != Place::kRemote) continue;
      if (slot.job->deadline_ns >= now_ns) continue;
      options_.remote->Abandon(Ticket(i));
      End(slot.job, absl::DeadlineExceededError("the remote encoder had not answered by then"));
    }
  }

  void SendToRemote(int64_t now_ns) {
    while (!waiting_.empty()) {
      Job* const job = waiting_.front();
      if (now_ns >= resting_until_ns_) {
        const absl::Status status = options_.remote->Begin(Ticket(job->engine.word), *job);
        if (absl::IsResourceExhausted(status)) return;
        if (status.ok()) {
          waiting_.Pop();
          slots_[job->engine.word].place = Place::kRemote;
          continue;
        }
        NoteFailure();
      }
      waiting_.Pop();
      FallBack(job);
    }
  }

  void NoteFailure() {
    if (++failures_in_a_row_ < options_.failures_before_rest) return;
    resting_until_ns_ = clock_.MonotonicNanos() + options_.rest_ns;
    failures_in_a_row_ = 0;
  }

  void FallBack(Job* job) {
    ++stats_.fallbacks;
    slots_[job->engine.word].place = Place::kFallingBack;
    falling_back_.Push(job);
  }

  void SendToLocal() {
    while (!falling_back_.empty()) {
      Job* const job = falling_back_.front();
      Slot& slot = slots_[job->engine.word];
      slot.engine = this;
      slot.local_job = *job;
      slot.local_job.context = &slot;
      slot.local_job.done = [](Job* local_job) {
        auto* const ended = static_cast<Slot*>(local_job->context);
        ended->engine->End(ended->job, std::move(local_job->status));
      };
      if (!options_.local->Submit(&slot.local_job).ok()) return;  // Full: at the next Poll().
      falling_back_.Pop();
      slot.place = Place::kLocal;
    }
  }

  const ProcessMark opener_;
  RemoteEngineOptions options_;
  const Clock& clock_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  JobQueue waiting_;
  JobQueue falling_back_;
  JobQueue ended_;
  std::vector<RemoteEncoder::Result> results_;
  uint32_t failures_in_a_row_ = 0;
  int64_t resting_until_ns_ = std::numeric_limits<int64_t>::min();
  EngineStats stats_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Engine>> CreateRemoteEngine(RemoteEngineOptions options) {
  if (options.remote == nullptr || options.local == nullptr) {
    return absl::InvalidArgumentError("a remote engine needs a remote encoder and a local engine");
  }
  return std::make_unique<RemoteEngine>(std::move(options));
}

}  // namespace strata::ec
