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

# The files of a room, or for a release files that each include several of them (cmake/units.awk says which): 40 % less work
# for a compiler. The dev preset compiles each alone, which editors want and which shows a missing include. The units name
# their files as includes do, so that nothing compiled says where the checkout lies.
function(caisson_units out)
  if(NOT CMAKE_BUILD_TYPE STREQUAL "Release")
    set(${out} ${ARGN} PARENT_SCOPE)
    return()
  endif()
  execute_process(COMMAND awk -v most=1500 -f ${CMAKE_SOURCE_DIR}/cmake/units.awk ${ARGN}
    OUTPUT_VARIABLE lines OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  string(REPLACE "\n" ";" lines "${lines}")
  set(numbers "")
  while(lines)
    list(POP_FRONT lines number file)
    file(RELATIVE_PATH name ${CMAKE_SOURCE_DIR}/src ${file})
    string(APPEND text_${number} "#include \"${name}\"\n")
    list(APPEND numbers ${number})
  endwhile()
  list(REMOVE_DUPLICATES numbers)
  set(units "")
  foreach(number ${numbers})
    file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/unit_${number}.cc CONTENT "${text_${number}}" @ONLY)
    list(APPEND units ${CMAKE_CURRENT_BINARY_DIR}/unit_${number}.cc)
  endforeach()
  set(${out} ${units} PARENT_SCOPE)
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
    caisson_units(units ${sources})
    add_library(${target} STATIC ${units})
    target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(${target} PUBLIC ${uses} Threads::Threads PRIVATE ${ROOM_LIBS})
    target_precompile_headers(${target} REUSE_FROM caisson_pch)
    target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-Wno-subobject-linkage>)  # a unit includes its files
  else()
    add_library(${target} INTERFACE)
    target_include_directories(${target} INTERFACE ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(${target} INTERFACE ${uses} Threads::Threads)
  endif()
  if(CAISSON_TESTS AND tests)
    configure_file(${CMAKE_SOURCE_DIR}/cmake/test_dirs.cc.in test_dirs.cc @ONLY)
    add_executable(${target}_test ${tests} ${CMAKE_SOURCE_DIR}/cmake/test_main.cc ${CMAKE_CURRENT_BINARY_DIR}/test_dirs.cc)
    target_include_directories(${target}_test PRIVATE ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(${target}_test PRIVATE ${target} ${uses} ${ROOM_LIBS} ${ROOM_TEST_LIBS})
    target_precompile_headers(${target}_test REUSE_FROM caisson_pch)
    set_target_properties(${target}_test PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  endif()
endfunction()
