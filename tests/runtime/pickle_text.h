#pragma once

#include <string>
#include <utility>
#include <vector>

#include "weight_cases.h"

namespace striate {

// Pickles by hand, and the older form of a PyTorch file around them.

inline std::string text_pickle(const std::string& text) {
  return std::string("X") + bytes_of(static_cast<uint32_t>(text.size())) + text;
}

inline std::string number_pickle(int64_t value) {
  return std::string("\x8a\x08") + bytes_of(value);
}

inline std::string tuple_pickle(const std::vector<int64_t>& values) {
  std::string result = "(";
  for (const int64_t value : values) result += number_pickle(value);
  return result + "t";
}

inline std::string dict_pickle(const std::vector<std::pair<std::string, std::string>>& items) {
  std::string result = "}(";
  for (const auto& [name, value] : items) result += text_pickle(name) + value;
  return result + "u";
}

struct StoragePickle {
  std::string key = "s";
  int64_t numel = 6;
  std::string type = "FloatStorage";
  std::string view = "";  // a pickle
};

struct TensorPickle {
  StoragePickle storage;
  int64_t offset = 0;
  std::vector<int64_t> sizes = {2, 3};
  std::vector<int64_t> strides = {3, 1};
};

inline std::string tensor_pickle(const TensorPickle& tensor) {
  const StoragePickle& storage = tensor.storage;
  return std::string("ctorch._utils\n_rebuild_tensor_v2\n((") + text_pickle("storage") +
         "ctorch\n" + storage.type + "\n" + text_pickle(storage.key) + text_pickle("cpu") +
         number_pickle(storage.numel) + storage.view + "tQ" + number_pickle(tensor.offset) +
         tuple_pickle(tensor.sizes) + tuple_pickle(tensor.strides) + "\x89NtR";
}

/// Magic number, version and system, an object, the keys of the storages, and their memory.
inline std::string stream_file(const std::string& object, const std::string& keys,
                               const std::string& storages) {
  const std::string magic("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15);
  return magic + "\x80\x02M\xe9\x03.\x80\x02}.\x80\x02" + object + ".\x80\x02" + keys + "." +
         storages;
}

/// The same with one storage "s" of the six numbers 0 to 5.
inline std::string stream_file(const std::string& object) {
  std::string storage = bytes_of(int64_t{6});
  for (int i = 0; i < 6; ++i) storage += bytes_of(static_cast<float>(i));
  return stream_file(object, std::string("]") + text_pickle("s") + "a", storage);
}

}  // namespace striate
