# striate_room(NAME SOURCES file... LINK public-target... [PRIVATE private-target...] [TORCH])
#
# One room of the library as one static library, `striate::NAME`. TORCH gives it LibTorch.

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Paths relative to the sources: a clone in another folder finds what this one compiled.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}
                                  CCACHE_NOHASHDIR=1 ${CCACHE_PROGRAM})
endif()

add_library(striate_options INTERFACE)
target_compile_options(striate_options INTERFACE
  -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers
  # GCC 12 sees overlaps and overflows in std::string's own code that are not there.
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict -Wno-array-bounds -Wno-stringop-overflow>
  # With sanitizers GCC 12 also warns of values that it made itself; those builds only run.
  $<$<AND:$<BOOL:${STRIATE_DEVELOPER}>,$<NOT:$<BOOL:${STRIATE_SANITIZE}>>>:-Werror>)
if(STRIATE_SANITIZE)
  target_compile_options(striate_options INTERFACE
    -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  target_link_options(striate_options INTERFACE -fsanitize=address,undefined)
endif()

function(striate_room NAME)
  cmake_parse_arguments(ROOM "TORCH" "" "SOURCES;LINK;PRIVATE" ${ARGN})
  set(target striate_${NAME})
  add_library(${target} STATIC ${ROOM_SOURCES})
  add_library(striate::${NAME} ALIAS ${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${NAME})
  target_include_directories(${target}
    PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>
    PRIVATE ${PROJECT_SOURCE_DIR}/src)
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_link_libraries(${target} PUBLIC ${ROOM_LINK}
    PRIVATE $<BUILD_INTERFACE:striate_options> $<BUILD_INTERFACE:fmt::fmt-header-only>
            $<BUILD_INTERFACE:nlohmann_json::nlohmann_json> ${ROOM_PRIVATE})
  if(ROOM_TORCH)
    target_link_libraries(${target} PUBLIC LibTorch::LibTorch)
  endif()
endfunction()
