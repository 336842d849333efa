# SPDX-License-Identifier: MIT
# The program `nestor` and what is installed beside it.

if(EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/src/cli/main.c")
  add_executable(nestor src/cli/main.c)
  target_link_libraries(nestor PRIVATE nestor_warnings nestor_cli nestor_hypervisor nestor_ledger
    nestor_machine nestor_traces)
  install(TARGETS nestor RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
endif()

set(data_folder "${CMAKE_INSTALL_DATADIR}/nestor")
foreach(folder scenarios traces/recorded)
  if(IS_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}/${folder}")
    get_filename_component(parent "${data_folder}/${folder}" DIRECTORY)
    install(DIRECTORY ${folder} DESTINATION "${parent}")
  endif()
endforeach()
if(EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/man/nestor.1")
  install(FILES man/nestor.1 DESTINATION "${CMAKE_INSTALL_MANDIR}/man1")
endif()
