# SPDX-License-Identifier: Apache-2.0
# caisson_room(NAME core/http USES core/base LIBS OpenSSL::SSL)
#   builds every *.cc beside the CMakeLists.txt (but *_test.cc) into the library of the room, and every *_test.cc into the
#   room's test program. USES names the rooms that it may include; script/check-layers holds the includes to the same list.
find_package(Threads REQUIRED)
find_package(OpenSSL REQUIRED)

# One precompiled header, standard library only, shared by every room.
add_library(caisson_pch OBJECT ${CMAKE_SOURCE_DIR}/cmake/pch.cc)
target_precompile_headers(caisson_pch PRIVATE
  <algorithm> <atomic> <chrono> <condition_variable> <cstdint> <cstring> <deque> <functional> <map> <memory> <mutex>
  <optional> <set> <span> <string> <string_view> <thread> <unordered_map> <utility> <variant> <vector>)

# Compiles the files of a release several to a translation unit (cmake/units.awk says which): 40 % less work for a compiler. The
# dev preset compiles each alone, which editors want and which shows a missing include.
function(caisson_units target)
  if(NOT CMAKE_BUILD_TYPE STREQUAL "Release")
    return()
  endif()
  execute_process(COMMAND awk -v most=1500 -f ${CMAKE_SOURCE_DIR}/cmake/units.awk ${ARGN}
    OUTPUT_VARIABLE units OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  string(REPLACE "\n" ";" units "${units}")
  while(units)
    list(POP_FRONT units number file)
    set_source_files_properties(${file} PROPERTIES UNITY_GROUP ${number})
  endwhile()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
  target_compile_options(${target} PRIVATE -Wno-subobject-linkage)
endfunction()

function(caisson_room)
  cmake_parse_arguments(ROOM "" "NAME" "USES;LIBS;TEST_LIBS" ${ARGN})
  string(REPLACE "/" "_" target ${ROOM_NAME})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  list(FILTER sources EXCLUDE REGEX "/main\\.cc$")
  set(uses "")
  foreach(room ${ROOM_USES})
    string(REPLACE "/" "_" name ${room})
    list(APPEND uses ${name})
  endforeach()
  if(sources)
    add_library(${target} STATIC ${sources})
    target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR}/src PRIVATE ${CMAKE_BINARY_DIR}/generated)
    target_link_libraries(${target} PUBLIC ${uses} Threads::Threads PRIVATE ${ROOM_LIBS})
    target_precompile_headers(${target} REUSE_FROM caisson_pch)
    caisson_units(${target} ${sources})
  else()
    add_library(${target} INTERFACE)
    target_include_directories(${target} INTERFACE ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(${target} INTERFACE ${uses} Threads::Threads)
  endif()
  if(CAISSON_TESTS AND tests)
    add_executable(${target}_test ${tests} ${CMAKE_SOURCE_DIR}/cmake/test_main.cc)
    target_include_directories(${target}_test PRIVATE ${CMAKE_SOURCE_DIR}/src ${CMAKE_BINARY_DIR}/generated)
    target_link_libraries(${target}_test PRIVATE ${target} ${uses} ${ROOM_LIBS} ${ROOM_TEST_LIBS})
    target_compile_definitions(${target}_test PRIVATE CAISSON_SOURCE_DIR="${CMAKE_CURRENT_SOURCE_DIR}"
      CAISSON_REPOSITORY_DIR="${CMAKE_SOURCE_DIR}")
    target_precompile_headers(${target}_test REUSE_FROM caisson_pch)
    set_target_properties(${target}_test PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  endif()
endfunction()
