# Finds LibTorch: the CPU wheel, a CUDA wheel, or the unpacked LibTorch archive.
#
# All three hold one folder with `lib/` and `include/`; that is all this file needs. It runs no
# Python, asks for no CUDA toolkit and reads none of LibTorch's own CMake files.
#
# Looks in the variable or environment variable STRIATE_LIBTORCH (the folder itself, or the one that
# holds `torch/` or `libtorch/`) and, where it is not set, in `.deps/libtorch` of this project.
#
# Defines the target LibTorch::LibTorch and LibTorch_VERSION, LibTorch_CUDA (TRUE or FALSE).

set(_libtorch_named "${STRIATE_LIBTORCH}")
if(NOT _libtorch_named)
  set(_libtorch_named "$ENV{STRIATE_LIBTORCH}")
endif()
set(_libtorch_roots "${_libtorch_named}")
if(NOT _libtorch_named)
  set(_libtorch_roots "${CMAKE_CURRENT_LIST_DIR}/../.deps/libtorch" ${CMAKE_PREFIX_PATH})
endif()
# Another name than at the last configuring: nothing found then counts.
if(NOT "${_libtorch_named}" STREQUAL "${LibTorch_NAMED_ROOT}")
  foreach(_variable IN ITEMS ROOT_DIR CPU_LIBRARY C10_LIBRARY LIBRARY CUDA_LIBRARY C10_CUDA_LIBRARY)
    unset(LibTorch_${_variable} CACHE)
  endforeach()
endif()
set(LibTorch_NAMED_ROOT "${_libtorch_named}" CACHE INTERNAL "what STRIATE_LIBTORCH named")

set(_libtorch_hints "")
foreach(_root IN LISTS _libtorch_roots)
  if(_root)
    list(APPEND _libtorch_hints "${_root}" "${_root}/torch" "${_root}/libtorch")
  endif()
endforeach()

find_path(LibTorch_ROOT_DIR NAMES include/torch/csrc/api/include/torch/types.h
          HINTS ${_libtorch_hints} NO_DEFAULT_PATH)
if(LibTorch_ROOT_DIR)
  find_library(LibTorch_CPU_LIBRARY torch_cpu PATHS "${LibTorch_ROOT_DIR}/lib" NO_DEFAULT_PATH)
  find_library(LibTorch_C10_LIBRARY c10 PATHS "${LibTorch_ROOT_DIR}/lib" NO_DEFAULT_PATH)
  find_library(LibTorch_LIBRARY torch PATHS "${LibTorch_ROOT_DIR}/lib" NO_DEFAULT_PATH)
  find_library(LibTorch_CUDA_LIBRARY torch_cuda PATHS "${LibTorch_ROOT_DIR}/lib" NO_DEFAULT_PATH)
  find_library(LibTorch_C10_CUDA_LIBRARY c10_cuda PATHS "${LibTorch_ROOT_DIR}/lib" NO_DEFAULT_PATH)
  mark_as_advanced(LibTorch_CPU_LIBRARY LibTorch_C10_LIBRARY LibTorch_LIBRARY
                   LibTorch_CUDA_LIBRARY LibTorch_C10_CUDA_LIBRARY)
  file(STRINGS "${LibTorch_ROOT_DIR}/include/torch/headeronly/version.h" _version_lines
       REGEX "define TORCH_VERSION_(MAJOR|MINOR|PATCH) ")
  string(REGEX REPLACE "[^0-9;]" "" LibTorch_VERSION "${_version_lines}")
  string(REPLACE ";" "." LibTorch_VERSION "${LibTorch_VERSION}")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch
  REQUIRED_VARS LibTorch_ROOT_DIR LibTorch_CPU_LIBRARY LibTorch_C10_LIBRARY LibTorch_LIBRARY
  VERSION_VAR LibTorch_VERSION
  REASON_FAILURE_MESSAGE "run tools/setup.sh, or set STRIATE_LIBTORCH to a LibTorch folder")

if(LibTorch_FOUND AND NOT TARGET LibTorch::LibTorch)
  find_package(Threads REQUIRED)
  add_library(LibTorch::LibTorch INTERFACE IMPORTED)
  target_include_directories(LibTorch::LibTorch SYSTEM INTERFACE
    "${LibTorch_ROOT_DIR}/include" "${LibTorch_ROOT_DIR}/include/torch/csrc/api/include")
  # libtorch.so and the CUDA libraries register their kernels when loaded, though no symbol of
  # theirs is called: the linker must not drop them.
  set(_libtorch_kept "${LibTorch_LIBRARY}")
  set(LibTorch_CUDA FALSE)
  if(LibTorch_CUDA_LIBRARY)
    set(LibTorch_CUDA TRUE)
    list(APPEND _libtorch_kept "${LibTorch_CUDA_LIBRARY}" "${LibTorch_C10_CUDA_LIBRARY}")
  endif()
  # LibTorch's parallel loops in headers are serial without OpenMP. gomp comes by its bare name and
  # last, so that at run time the libgomp beside LibTorch serves both.
  target_compile_options(LibTorch::LibTorch INTERFACE -fopenmp)
  target_link_libraries(LibTorch::LibTorch INTERFACE
    -Wl,--push-state,--no-as-needed ${_libtorch_kept} -Wl,--pop-state
    "${LibTorch_CPU_LIBRARY}" "${LibTorch_C10_LIBRARY}" Threads::Threads gomp)
endif()
