# SPDX-License-Identifier: MIT
# Turns scenarios/nestor.xsd into the header that src/scenario/schema.c includes:
#   cmake -DINPUT=scenarios/nestor.xsd -DOUTPUT=generated/nestor_xsd.h -P embed_schema.cmake
file(READ "${INPUT}" bytes HEX)
string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
file(WRITE "${OUTPUT}"
  "/* Generated from scenarios/nestor.xsd. */\nstatic const char nestor_xsd[] = {\n${bytes}0};\n")
