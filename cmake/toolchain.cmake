# SPDX-License-Identifier: Apache-2.0
# Warnings, sanitizers, ccache and mold. Two cores make compile time a feature.
find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()
find_program(MOLD mold)
if(MOLD)
  # As GNU ld does by itself: what only starts, throws or fails lies together, away from what runs, so that a command
  # touches less of the text.
  add_link_options(-fuse-ld=mold -Wl,-z,keep-text-section-prefix)
endif()

add_compile_options(-Wall -Wextra -Wno-missing-field-initializers -fno-plt)
add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor>)
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  add_compile_options(-O2 -g1 -ffunction-sections -fdata-sections)
  add_link_options(-Wl,--gc-sections -Wl,--as-needed)
else()
  add_compile_options(-Og -g1)
  add_link_options(-Wl,--as-needed)
endif()
if(CAISSON_SANITIZE)
  add_compile_options(-fsanitize=${CAISSON_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${CAISSON_SANITIZE})
endif()
