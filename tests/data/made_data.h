#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "striate/base/error.h"
#include "striate/data/dataset.h"

namespace striate {

/// A new folder, removed with all it holds at the end of the scope.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = testing::TempDir() + "striate_XXXXXX";
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

/// What an action failed with.
struct Problem {
  std::string message;
  std::string hint;
};

/// The error that an action must end in.
template <class Exception>
Problem problem_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Exception& error) {
    const auto* ours = dynamic_cast<const Error*>(&error);
    return {error.what(), ours == nullptr ? "" : ours->hint()};
  } catch (const std::exception& error) {
    ADD_FAILURE() << "another kind of error: " << error.what();
    return {};
  }
  ADD_FAILURE() << "no error";
  return {};
}

inline testing::AssertionResult has(const std::string& text, const std::string& part) {
  if (text.find(part) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "no \"" << part << "\" in \"" << text << "\"";
}

/// A grey image from its values, row by row.
inline Image grey_image(int64_t width, std::vector<uint8_t> values) {
  return {.width = width,
          .height = static_cast<int64_t>(values.size()) / width,
          .channels = 1,
          .pixels = std::move(values)};
}

/// An RGB image from its values, row by row, red first.
inline Image rgb_image(int64_t width, std::vector<uint8_t> values) {
  return {.width = width,
          .height = static_cast<int64_t>(values.size()) / 3 / width,
          .channels = 3,
          .pixels = std::move(values)};
}

/// Samples that a function makes.
class MadeDataset final : public Dataset {
 public:
  MadeDataset(int64_t size, std::function<Sample(int64_t)> make)
      : size_(size), make_(std::move(make)) {}

  int64_t size() const override { return size_; }
  Sample sample(int64_t index) const override { return make_(index); }
  int64_t label(int64_t index) const override { return make_(index).label; }
  std::string origin(int64_t index) const override { return "made/" + std::to_string(index); }
  const std::vector<std::string>& class_names() const override { return class_names_; }

 private:
  int64_t size_;
  std::function<Sample(int64_t)> make_;
  std::vector<std::string> class_names_ = {"even", "odd"};
};

}  // namespace striate
