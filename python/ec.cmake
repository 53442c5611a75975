# SPDX-License-Identifier: Apache-2.0
strata_add_python_module(ec)
strata_add_python_files(_ec.pyi ec.py)

if(STRATA_BUILD_TESTS)
  strata_add_script_test(NAME python_ec LIB ec LABELS e2e
                         COMMAND ${Python_EXECUTABLE} -m unittest -v ec_test
                         ENV PYTHONPATH=${PROJECT_BINARY_DIR}/python:${CMAKE_CURRENT_SOURCE_DIR}/tests)
  strata_add_script_test(
    NAME example_python_ec LIB ec LABELS e2e
    COMMAND ${PROJECT_SOURCE_DIR}/examples/run_in_empty_folder ${Python_EXECUTABLE}
            ${PROJECT_SOURCE_DIR}/examples/python_ec.py
    ENV PYTHONPATH=${PROJECT_BINARY_DIR}/python)
endif()
