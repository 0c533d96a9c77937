# Installs component "library" to a prefix, compiles api.c against it with pkg-config and runs it.
# cmake -D BUILD= -D WORK= -D COMPILER= -D FLAGS= -D LIBDIR= -D SOURCE= -D DATA= -P installed_library.cmake
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${ARGN}: ${result}\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE ${WORK})
run(${CMAKE_COMMAND} --install ${BUILD} --component library --prefix ${WORK}/prefix)
# The prefix may be moved: nothing in it says where it was made.
file(RENAME ${WORK}/prefix ${WORK}/moved)
set(ENV{PKG_CONFIG_PATH} ${WORK}/moved/${LIBDIR}/pkgconfig)
run(pkg-config --cflags --libs lepton)
separate_arguments(flags UNIX_COMMAND "${output} ${FLAGS}")
run(${COMPILER} -std=c11 -Wall -Wextra -Werror ${SOURCE}/api.c -o ${WORK}/api ${flags} -lm)
set(ENV{LD_LIBRARY_PATH} ${WORK}/moved/${LIBDIR})
run(${WORK}/api ${DATA}/mlp_10_64_64_1.safetensors ${DATA}/mlp_10_64_64_1.jsonl ${DATA}/mlp_10_64_64_1.f64)

# Only the public names are exported.
run(nm -D --defined-only ${WORK}/moved/${LIBDIR}/liblepton.so.0)
string(REGEX MATCHALL "[^\n ]+\n" names "${output}")
foreach(name ${names})
  string(STRIP "${name}" name)
  if(NOT name MATCHES "^lepton_" AND NOT FLAGS MATCHES "sanitize")
    message(FATAL_ERROR "liblepton.so exports ${name}")
  endif()
endforeach()
list(LENGTH names count)
if(count LESS 13)
  message(FATAL_ERROR "liblepton.so exports ${count} names only:\n${output}")
endif()

# Headers are C++, too.
find_program(CXX NAMES c++ g++ clang++)
if(CXX)
  file(WRITE ${WORK}/api.cc "#include <lepton/lepton.h>\nint main() { return lepton_version() == nullptr; }\n")
  run(${CXX} -Wall -Wextra -Werror ${WORK}/api.cc -o ${WORK}/api_cc ${flags})
  run(${WORK}/api_cc)
endif()
