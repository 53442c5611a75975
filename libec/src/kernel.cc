// SPDX-License-Identifier: Apache-2.0
#include "strata/ec/kernel.h"

#include <array>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "kernel_table.h"

namespace strata::ec {
namespace {

struct Row {
  Kernel kernel;
  std::string_view name;
  const KernelOps* ops;  // Null: not in this build.
};

#if defined(__x86_64__)
// The fastest first.
constexpr std::array kRows = {
    Row{Kernel::kGfniAvx512, "gfni-avx512", &kGfniAvx512Ops},
    Row{Kernel::kGfniAvx2, "gfni-avx2", &kGfniAvx2Ops},
    Row{Kernel::kAvx512, "avx512", &kAvx512Ops},
    Row{Kernel::kAvx2, "avx2", &kAvx2Ops},
    Row{Kernel::kPortable, "portable", &kPortableOps},
    Row{Kernel::kIsaL, "isa-l", &kIsaLOps},
};

bool CpuHas(Kernel kernel) {
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") != 0;
  const bool avx512 =
      __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0;
  const bool gfni = __builtin_cpu_supports("gfni") != 0;
  switch (kernel) {
    case Kernel::kGfniAvx512:
      return gfni && avx512;
    case Kernel::kGfniAvx2:
      return gfni && avx2;
    case Kernel::kAvx512:
      return avx512;
    case Kernel::kAvx2:
      return avx2;
    default:
      return true;
  }
}
#else
constexpr std::array kRows = {
    Row{Kernel::kPortable, "portable", &kPortableOps}, Row{Kernel::kIsaL, "isa-l", &kIsaLOps},
    Row{Kernel::kGfniAvx512, "gfni-avx512", nullptr},  Row{Kernel::kGfniAvx2, "gfni-avx2", nullptr},
    Row{Kernel::kAvx512, "avx512", nullptr},           Row{Kernel::kAvx2, "avx2", nullptr},
};

bool CpuHas(Kernel) { return true; }
#endif

constexpr std::string_view kFastestName = "fastest";

}  // namespace

const KernelOps* FindKernelOps(Kernel kernel) {
  for (const Row& row : kRows) {
    const bool wanted = kernel == row.kernel || kernel == Kernel::kFastest;
    if (wanted && row.ops != nullptr && CpuHas(row.kernel)) return row.ops;
  }
  return nullptr;
}

bool IsSupported(Kernel kernel) { return FindKernelOps(kernel) != nullptr; }

std::vector<Kernel> SupportedKernels() {
  std::vector<Kernel> kernels;
  for (const Row& row : kRows) {
    if (IsSupported(row.kernel)) kernels.push_back(row.kernel);
  }
  return kernels;
}

Kernel Resolve(Kernel kernel) {
  if (kernel != Kernel::kFastest) return kernel;
  const KernelOps* const ops = FindKernelOps(kernel);
  for (const Row& row : kRows) {
    if (row.ops == ops) return row.kernel;
  }
  return Kernel::kPortable;
}

std::string_view KernelName(Kernel kernel) {
  for (const Row& row : kRows) {
    if (row.kernel == kernel) return row.name;
  }
  return kFastestName;
}

absl::StatusOr<Kernel> ParseKernel(std::string_view name) {
  if (name == kFastestName) return Kernel::kFastest;
  std::string known(kFastestName);
  for (const Row& row : kRows) {
    if (row.name == name) return row.kernel;
    absl::StrAppend(&known, ", ", std::string(row.name));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("no kernel '", std::string(name), "'; there are ", known));
}

}  // namespace strata::ec
