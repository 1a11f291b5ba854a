#pragma once

#include <string>

#include "striate/report/plot.h"

namespace striate {

/// An `<svg class="plot">` for an HTML page that holds `plot_style()` once; the page's own colour
/// shows through. @throws std::invalid_argument  as `plot_svg`.
std::string plot_markup(const Plot& plot, PlotSize size);

/// The style sheet of `plot_markup`, without a `<style>` element around it.
std::string plot_style();

}  // namespace striate
