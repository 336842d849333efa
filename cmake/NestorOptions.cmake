# SPDX-License-Identifier: MIT
# How everything is compiled: two interface targets, nestor_options and nestor_warnings.

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# No NDEBUG: people rely on the figures, so a bug of ours stops the run instead of bending them.
set(CMAKE_C_FLAGS_RELEASE "-O2 -g1")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g -fno-omit-frame-pointer")

# Link-time optimisation for the program and the library. Objects are fat, so that the test programs
# link without it (-fno-lto) in a moment. GNU only: with clang it needs a linker plug-in that a
# plain installation lacks.
if(CMAKE_C_COMPILER_ID STREQUAL "GNU" AND NOT NESTOR_SANITIZE)
  include(CheckIPOSupported)
  check_ipo_supported(RESULT NESTOR_IPO LANGUAGES C)
  if(NESTOR_IPO)
    set(CMAKE_C_COMPILE_OPTIONS_IPO -flto=auto -ffat-lto-objects)
    set(CMAKE_INTERPROCEDURAL_OPTIMIZATION_RELEASE ON)
  endif()
endif()

add_library(nestor_options INTERFACE)
target_compile_definitions(nestor_options INTERFACE _GNU_SOURCE)
target_include_directories(nestor_options INTERFACE
  "${CMAKE_CURRENT_SOURCE_DIR}" "${CMAKE_CURRENT_SOURCE_DIR}/src"
  "${CMAKE_CURRENT_BINARY_DIR}/generated")
# No build folder in binaries: the same sources give the same bytes.
target_compile_options(nestor_options INTERFACE
  "-ffile-prefix-map=${CMAKE_CURRENT_SOURCE_DIR}/=")
if(NESTOR_SANITIZE)
  set(sanitizers -fsanitize=address,undefined -fno-sanitize-recover=all)
  target_compile_options(nestor_options INTERFACE ${sanitizers})
  target_link_options(nestor_options INTERFACE ${sanitizers})
endif()

if(NESTOR_FUZZ)
  target_compile_options(nestor_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

add_library(nestor_warnings INTERFACE)
target_compile_options(nestor_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef
  -Wswitch-enum -Wimplicit-fallthrough -Wformat=2 -Wconversion
  $<$<C_COMPILER_ID:Clang>:-Wno-sign-conversion>
  $<$<BOOL:${NESTOR_DEVELOPER}>:-Werror>)
