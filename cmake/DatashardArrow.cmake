# Finds Arrow C++ and Parquet, one copy per process: a system installation (find_package) where there is one, else the
# libraries inside the pyarrow wheel of Python_EXECUTABLE, else those of -DPYARROW_ROOT=<site-packages/pyarrow>.
# Makes targets under upstream's names: Arrow::arrow_shared, Parquet::parquet_shared, ArrowCompute::arrow_compute_shared.
# Sets DATASHARD_ARROW_RPATH to the directory of the libraries, empty for a system installation.

set(DATASHARD_ARROW_VERSION "24.0")
set(DATASHARD_ARROW_SOVERSION "2400")
set(DATASHARD_ARROW_SOURCE "AUTO" CACHE STRING "Where Arrow comes from: AUTO, SYSTEM or WHEEL")
set(PYARROW_ROOT "" CACHE PATH "Directory of an installed pyarrow package (contains include/ and libarrow.so.*)")

if(NOT DATASHARD_ARROW_SOURCE STREQUAL "WHEEL" AND NOT PYARROW_ROOT)
  find_package(Arrow ${DATASHARD_ARROW_VERSION} CONFIG QUIET)
  if(Arrow_FOUND)
    find_package(Parquet CONFIG REQUIRED)
    find_package(ArrowCompute CONFIG REQUIRED)
    message(STATUS "datashard: Arrow ${Arrow_VERSION} of the system")
    set(DATASHARD_ARROW_RPATH "")
    return()
  elseif(DATASHARD_ARROW_SOURCE STREQUAL "SYSTEM")
    message(FATAL_ERROR "DATASHARD_ARROW_SOURCE=SYSTEM, but no Arrow ${DATASHARD_ARROW_VERSION} CMake package was found. "
                        "Install one, or use the pyarrow wheel: pip install 'pyarrow==${DATASHARD_ARROW_VERSION}.*'")
  endif()
endif()

set(datashard_pyarrow "${PYARROW_ROOT}")
if(NOT datashard_pyarrow)
  execute_process(
    COMMAND "${Python_EXECUTABLE}" -c
            "import importlib.util as u; s = u.find_spec('pyarrow'); print(s.submodule_search_locations[0] if s else '')"
    OUTPUT_VARIABLE datashard_pyarrow OUTPUT_STRIP_TRAILING_WHITESPACE)
endif()
if(NOT EXISTS "${datashard_pyarrow}/libarrow.so.${DATASHARD_ARROW_SOVERSION}")
  message(FATAL_ERROR "No Arrow ${DATASHARD_ARROW_VERSION}: looked for libarrow.so.${DATASHARD_ARROW_SOVERSION} in "
                      "'${datashard_pyarrow}' (the pyarrow of ${Python_EXECUTABLE}). "
                      "Run: ${Python_EXECUTABLE} -m pip install 'pyarrow==${DATASHARD_ARROW_VERSION}.*'")
endif()
message(STATUS "datashard: Arrow ${DATASHARD_ARROW_VERSION} of the pyarrow wheel in ${datashard_pyarrow}")

function(datashard_arrow_library target file)
  if(NOT TARGET ${target})
    add_library(${target} SHARED IMPORTED GLOBAL)
    set_target_properties(${target} PROPERTIES
      IMPORTED_LOCATION "${datashard_pyarrow}/${file}.so.${DATASHARD_ARROW_SOVERSION}"
      INTERFACE_INCLUDE_DIRECTORIES "${datashard_pyarrow}/include")
  endif()
endfunction()
datashard_arrow_library(Arrow::arrow_shared libarrow)
datashard_arrow_library(Parquet::parquet_shared libparquet)
datashard_arrow_library(ArrowCompute::arrow_compute_shared libarrow_compute)
set(DATASHARD_ARROW_RPATH "${datashard_pyarrow}")
