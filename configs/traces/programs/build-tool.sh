#!/bin/sh
# A generated project for cmake, into the folder: libraries that use each other, generator expressions, many files.
mkdir -p "$1"
cd "$1" || exit 1
{
    echo 'cmake_minimum_required(VERSION 3.16)'
    echo 'project(generated NONE)'
    echo 'set(all "")'
    for i in $(seq 1 120); do
        echo "foreach(file RANGE 1 12)"
        echo "  set(out \${CMAKE_BINARY_DIR}/part$i-\${file}.out)"
        echo "  add_custom_command(OUTPUT \${out} COMMAND \${CMAKE_COMMAND} -E touch \${out} DEPENDS \${CMAKE_SOURCE_DIR}/input.txt)"
        echo "  list(APPEND files$i \${out})"
        echo "endforeach()"
        echo "string(REPLACE \"part\" \"piece\" renamed$i \"\${files$i}\")"
        echo "add_custom_target(target$i ALL DEPENDS \${files$i})"
        [ "$i" = 1 ] || echo "add_dependencies(target$i target$((i / 2)))"
        echo "set_target_properties(target$i PROPERTIES note \"\$<TARGET_PROPERTY:target$i,NAME> \${renamed$i}\")"
    done
} >CMakeLists.txt
echo input >input.txt
