#pragma once

#include <stdexcept>
#include <string>
#include <vector>

namespace striate {

/// What the library throws. `what()` says what is wrong and where, in one line; `hint()` says what
/// to do next and may be empty. A caller's misuse of a plain argument is `std::invalid_argument`.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message, std::string hint = {})
      : std::runtime_error(message), hint_(std::move(hint)) {}
  const std::string& hint() const { return hint_; }

 private:
  std::string hint_;
};

/// A layer whose input does not fit, or tensors whose shapes differ. Names the layer.
class ShapeError : public Error {
  using Error::Error;
};

/// A name that does not exist: a model, layer, weight, class or option. Lists the nearest.
class LookupError : public Error {
  using Error::Error;
};

/// A file whose content is not what it should be. Gives the path, and the byte or line.
class FormatError : public Error {
  using Error::Error;
};

/// A file that can't be opened, read or written. Gives the path and the system's reason.
class IoError : public Error {
  using Error::Error;
};

/// The name of `candidates` that is most like `name`, or "" when none is close.
std::string nearest_name(const std::string& name, const std::vector<std::string>& candidates);

/// A LookupError: `no KIND is named "NAME"`, with the nearest candidate as its hint.
LookupError unknown_name(const std::string& kind, const std::string& name,
                         const std::vector<std::string>& candidates);

}  // namespace striate
