// SPDX-License-Identifier: Apache-2.0
#include "stratad/maintenance.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "strata/base/clock.h"
#include "stratad/interruptible_sleep.h"

namespace strata::appliance {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;

// Below this a collection is not worth its walk over everything, however large a share it is.
constexpr uint64_t kMinGarbageBytes = 64u << 20;

// A collection that the share of garbage calls for is not followed by another within this time.
constexpr uint64_t kMinPause = 60 * kSecond;

StorageFigures FiguresOf(Appliance& appliance) {
  const dedup::Stats stats = appliance.dedup().Stats();
  return {static_cast<uint64_t>(SystemClock().MonotonicNanos()), stats.logical_bytes,
          stats.ingested_bytes, stats.deferred_bytes};
}

class MaintenanceThread final : public Maintenance {
 public:
  MaintenanceThread(Appliance* appliance, LogSink log)
      : appliance_(*appliance), log_(std::move(log)), thread_([this] { Run(); }) {}

  ~MaintenanceThread() override {
    sleep_.End();
    thread_.join();
  }

 private:
  void Run() {
    const Config::Maintenance& config = appliance_.config().maintenance;
    const CollectionPlan plan{
        config.gc_interval_s, config.gc_garbage_ratio,
        appliance_.folds() || appliance_.config().storage.store.defer_compression};
    StorageFigures last = FiguresOf(appliance_);
    uint64_t runs_seen = 0;
    while (sleep_.Sleep(config.reap_interval_s * kSecond)) {
      const absl::StatusOr<uint64_t> reaped = appliance_.Reap();
      if (!reaped.ok() && !absl::IsCancelled(reaped.status())) {
        Log(log_, LogLevel::kWarning, absl::StrCat("reaping: ", reaped.status().message()));
      }
      // An operator's collection counts as well.
      const uint64_t runs = appliance_.garbage_history().runs;
      if (runs != runs_seen) last = FiguresOf(appliance_);
      runs_seen = runs;
      const std::string why = CollectionDue(plan, last, runs > 0, FiguresOf(appliance_));
      if (why.empty() || appliance_.stopping()) continue;
      Collect(config, why);
      last = FiguresOf(appliance_);
    }
  }

  void Collect(const Config::Maintenance& config, const std::string& why) {
    Log(log_, LogLevel::kInfo, absl::StrCat("garbage collection begins: ", why));
    const bool fold = appliance_.folds();
    dedup::GarbageOptions options;
    options.rewrite_below_live_ratio =
        fold ? config.fold_rewrite_below_live_ratio : config.gc_rewrite_below_live_ratio;
    options.max_bytes_per_second = config.gc_max_bytes_per_second;
    const absl::StatusOr<dedup::GarbageReport> report = appliance_.CollectGarbage(options, fold);
    if (report.ok()) {
      Log(log_, LogLevel::kInfo,
          absl::StrCat("garbage collection freed ", report->freed_bytes, " bytes in ",
                       report->containers_freed, " of ", report->containers_examined, " containers",
                       fold ? absl::StrCat(", folded ", report->duplicate_chunks, " chunks") : "",
                       report->deferred_bytes > 0
                           ? absl::StrCat(", compressed ", report->deferred_bytes, " bytes")
                           : ""));
    } else if (!absl::IsCancelled(report.status()) &&
               !absl::IsFailedPrecondition(report.status())) {
      Log(log_, LogLevel::kError, absl::StrCat("garbage collection: ", report.status().message()));
    }
  }

  Appliance& appliance_;
  const LogSink log_;
  InterruptibleSleep sleep_;
  std::thread thread_;
};

}  // namespace

std::string CollectionDue(const CollectionPlan& plan, const StorageFigures& last, bool last_known,
                          const StorageFigures& now) {
  if (plan.interval_s == 0) return "";
  // What came in and is not there any more. Copies add to what is there without coming in: then
  // this is too small, never too large.
  const uint64_t came = now.ingested_bytes - last.ingested_bytes;
  const uint64_t expected = last.logical_bytes + came;
  const uint64_t gone = expected > now.logical_bytes ? expected - now.logical_bytes : 0;
  const uint64_t elapsed_ns = now.now_ns - last.now_ns;
  const uint64_t undone = plan.leaves_work ? came : 0;
  const bool work = gone > 0 || undone > 0 || now.deferred_bytes > 0 || !last_known;
  if (elapsed_ns >= plan.interval_s * kSecond && work) {
    return absl::StrCat(plan.interval_s, " s since the last");
  }
  if (elapsed_ns < kMinPause) return "";
  const auto share = [&](uint64_t bytes) {
    return static_cast<double>(bytes) / static_cast<double>(std::max<uint64_t>(1, expected));
  };
  if (gone >= kMinGarbageBytes && share(gone) >= plan.garbage_ratio) {
    return absl::StrFormat("%.0f %% of what was stored has been deleted", share(gone) * 100);
  }
  if (undone >= kMinGarbageBytes && share(undone) >= plan.garbage_ratio) {
    return absl::StrFormat("%.0f %% of what is stored came since the last", share(undone) * 100);
  }
  return "";
}

std::unique_ptr<Maintenance> Maintenance::Start(Appliance* appliance, LogSink log) {
  return std::make_unique<MaintenanceThread>(appliance, std::move(log));
}

}  // namespace strata::appliance
