#pragma once

namespace striate {

/// Lets a `std::visit` name one lambda for each alternative. There is no default case on purpose: a
/// new alternative fails to compile wherever it is unknown.
template <class... Cases>
struct overloaded : Cases... {
  using Cases::operator()...;
};

}  // namespace striate
