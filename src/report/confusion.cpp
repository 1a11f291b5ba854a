#include "report/confusion.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <tuple>

#include "report/html.h"

namespace striate {
namespace {

constexpr int64_t kMostImages = int64_t{1} << 53;
constexpr int64_t kPairsShown = 25;
// Tables of more classes than this are set smaller.
constexpr size_t kDenseClasses = 16;
constexpr int64_t kHeadingLimit = 24;

double ratio(int64_t part, int64_t whole) {
  if (whole == 0) return std::numeric_limits<double>::quiet_NaN();
  return static_cast<double>(part) / static_cast<double>(whole);
}

void add_cell(std::string& out, const ConfusedPair& entry, const std::vector<std::string>& names) {
  if (entry.images == 0) {
    out += "<td class=\"none\">0</td>";
    return;
  }
  // The root lets confusions of a few per cent be seen beside a full diagonal.
  const double strength = entry.truth == entry.predicted ? entry.share : std::sqrt(entry.share);
  append(out, R"(<td class="{}{}" style="--s:{:.2f}" title="{} → {}: {}, {} of the class">{}</td>)",
         entry.truth == entry.predicted ? "hit" : "miss", strength > 0.55 ? " strong" : "",
         strength, escape_name(names[entry.truth]), escape_name(names[entry.predicted]),
         with_thousands(entry.images), percent_text(entry.share, 1), with_thousands(entry.images));
}

std::string bar_cell(double value) {
  if (!std::isfinite(value)) return "<td>–</td>";
  return fmt::format(R"(<td class="bar" style="--s:{:.3f}">{}</td>)", value,
                     percent_text(value, 1));
}

}  // namespace

ConfusionSummary summarize(const Confusion& confusion) {
  const size_t classes = confusion.size();
  ConfusionSummary summary;
  summary.classes.resize(classes);
  for (size_t truth = 0; truth < classes; ++truth) {
    if (confusion[truth].size() != classes)
      throw std::invalid_argument(fmt::format("row {} of the confusion matrix has {} of {} columns",
                                              truth, confusion[truth].size(), classes));
    for (size_t predicted = 0; predicted < classes; ++predicted) {
      const int64_t count = confusion[truth][predicted];
      if (count < 0 || count > kMostImages - summary.images)
        throw std::invalid_argument(fmt::format("the confusion matrix can't count {} at [{}][{}]",
                                                count, truth, predicted));
      summary.images += count;
      summary.classes[truth].images += count;
      summary.classes[predicted].predicted += count;
    }
    summary.classes[truth].correct = confusion[truth][truth];
    summary.correct += confusion[truth][truth];
  }
  for (size_t i = 0; i < classes; ++i) {
    ClassScore& score = summary.classes[i];
    score.index = static_cast<int64_t>(i);
    score.precision = ratio(score.correct, score.predicted);
    score.recall = ratio(score.correct, score.images);
  }
  return summary;
}

std::vector<ConfusedPair> most_confused(const Confusion& confusion, int64_t most) {
  std::vector<ConfusedPair> pairs;
  for (size_t truth = 0; truth < confusion.size(); ++truth) {
    int64_t images = 0;
    for (int64_t count : confusion[truth]) images += count;
    for (size_t predicted = 0; predicted < confusion[truth].size(); ++predicted) {
      const int64_t count = confusion[truth][predicted];
      if (truth == predicted || count == 0) continue;
      pairs.push_back({static_cast<int64_t>(truth), static_cast<int64_t>(predicted), count,
                       ratio(count, images)});
    }
  }
  const auto shown =
      std::min<size_t>(pairs.size(), static_cast<size_t>(std::max<int64_t>(0, most)));
  std::partial_sort(pairs.begin(), pairs.begin() + static_cast<int64_t>(shown), pairs.end(),
                    [](const ConfusedPair& a, const ConfusedPair& b) {
                      return std::make_tuple(-a.images, -a.share, a.truth, a.predicted) <
                             std::make_tuple(-b.images, -b.share, b.truth, b.predicted);
                    });
  pairs.resize(shown);
  return pairs;
}

Interval confidence_interval(int64_t correct, int64_t images) {
  if (images <= 0) return {};
  const double z = 1.959964;  // the 97.5 % point of the normal distribution
  const auto n = static_cast<double>(images);
  const double p = static_cast<double>(correct) / n;
  const double middle = (p + z * z / (2 * n)) / (1 + z * z / n);
  const double margin = z / (1 + z * z / n) * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  return {std::max(0.0, middle - margin), std::min(1.0, middle + margin)};
}

std::string matrix_markup(const Confusion& confusion, const std::vector<std::string>& names) {
  std::string out = "<div class=\"scroll\"><table class=\"matrix";
  out += names.size() > kDenseClasses ? " dense" : "";
  out += "\">\n<caption>Rows are the truth, columns the prediction; counts of images.</caption>\n";
  out += "<thead><tr><td></td>";
  for (const std::string& name : names)
    append(out, R"(<th scope="col" title="{}"><span>{}</span></th>)", escape_name(name),
           escape_name(name, kHeadingLimit));
  out += "</tr></thead>\n<tbody>\n";
  for (size_t truth = 0; truth < names.size(); ++truth) {
    int64_t images = 0;
    for (int64_t count : confusion[truth]) images += count;
    append(out, R"(<tr><th scope="row" title="{}">{}</th>)", escape_name(names[truth]),
           escape_name(names[truth], kHeadingLimit));
    for (size_t predicted = 0; predicted < names.size(); ++predicted) {
      const int64_t count = confusion[truth][predicted];
      add_cell(out,
               {static_cast<int64_t>(truth), static_cast<int64_t>(predicted), count,
                ratio(count, images)},
               names);
    }
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

std::string pairs_markup(const Confusion& confusion, const std::vector<std::string>& names) {
  const std::vector<ConfusedPair> pairs = most_confused(confusion, kPairsShown);
  if (pairs.empty()) return "<p class=\"empty\">No image was given a wrong class.</p>\n";
  std::string out =
      "<div class=\"scroll\"><table class=\"pairs\">\n<caption>Most confused pairs</caption>\n"
      "<thead><tr><th scope=\"col\">Truth</th><th scope=\"col\">Predicted</th>"
      "<th scope=\"col\">Images</th><th scope=\"col\">Of the class</th></tr></thead>\n<tbody>\n";
  for (const ConfusedPair& pair : pairs)
    append(out, "<tr><th scope=\"row\">{}</th><td class=\"text\">{}</td><td>{}</td>{}</tr>\n",
           escape_name(names[pair.truth]), escape_name(names[pair.predicted]),
           with_thousands(pair.images), bar_cell(pair.share));
  return out + "</tbody></table></div>\n";
}

std::string scores_markup(const std::vector<ClassScore>& scores,
                          const std::vector<std::string>& names) {
  std::string out =
      "<thead><tr><th scope=\"col\">Class</th><th scope=\"col\">Images</th>"
      "<th scope=\"col\">Precision</th><th scope=\"col\">Recall</th></tr></thead>\n<tbody>\n";
  for (const ClassScore& score : scores)
    append(out, "<tr><th scope=\"row\">{}</th><td>{}</td>{}{}</tr>\n",
           escape_name(names[score.index]), with_thousands(score.images), bar_cell(score.precision),
           bar_cell(score.recall));
  return out + "</tbody>";
}

}  // namespace striate
