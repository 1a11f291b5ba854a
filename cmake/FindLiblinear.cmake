# Finds liblinear, linear support vector machines. Defines the target Liblinear::Liblinear.
include("${CMAKE_CURRENT_LIST_DIR}/StriatePlainLibrary.cmake")
striate_plain_library(Liblinear HEADER linear.h LIBRARY linear PACKAGE liblinear-dev)
