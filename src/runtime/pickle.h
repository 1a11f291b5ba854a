#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "runtime/weight_file.h"

namespace striate::pickle {

struct Value;
using Items = std::vector<Value*>;

struct None {};
/// A number beyond 64 bits, as little-endian two's complement.
struct Long {
  std::string bytes;
};
struct Bytes {
  std::string bytes;
};
struct List {
  Items items;
};
struct Tuple {
  Items items;
};
struct Dict {
  std::vector<std::pair<Value*, Value*>> items;
};
/// A name that the reader knows, "torch.FloatStorage" for instance.
struct Global {
  std::string_view name;
};
/// A function of the reader's list that a program would have called. Nothing is.
struct Call {
  std::string_view function;
  const Items* arguments = nullptr;
};
/// What stands for the memory of a tensor.
struct Persistent {
  const Value* id = nullptr;
};

struct Value {
  uint64_t byte = 0;  // where in the file it was made
  std::variant<None, bool, int64_t, double, std::string, Long, Bytes, List, Tuple, Dict, Global,
               Call, Persistent>
      content;
};

template <class T>
const T* as(const Value* value) {
  return std::get_if<T>(&value->content);
}

/// One pickle. It owns its values, which may refer to each other in circles.
struct Document {
  std::deque<Value> values;
  std::vector<const Value*> persistent;  // every Persistent, in order
  const Value* root = nullptr;
  uint64_t end = 0;  // the byte after it
};

/// Reads a pickle of protocol 2 to 5 that starts at `range.begin`. It is taken as data: a fixed
/// list of names is known, and none is looked up or called.
/// @throws FormatError  any other name or opcode, with its byte; a pickle that is cut off or too
///                      large.
Document read(const WeightFile& file, ByteRange range);

}  // namespace striate::pickle
