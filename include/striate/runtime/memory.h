#pragma once

namespace striate {

/// Tells the C library to keep large freed blocks. Without it every training step gives its
/// activations back to the kernel and gets zeroed pages anew, a quarter of the step's time. The
/// process then never shrinks below its peak. Call once, before other threads start; a no-op where
/// the C library is not glibc.
void keep_freed_memory();

}  // namespace striate
