// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "strata/ec/remote_engine.h"

namespace strata::ec {
namespace {

class LoopbackEncoder final : public RemoteEncoder {
 public:
  explicit LoopbackEncoder(LoopbackEncoderOptions options)
      : options_(std::move(options)),
        clock_(options_.clock != nullptr ? *options_.clock : SystemClock()) {}

  absl::Status Begin(uint64_t ticket, const Job& job) override {
    if (held_.size() >= options_.max_jobs) {
      return absl::ResourceExhaustedError(
          absl::StrCat("the loopback encoder holds ", options_.max_jobs, " jobs"));
    }
    held_.push_back({ticket, &job, clock_.MonotonicNanos() + DurationNanos(job)});
    return absl::OkStatus();
  }

  void Poll(std::vector<Result>* results) override {
    const int64_t now_ns = clock_.MonotonicNanos();
    std::vector<Held> due;
    std::erase_if(held_, [&](const Held& held) {
      if (held.due_ns > now_ns) return false;
      due.push_back(held);
      return true;
    });
    std::stable_sort(due.begin(), due.end(),
                     [](const Held& a, const Held& b) { return a.due_ns < b.due_ns; });
    for (const Held& held : due) {
      absl::Status status = options_.fault ? options_.fault(*held.job) : absl::OkStatus();
      if (status.ok()) status = RunJob(*held.job);
      results->push_back({held.ticket, std::move(status)});
    }
  }

  void Abandon(uint64_t ticket) override {
    std::erase_if(held_, [&](const Held& held) { return held.ticket == ticket; });
  }

 private:
  struct Held {
    uint64_t ticket;
    const Job* job;
    int64_t due_ns;
  };

  int64_t DurationNanos(const Job& job) const {
    if (options_.bytes_per_second == 0) return options_.latency_ns;
    const double seconds =
        static_cast<double>(JobBytes(job)) / static_cast<double>(options_.bytes_per_second);
    return options_.latency_ns + static_cast<int64_t>(seconds * 1e9);
  }

  const LoopbackEncoderOptions options_;
  const Clock& clock_;
  std::vector<Held> held_;
};

}  // namespace

std::unique_ptr<RemoteEncoder> CreateLoopbackEncoder(LoopbackEncoderOptions options) {
  return std::make_unique<LoopbackEncoder>(std::move(options));
}

}  // namespace strata::ec
