// SPDX-License-Identifier: Apache-2.0
//
// Bytes in and out of Python without copying: anything that offers a contiguous buffer.
#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <span>

namespace strata::python {

// Holds an object's buffer for its own life. Throws TypeError or BufferError when there is none, it
// is not contiguous, or (writable) cannot be written.
class BufferView {
 public:
  BufferView(const pybind11::object& object, bool writable) {
    if (PyObject_GetBuffer(object.ptr(), &view_, writable ? PyBUF_WRITABLE : PyBUF_SIMPLE) != 0) {
      throw pybind11::error_already_set();
    }
  }
  ~BufferView() { PyBuffer_Release(&view_); }
  BufferView(const BufferView&) = delete;
  BufferView& operator=(const BufferView&) = delete;

  std::span<std::byte> bytes() const {
    return {static_cast<std::byte*>(view_.buf), static_cast<size_t>(view_.len)};
  }

 private:
  Py_buffer view_;
};

}  // namespace strata::python
