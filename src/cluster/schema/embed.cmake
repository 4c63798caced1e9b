# SPDX-License-Identifier: Apache-2.0
# cmake -DDIR=… -DOUT=… -P embed.cmake: writes the kind files below DIR as one C++ source.
file(GLOB_RECURSE files RELATIVE ${DIR} ${DIR}/*.yaml)
list(SORT files)
set(text "// Made by embed.cmake.\n#include \"cluster/schema/kind_files.h\"\nnamespace caisson::schema {\nnamespace {\nconstexpr KindFile kFiles[] = {\n")
foreach(file ${files})
  file(READ ${DIR}/${file} content)
  string(APPEND text "{\"${file}\", R\"~kind~(${content})~kind~\"},\n")
endforeach()
string(APPEND text "};\n}  // namespace\nstd::span<const KindFile> kind_files() { return kFiles; }\n}  // namespace caisson::schema\n")
file(WRITE ${OUT} "${text}")
