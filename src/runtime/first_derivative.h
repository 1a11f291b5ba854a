#pragma once

namespace striate {

/// Called by gradients that can't be derived again. @throws Error  autograd is recording them.
void forbid_second_derivative();

}  // namespace striate
