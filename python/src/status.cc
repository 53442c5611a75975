// SPDX-License-Identifier: Apache-2.0
#include "status.h"

#include <string>

namespace strata::python {

namespace py = pybind11;

void Raise(const absl::Status& status) {
  py::object type = py::module_::import("strata.errors")
                        .attr("class_of")(absl::StatusCodeToString(status.code()));
  const std::string message(status.message().data(), status.message().size());
  // A path need not be UTF-8.
  const auto text = py::reinterpret_steal<py::object>(PyUnicode_DecodeUTF8(
      message.data(), static_cast<py::ssize_t>(message.size()), "backslashreplace"));
  if (text) PyErr_SetObject(type.ptr(), text.ptr());
  throw py::error_already_set();
}

}  // namespace strata::python
