#pragma once

#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "striate/base/error.h"
#include "striate/base/file.h"
#include "striate/runtime/weights.h"

namespace striate {

/// What tools/reference/weight_files.py wrote.
inline std::filesystem::path weight_files() {
  return std::filesystem::path(STRIATE_SOURCE_DIR) / "tests" / "reference" / "pth";
}

/// A file of its own for one test, removed after it.
class ScratchFile final {
 public:
  ScratchFile() {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    std::string name = std::filesystem::temp_directory_path() / "striate_XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    folder_ = name;
    path_ = folder_ / (std::string(test->name()) + ".weights");
  }
  ~ScratchFile() { std::filesystem::remove_all(folder_); }
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  const std::filesystem::path& folder() const { return folder_; }

  void write(const std::string& bytes) const {
    std::filesystem::remove(path_);  // a reader may still have the old file mapped
    std::ofstream(path_, std::ios::binary) << bytes;
  }

 private:
  std::filesystem::path folder_;
  std::filesystem::path path_;
};

/// What the reader says of a file of these bytes; "" if it reads it.
inline std::string error_of(const std::string& bytes, const ScratchFile& file = ScratchFile()) {
  file.write(bytes);
  try {
    read_weights(file.path());
    return "";
  } catch (const FormatError& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find(file.path().string()), std::string::npos) << message;
    EXPECT_NE(message.find("(byte "), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    return message;
  }
}

inline Weights weights_of(const std::string& bytes) {
  const ScratchFile file;
  file.write(bytes);
  return read_weights(file.path());
}

/// A number as little-endian bytes.
template <class T>
std::string bytes_of(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof(value)};
}

/// `text` with each `from` replaced; the test fails if there is none.
inline std::string replaced(std::string text, const std::string& from, const std::string& to) {
  size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << "nothing to replace";
  for (; at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

inline void expect_same_tensors(const Weights& got, const Weights& wanted) {
  ASSERT_EQ(got.tensors.size(), wanted.tensors.size());
  for (const auto& [name, tensor] : wanted.tensors) {
    ASSERT_TRUE(got.tensors.contains(name)) << name;
    const at::Tensor& found = got.tensors.at(name);
    EXPECT_EQ(found.scalar_type(), tensor.scalar_type()) << name;
    EXPECT_EQ(found.sizes(), tensor.sizes()) << name;
    EXPECT_TRUE(at::equal(found, tensor)) << name;
    EXPECT_FALSE(found.requires_grad()) << name;
  }
}

}  // namespace striate

// For tests: the message of a file's error contains a text.
#define EXPECT_MESSAGE(message, part) \
  EXPECT_NE((message).find(part), std::string::npos) << "message: " << (message)
