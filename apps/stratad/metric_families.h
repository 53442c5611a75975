// SPDX-License-Identifier: Apache-2.0
//
// Gathers metrics by family, in the order in which the families are first named. Used by one
// thread.
#pragma once

#include <prometheus/metric_family.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace strata::appliance {

class MetricFamilies final {
 public:
  using Labels = std::vector<prometheus::ClientMetric::Label>;

  void Gauge(const std::string& name, const char* help, double value, Labels labels = {}) {
    prometheus::ClientMetric metric;
    metric.label = std::move(labels);
    metric.gauge.value = value;
    Add(name, help, prometheus::MetricType::Gauge, std::move(metric));
  }

  void Counter(const std::string& name, const char* help, double value, Labels labels = {}) {
    prometheus::ClientMetric metric;
    metric.label = std::move(labels);
    metric.counter.value = value;
    Add(name, help, prometheus::MetricType::Counter, std::move(metric));
  }

  void Summary(const std::string& name, const char* help, uint64_t count, double sum,
               Labels labels) {
    prometheus::ClientMetric metric;
    metric.label = std::move(labels);
    metric.summary.sample_count = count;
    metric.summary.sample_sum = sum;
    Add(name, help, prometheus::MetricType::Summary, std::move(metric));
  }

  // `buckets`: cumulative counts with the bounds that they include; the last bound is infinite.
  void Histogram(const std::string& name, const char* help, double sum,
                 std::vector<prometheus::ClientMetric::Bucket> buckets, Labels labels) {
    prometheus::ClientMetric metric;
    metric.label = std::move(labels);
    metric.histogram.sample_count = buckets.empty() ? 0 : buckets.back().cumulative_count;
    metric.histogram.sample_sum = sum;
    metric.histogram.bucket = std::move(buckets);
    Add(name, help, prometheus::MetricType::Histogram, std::move(metric));
  }

  const std::vector<prometheus::MetricFamily>& all() const { return families_; }

 private:
  void Add(const std::string& name, const char* help, prometheus::MetricType type,
           prometheus::ClientMetric metric) {
    for (prometheus::MetricFamily& family : families_) {
      if (family.name != name) continue;
      family.metric.push_back(std::move(metric));
      return;
    }
    families_.push_back({name, help, type, {std::move(metric)}});
  }

  std::vector<prometheus::MetricFamily> families_;
};

}  // namespace strata::appliance
