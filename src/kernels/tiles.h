#pragma once

namespace striate::kernels {

/// Whether products of bfloat16 are computed by the processor's matrix tiles (x86's AMX), which
/// the first call asks the system for.
bool multiplies_by_tiles();

/// Allows the tiles, where the processor has them, or forbids them: to compare both ways. Kernels
/// that were packed before do not fit afterwards. Returns what was so before.
bool allow_tiles(bool allowed);

}  // namespace striate::kernels
