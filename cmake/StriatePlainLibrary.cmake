# striate_plain_library(NAME HEADER file LIBRARY name PACKAGE debian-package)
#
# The body of a FindNAME.cmake for a library that brings no CMake files: defines the target NAME::NAME.

include(FindPackageHandleStandardArgs)

macro(striate_plain_library NAME)
  cmake_parse_arguments(PLAIN "" "HEADER;LIBRARY;PACKAGE" "" ${ARGN})
  find_path(${NAME}_INCLUDE_DIR ${PLAIN_HEADER})
  find_library(${NAME}_LIBRARY ${PLAIN_LIBRARY})
  mark_as_advanced(${NAME}_INCLUDE_DIR ${NAME}_LIBRARY)
  find_package_handle_standard_args(${NAME}
    REQUIRED_VARS ${NAME}_LIBRARY ${NAME}_INCLUDE_DIR
    REASON_FAILURE_MESSAGE "run tools/setup.sh, or install ${PLAIN_PACKAGE}")
  if(${NAME}_FOUND AND NOT TARGET ${NAME}::${NAME})
    add_library(${NAME}::${NAME} UNKNOWN IMPORTED)
    set_target_properties(${NAME}::${NAME} PROPERTIES
      IMPORTED_LOCATION "${${NAME}_LIBRARY}"
      INTERFACE_INCLUDE_DIRECTORIES "${${NAME}_INCLUDE_DIR}")
  endif()
endmacro()
