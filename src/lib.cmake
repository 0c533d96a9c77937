# liblepton: the public API as a shared library that exports its lepton_* functions and nothing else, its headers and its
# pkg-config file. Component "library": cmake --install BUILD --component library --prefix PREFIX
if(NOT TARGET lepton_score)
  return()
endif()

add_library(lepton_shared SHARED ${CMAKE_SOURCE_DIR}/src/score/lepton.c)
set_target_properties(lepton_shared PROPERTIES OUTPUT_NAME lepton VERSION ${PROJECT_VERSION} SOVERSION 0)
target_link_libraries(lepton_shared PRIVATE lepton_score)
# What the static archives bring along stays inside, and what they do not use is not loaded.
target_link_options(lepton_shared PRIVATE -Wl,--exclude-libs,ALL -Wl,--as-needed -Wl,--gc-sections)
if(NOT LEPTON_SANITIZE)
  target_link_options(lepton_shared PRIVATE -Wl,--no-undefined)
endif()

# Paths relative to the file, so that a prefix may be moved.
file(RELATIVE_PATH LEPTON_PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" LEPTON_PC_PREFIX "${LEPTON_PC_PREFIX}")
configure_file(${CMAKE_SOURCE_DIR}/src/lepton.pc.in ${CMAKE_BINARY_DIR}/lepton.pc @ONLY)

install(TARGETS lepton_shared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/lepton DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT library
  FILES_MATCHING PATTERN "*.h")
install(FILES ${CMAKE_BINARY_DIR}/lepton.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT library)
