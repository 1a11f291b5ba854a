# Finds utf8proc, the tables of Unicode. Defines the target Utf8proc::Utf8proc.
include("${CMAKE_CURRENT_LIST_DIR}/StriatePlainLibrary.cmake")
striate_plain_library(Utf8proc HEADER utf8proc.h LIBRARY utf8proc PACKAGE libutf8proc-dev)
