#pragma once

#include <map>
#include <string>

#include "runtime/weight_file.h"

namespace striate {

/// Where the content of each file of a zip archive lies. Only stored files are accepted, so that
/// tensors can lie in the mapped archive.
/// @throws FormatError  a broken directory, a compressed or encrypted file, two files of one name
///                      or in one place.
std::map<std::string, ByteRange> list_zip(const WeightFile& file);

}  // namespace striate
