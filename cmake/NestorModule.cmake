# SPDX-License-Identifier: MIT
# nestor_module(<name> <folder> [EXCEPT files...] [LIBS libraries...])
#
# The static library nestor_<name> of all .c files below <folder>. A folder without sources gives an
# empty interface library, so that what depends on it still configures.

function(nestor_module name folder)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "" "EXCEPT;LIBS")
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS RELATIVE "${CMAKE_CURRENT_SOURCE_DIR}" "${folder}/*.c")
  if(arg_EXCEPT)
    list(REMOVE_ITEM sources ${arg_EXCEPT})
  endif()
  if(sources)
    add_library(nestor_${name} STATIC ${sources})
    target_link_libraries(nestor_${name} PRIVATE nestor_warnings PUBLIC nestor_options ${arg_LIBS})
    add_dependencies(nestor_${name} nestor_generated)
  else()
    add_library(nestor_${name} INTERFACE)
    target_link_libraries(nestor_${name} INTERFACE nestor_options ${arg_LIBS})
  endif()
endfunction()
