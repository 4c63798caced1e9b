# SPDX-License-Identifier: Apache-2.0
# cmake -DDIR=… -DPATTERN=*.lua -DOUT=….cc -DHEADER=….h -DNAMESPACE=… -DFUNCTION=… -P embed_text.cmake
# Writes the files as one C++ source: a function that gives a span of {name, text}, in the order of their names.
file(GLOB files ${DIR}/${PATTERN})
list(SORT files)
set(out "// Made by embed_text.cmake.\n#include \"${HEADER}\"\nnamespace ${NAMESPACE} {\nnamespace {\nconstexpr EmbeddedText kTexts[] = {\n")
foreach(file ${files})
  get_filename_component(name ${file} NAME)
  file(READ ${file} text)
  string(APPEND out "{\"${name}\", R\"~text~(${text})~text~\"},\n")
endforeach()
string(APPEND out "};\n}  // namespace\nstd::span<const EmbeddedText> ${FUNCTION}() { return kTexts; }\n}  // namespace ${NAMESPACE}\n")
file(WRITE ${OUT} "${out}")
