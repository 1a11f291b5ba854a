#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>

namespace striate {

/// How weights differ from those wanted, a line for each, of which the first few are told.
class Differences {
 public:
  void add(const std::string& line) {
    ++count_;
    if (count_ <= 5) text_ += "\n  " + line;
  }
  bool none() const { return count_ == 0; }
  std::string text() const {
    return count_ > 5 ? fmt::format("{}\n  … and {} more", text_, count_ - 5) : text_;
  }

 private:
  int64_t count_ = 0;
  std::string text_;
};

}  // namespace striate
