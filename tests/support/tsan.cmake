# Read right after project() by the tsan preset: every program is linked with the threads that TSan can see, compiled here
# because a linker flag of programs alone (CMAKE_EXE_LINKER_FLAGS) wants a file that is there.
set(object ${CMAKE_BINARY_DIR}/tsan_threads.o)
execute_process(
  COMMAND ${CMAKE_C_COMPILER} -std=gnu11 -O1 -g -fPIC -fsanitize=thread -c ${CMAKE_CURRENT_LIST_DIR}/tsan_threads.c -o ${object}
  RESULT_VARIABLE status)
if(status)
  message(FATAL_ERROR "tests/support/tsan_threads.c does not compile")
endif()
string(APPEND CMAKE_EXE_LINKER_FLAGS " -fsanitize=thread -Wl,--wrap=free ${object}")
