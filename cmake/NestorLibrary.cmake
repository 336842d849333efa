# SPDX-License-Identifier: MIT
# libnestor, shared and static. Both export nst_* and nothing else: the modules are compiled with
# hidden visibility, and the static library is one object whose hidden symbols have become local, so
# that a user's own vmcs_read() does not clash with ours.

set(library_objects)
foreach(module vmcs paging isa_x86 machine ledger hypervisor)
  get_target_property(type nestor_${module} TYPE)
  if(type STREQUAL "STATIC_LIBRARY")
    list(APPEND library_objects "$<TARGET_OBJECTS:nestor_${module}>")
  endif()
endforeach()
if(NOT library_objects)
  return()
endif()

add_library(nestor_shared SHARED ${library_objects})
target_link_libraries(nestor_shared PRIVATE nestor_options Zydis::Zydis PkgConfig::CAPSTONE)
target_include_directories(nestor_shared INTERFACE
  "${CMAKE_CURRENT_SOURCE_DIR}/src" "${generated}")
set_target_properties(nestor_shared PROPERTIES OUTPUT_NAME nestor LINKER_LANGUAGE C
  VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
# Every symbol is ours or a library's; clang's sanitizers come with the program instead.
if(NOT NESTOR_SANITIZE)
  target_link_options(nestor_shared PRIVATE -Wl,--no-undefined)
endif()

set(static_library "${CMAKE_CURRENT_BINARY_DIR}/libnestor.a")
set(relocatable -r -nostdlib)
if(NESTOR_IPO AND CMAKE_BUILD_TYPE STREQUAL "Release")
  list(APPEND relocatable -O2 -flto=auto -flinker-output=nolto-rel)
endif()
add_custom_command(
  OUTPUT "${static_library}"
  COMMAND "${CMAKE_C_COMPILER}" ${relocatable} -o libnestor.o ${library_objects}
  COMMAND "${CMAKE_OBJCOPY}" --localize-hidden libnestor.o
  COMMAND "${CMAKE_COMMAND}" -E rm -f "${static_library}"
  COMMAND "${CMAKE_AR}" rcs "${static_library}" libnestor.o
  DEPENDS ${library_objects}
  COMMENT "Linking C static library libnestor.a" COMMAND_EXPAND_LISTS VERBATIM)
add_custom_target(nestor_static ALL DEPENDS "${static_library}")

# The .pc file finds its prefix from where it lies: an installed tree can be moved.
file(RELATIVE_PATH NESTOR_PC_PREFIX "/p/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/p")
configure_file(cmake/nestor.pc.in nestor.pc @ONLY)
install(TARGETS nestor_shared LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(FILES "${static_library}" DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/nestor.pc"
  DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
install(FILES src/nestor.h src/nestor_cunit.h "${generated}/nst_encodings.h"
  DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
