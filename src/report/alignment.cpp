#include "striate/report/alignment.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "report/html.h"

namespace striate {
namespace {

constexpr double kCell = 26;
constexpr double kMargin = 14;
constexpr double kTitle = 30;
// The mean width of a character of 12 px sans-serif text, a little generous.
constexpr double kCharacterWidth = 7;
constexpr int64_t kLongestWord = 24;

constexpr const char* kStyle = R"(
svg{--paper:#fff;--ink:#1b1d21;--soft:#5c6370;--grid:#d5d9df;--cell:#1f5fa8}
@media (prefers-color-scheme:dark){svg{--paper:#14161a;--ink:#e4e6ea;--soft:#9aa1ad;--grid:#353a43;
--cell:#7fb2ee}}
text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
fill:var(--ink)}
.title{font-size:14px;font-weight:600}
.paper{fill:var(--paper)}
.cell{fill:var(--cell);stroke:none}
.frame{fill:none;stroke:var(--grid)}
)";

double width_of(const std::vector<std::string>& words) {
  int64_t most = 1;
  for (const std::string& word : words) {
    most = std::max(most, std::min(character_count(word), kLongestWord + 1));
  }
  return kCharacterWidth * static_cast<double>(most) + 8;
}

void check(const Alignment& alignment) {
  if (alignment.columns.empty() || alignment.rows.empty() ||
      alignment.weights.size() != alignment.rows.size()) {
    throw std::invalid_argument(fmt::format("{} rows of weights for {} words that look at {}",
                                            alignment.weights.size(), alignment.rows.size(),
                                            alignment.columns.size()));
  }
  for (const auto& row : alignment.weights) {
    if (row.size() != alignment.columns.size()) {
      throw std::invalid_argument(
          fmt::format("{} weights for {} words", row.size(), alignment.columns.size()));
    }
  }
}

void add_cells(std::string& out, const Alignment& a, double left, double top) {
  for (size_t i = 0; i < a.rows.size(); ++i) {
    for (size_t j = 0; j < a.columns.size(); ++j) {
      append(out,
             "<rect class=\"cell\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{}\" height=\"{}\" "
             "fill-opacity=\"{:.3f}\"><title>{} → {}: {}</title></rect>\n",
             left + kCell * static_cast<double>(j), top + kCell * static_cast<double>(i), kCell,
             kCell, std::clamp(a.weights[i][j], 0.0, 1.0), escape_name(a.rows[i]),
             escape_name(a.columns[j]), percent_text(a.weights[i][j], 1));
    }
  }
}

}  // namespace

std::string alignment_svg(const Alignment& a) {
  check(a);
  const double left = kMargin + width_of(a.rows);
  const double top = kTitle + width_of(a.columns);
  const double width = kCell * static_cast<double>(a.columns.size());
  const double height = kCell * static_cast<double>(a.rows.size());
  const double title_width = kCharacterWidth * 1.2 * static_cast<double>(character_count(a.title));
  const double all_width = std::max(left + width, title_width) + kMargin;
  const double all_height = top + height + kMargin;
  std::string out;
  append(out,
         "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" "
         "width=\"{0:.0f}\" height=\"{1:.0f}\" role=\"img\">\n<style>{2}</style>\n"
         "<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n"
         "<text class=\"title\" x=\"{3}\" y=\"20\">{4}</text>\n",
         all_width, all_height, kStyle, kMargin, escape(a.title));
  for (size_t j = 0; j < a.columns.size(); ++j) {
    append(out, "<text transform=\"translate({:.1f} {:.1f}) rotate(-90)\">{}</text>\n",
           left + kCell * (static_cast<double>(j) + 0.65), top - 6,
           escape_name(a.columns[j], kLongestWord));
  }
  for (size_t i = 0; i < a.rows.size(); ++i) {
    append(out, "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n", left - 6,
           top + kCell * (static_cast<double>(i) + 0.65), escape_name(a.rows[i], kLongestWord));
  }
  add_cells(out, a, left, top);
  append(out,
         "<rect class=\"frame\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{}\" height=\"{}\"/>\n</svg>\n",
         left, top, width, height);
  return out;
}

}  // namespace striate
