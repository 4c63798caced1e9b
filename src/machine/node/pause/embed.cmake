# SPDX-License-Identifier: Apache-2.0
# cmake -DIN=PROGRAM -DOUT=FILE -P embed.cmake: the program's bytes as a C++ array initialiser.
file(READ "${IN}" bytes HEX)
string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
file(WRITE "${OUT}" "${bytes}\n")
