// SPDX-License-Identifier: Apache-2.0
#include "appliance/nvme/target_threads.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "strata/base/status_macros.h"
#include "strata/block/blocking.h"

namespace strata::appliance {
namespace {

constexpr int64_t kSleepNs = 1'000'000'000;
constexpr std::chrono::milliseconds kDrainStep{5};

}  // namespace

absl::StatusOr<std::unique_ptr<TargetThreads>> TargetThreads::Start(
    const TargetThreadsOptions& options) {
  std::unique_ptr<TargetThreads> threads(new TargetThreads());
  STRATA_ASSIGN_OR_RETURN(threads->target_, nvmeof::Target::Create(options.target));
  for (uint32_t i = 0; i < options.workers; ++i) {
    STRATA_ASSIGN_OR_RETURN(std::unique_ptr<nvmeof::Worker> worker, threads->target_->OpenWorker());
    threads->workers_.push_back(std::move(worker));
  }
  const int64_t sleep_ns = options.busy_poll ? 0 : kSleepNs;
  for (const std::unique_ptr<nvmeof::Worker>& worker : threads->workers_) {
    threads->threads_.emplace_back([&stopping = threads->stopping_, &worker = *worker, sleep_ns] {
      while (!stopping.load(std::memory_order_relaxed)) worker.Poll(sleep_ns);
    });
    const std::string name = absl::StrCat("nvmeof-", threads->threads_.size());
    pthread_setname_np(threads->threads_.back().native_handle(), name.c_str());
  }
  return threads;
}

TargetThreads::~TargetThreads() {
  stopping_.store(true, std::memory_order_relaxed);
  WakeAll();
  for (std::thread& thread : threads_) thread.join();
  workers_.clear();
}

void TargetThreads::WakeAll() {
  for (const std::unique_ptr<nvmeof::Worker>& worker : workers_) worker->Wake();
}

size_t TargetThreads::Drain(std::chrono::milliseconds limit) {
  using std::chrono::steady_clock;
  target_->Drain();
  const steady_clock::time_point deadline = steady_clock::now() + limit;
  while (true) {
    const size_t left = target_->Connections().size();
    if (left == 0 || steady_clock::now() >= deadline) return left;
    std::this_thread::sleep_for(kDrainStep);
  }
}

absl::StatusOr<nvmeof::Endpoint> ParseTargetEndpoint(std::string_view text, uint16_t default_port) {
  constexpr std::string_view kLocalhost = "localhost";
  const bool is_localhost = text == kLocalhost || text.starts_with("localhost:");
  if (!is_localhost) return nvmeof::ParseEndpoint(text, default_port);
  return nvmeof::ParseEndpoint("127.0.0.1" + std::string(text.substr(kLocalhost.size())),
                               default_port);
}

absl::Status FlushDevice(block::Device& device) {
  if (device.geometry().read_only) return absl::OkStatus();
  STRATA_ASSIGN_OR_RETURN(const std::unique_ptr<block::Channel> channel,
                          device.OpenChannel({.queue_depth = 1}));
  return block::FlushBlocking(*channel);
}

}  // namespace strata::appliance
