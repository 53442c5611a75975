// SPDX-License-Identifier: Apache-2.0
#include "status.h"

#include <string>

namespace strata::python {

namespace py = pybind11;

void Raise(const absl::Status& status) {
  py::object type = py::module_::import("strata.errors")
                        .attr("class_of")(absl::StatusCodeToString(status.code()));
  const std::string message(status.message().data(), status.message().size());
  PyErr_SetObject(type.ptr(), py::str(message).ptr());
  throw py::error_already_set();
}

}  // namespace strata::python
