#pragma once

namespace striate {

/// Keeps freed memory for the next step, for the whole process: large tensors come from one pool of
/// huge pages, and the C library keeps what is freed to it. Without it every training step gives
/// its activations back to the kernel and gets zeroed pages anew. The process then never shrinks
/// below its peak. Call once, before other threads start.
void pool_memory();

}  // namespace striate
