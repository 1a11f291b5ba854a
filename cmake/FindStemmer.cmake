# Finds libstemmer, the Snowball stemmers. Defines the target Stemmer::Stemmer.
include("${CMAKE_CURRENT_LIST_DIR}/StriatePlainLibrary.cmake")
striate_plain_library(Stemmer HEADER libstemmer.h LIBRARY stemmer PACKAGE libstemmer-dev)
