#include "striate/report/run_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>
#include <optional>
#include <stdexcept>

#include "report/confusion.h"
#include "report/html.h"
#include "report/page_style.h"
#include "report/picture.h"
#include "report/plot_markup.h"

namespace striate {
namespace {

constexpr size_t kMostMatrixClasses = 40;
constexpr size_t kWorstClasses = 25;

struct Figure {
  std::string name;
  std::string value;
  std::string note;
};

void add_figure(std::string& out, const Figure& figure) {
  append(
      out,
      "<div><dt>{}</dt><dd><span class=\"value\">{}</span><br><span class=\"note\">{}</span></dd>"
      "</div>\n",
      figure.name, figure.value, figure.note);
}

std::string plural(int64_t count, const std::string& noun) {
  return with_thousands(count) + " " + noun + (count == 1 ? "" : "s");
}

// The epoch with the highest validation accuracy, the first of equals.
const EpochRecord* best_epoch(const std::vector<EpochRecord>& epochs) {
  const EpochRecord* best = nullptr;
  for (const EpochRecord& record : epochs) {
    if (!std::isfinite(record.validation_accuracy)) continue;
    if (!best || record.validation_accuracy > best->validation_accuracy) best = &record;
  }
  return best;
}

void add_headline(std::string& out, const RunReport& report, const ConfusionSummary& summary) {
  std::string figures;
  if (summary.images > 0) {
    const double accuracy =
        static_cast<double>(summary.correct) / static_cast<double>(summary.images);
    const Interval interval = confidence_interval(summary.correct, summary.images);
    add_figure(figures, {"Accuracy", percent_text(accuracy, 2),
                         fmt::format("95 % confidence: {:.2f} to {:.2f} %", 100 * interval.low,
                                     100 * interval.high)});
    add_figure(figures, {"Error", percent_text(1 - accuracy, 2),
                         fmt::format("{} of {}", with_thousands(summary.images - summary.correct),
                                     plural(summary.images, "image"))});
  }
  if (const EpochRecord* best = best_epoch(report.epochs)) {
    const std::string error =
        report.measure == "accuracy"
            ? fmt::format("error {}, ", percent_text(1 - best->validation_accuracy, 2))
            : "";
    add_figure(figures,
               {"Best validation " + report.measure, percent_text(best->validation_accuracy, 2),
                fmt::format("{}epoch {} of {}", error, best->epoch, report.epochs.back().epoch)});
  }
  if (!report.epochs.empty()) {
    double seconds = 0;
    for (const EpochRecord& record : report.epochs) seconds += record.seconds;
    const auto count = static_cast<int64_t>(report.epochs.size());
    add_figure(figures, {"Time", duration_text(seconds),
                         fmt::format("{}, {} each", plural(count, "epoch"),
                                     duration_text(seconds / static_cast<double>(count)))});
  }
  if (figures.empty()) {
    out += "<p class=\"empty\">This run has not been evaluated.</p>\n";
  } else {
    out += "<dl class=\"headline\">\n" + figures + "</dl>\n";
  }
}

void add_facts(std::string& out, const RunReport& report) {
  if (report.facts.empty()) return;
  out += "<section>\n<h2>The run</h2>\n<table class=\"facts\">\n";
  for (const auto& [name, value] : report.facts)
    append(out, "<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", escape(name), escape(value));
  out += "</table>\n</section>\n";
}

using Measure = double EpochRecord::*;

// One measure over the epochs: training solid, validation dashed.
struct Comparison {
  std::string title;
  std::string y_label;
  Measure train;
  Measure validation;
  double unit = 1;  // what the measure is multiplied by
};

Plot compare(const std::vector<EpochRecord>& epochs, const Comparison& comparison) {
  Plot plot{.title = comparison.title, .x_label = "epoch", .y_label = comparison.y_label};
  Curve train{.name = "training", .color = 0};
  Curve validation{.name = "validation", .color = 1, .style = LineStyle::kDashed};
  for (const EpochRecord& record : epochs) {
    const auto epoch = static_cast<double>(record.epoch);
    train.x.push_back(epoch);
    train.y.push_back(record.*comparison.train * comparison.unit);
    validation.x.push_back(epoch);
    validation.y.push_back(record.*comparison.validation * comparison.unit);
  }
  plot.curves = {std::move(train), std::move(validation)};
  return plot;
}

bool was_measured(const std::vector<EpochRecord>& epochs, const Comparison& comparison) {
  return std::ranges::any_of(epochs, [&](const EpochRecord& record) {
    return std::isfinite(record.*comparison.train) || std::isfinite(record.*comparison.validation);
  });
}

std::string with_capital(std::string text) {
  if (!text.empty()) text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  return text;
}

void add_epoch_table(std::string& out, const RunReport& report) {
  out += "<details>\n<summary>All epochs in numbers</summary>\n<div class=\"scroll\">";
  out += "<table class=\"log\">\n<thead><tr>";
  const std::vector<std::string> headings = {"Epoch",
                                             "Learning rate",
                                             "Training loss",
                                             "Training " + report.measure,
                                             "Validation loss",
                                             "Validation " + report.measure,
                                             "Time"};
  for (const std::string& heading : headings)
    append(out, "<th scope=\"col\">{}</th>", escape(heading));
  out += "</tr></thead>\n<tbody>\n";
  for (const EpochRecord& record : report.epochs) {
    append(out, "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td>", record.epoch,
           number_text(record.learning_rate, 4), number_text(record.train_loss, 4),
           percent_text(record.train_accuracy, 2));
    append(out, "<td>{}</td><td>{}</td><td>{}</td></tr>\n", number_text(record.validation_loss, 4),
           percent_text(record.validation_accuracy, 2), duration_text(record.seconds));
  }
  out += "</tbody></table></div>\n</details>\n";
}

void add_training(std::string& out, const RunReport& report) {
  const std::vector<EpochRecord>& epochs = report.epochs;
  out += "<section>\n<h2>Training</h2>\n";
  if (epochs.empty()) {
    out += "<p class=\"empty\">No epoch has been recorded.</p>\n</section>\n";
    return;
  }
  const Comparison loss{.title = "Loss",
                        .y_label = "loss",
                        .train = &EpochRecord::train_loss,
                        .validation = &EpochRecord::validation_loss};
  const Comparison accuracy{.title = with_capital(report.measure),
                            .y_label = report.measure + ", %",
                            .train = &EpochRecord::train_accuracy,
                            .validation = &EpochRecord::validation_accuracy,
                            .unit = 100};
  out += "<div class=\"plots\">\n";
  const auto figure = [&](const Comparison& comparison) {
    return "<figure>" + plot_markup(compare(epochs, comparison), {}) + "</figure>\n";
  };
  out += figure(loss);
  if (was_measured(epochs, accuracy)) out += figure(accuracy);
  out += "</div>\n";
  add_epoch_table(out, report);
  out += "</section>\n";
}

void add_table(std::string& out, const ReportTable& table) {
  append(out, "<div class=\"scroll\"><table class=\"scores\">\n<caption>{}</caption>\n<thead><tr>",
         escape(table.caption));
  for (const std::string& heading : table.headings) {
    append(out, "<th scope=\"col\">{}</th>", escape(heading));
  }
  out += "</tr></thead>\n<tbody>\n";
  for (const std::vector<std::string>& row : table.rows) {
    out += "<tr>";
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string cell = escape_name(row[i]);
      out += i == 0 ? "<th scope=\"row\">" + cell + "</th>" : "<td>" + cell + "</td>";
    }
    out += "</tr>\n";
  }
  out += "</tbody></table></div>\n";
}

void add_evaluation(std::string& out, const RunReport& report) {
  if (report.plots.empty() && report.tables.empty()) return;
  out += "<section>\n<h2>Evaluation</h2>\n<div class=\"plots\">\n";
  for (const Plot& plot : report.plots) out += "<figure>" + plot_markup(plot, {}) + "</figure>\n";
  out += "</div>\n";
  if (!report.tables.empty()) {
    out += "<div class=\"columns even\">\n";
    for (const ReportTable& table : report.tables) add_table(out, table);
    out += "</div>\n";
  }
  out += "</section>\n";
}

std::string scores_table(const std::vector<ClassScore>& scores,
                         const std::vector<std::string>& names, const std::string& caption) {
  return "<div class=\"scroll\"><table class=\"scores\">\n<caption>" + caption + "</caption>\n" +
         scores_markup(scores, names) + "</table></div>\n";
}

// Few classes: all numbers. Many: the worst of them, and all where the reader asks.
void add_classes(std::string& out, const RunReport& report, const ConfusionSummary& summary) {
  if (summary.images == 0) return;
  std::vector<std::string> names = report.class_names;
  for (size_t i = names.size(); i < summary.classes.size(); ++i) names.push_back(std::to_string(i));
  out += "<section>\n<h2>Classes</h2>\n";
  if (names.size() <= kMostMatrixClasses) {
    out += "<div class=\"columns\">\n";
    out += matrix_markup(report.confusion, names);
    out += scores_table(summary.classes, names, "Precision and recall of each class");
    out += "</div>\n</section>\n";
    return;
  }
  std::vector<ClassScore> worst = summary.classes;
  std::erase_if(worst, [](const ClassScore& score) { return score.images == 0; });
  std::stable_sort(worst.begin(), worst.end(),
                   [](const ClassScore& a, const ClassScore& b) { return a.recall < b.recall; });
  worst.resize(std::min(worst.size(), kWorstClasses));
  out += "<div class=\"columns even\">\n";
  out += pairs_markup(report.confusion, names);
  out += scores_table(worst, names, "Classes of the lowest recall");
  const std::string all = with_thousands(static_cast<int64_t>(names.size()));
  out += "</div>\n<details>\n<summary>All " + all + " classes</summary>\n";
  out += scores_table(summary.classes, names, "Precision and recall of each class");
  out += "</details>\n</section>\n";
}

void add_mistakes(std::string& out, const RunReport& report) {
  if (report.mistakes.empty()) return;
  std::vector<const Mistake*> sorted;
  for (const Mistake& mistake : report.mistakes) sorted.push_back(&mistake);
  auto confidence = [](const Mistake* mistake) {
    return std::isfinite(mistake->confidence) ? mistake->confidence : -1;
  };
  std::stable_sort(sorted.begin(), sorted.end(), [&](const Mistake* a, const Mistake* b) {
    return confidence(a) > confidence(b);
  });
  out += "<section>\n<h2>Most confident mistakes</h2>\n";
  out += "<p class=\"note\">Truth → prediction, and the probability of the prediction.</p>\n";
  out += "<ul class=\"mistakes\">\n";
  for (const Mistake* mistake : sorted) {
    const std::string truth = escape_name(mistake->truth);
    const std::string predicted = escape_name(mistake->predicted);
    const std::string alt = fmt::format("An image of {}, taken for {}", truth, predicted);
    append(out,
           "<li><figure><div class=\"frame\">{}</div><figcaption>{} → {}, "
           "<span class=\"sure\">{}</span></figcaption></figure></li>\n",
           picture_markup(mistake->image, alt), truth, predicted,
           percent_text(mistake->confidence, 1));
  }
  out += "</ul>\n</section>\n";
}

}  // namespace

std::string run_report_html(const RunReport& report) {
  const ConfusionSummary summary = summarize(report.confusion);
  if (!report.class_names.empty() && !report.confusion.empty() &&
      report.class_names.size() != report.confusion.size())
    throw std::invalid_argument(fmt::format("{} class names do not fit a confusion matrix of {}",
                                            report.class_names.size(), report.confusion.size()));
  const std::string title = report.title.empty() ? "Training run" : escape_name(report.title, 200);
  std::string out = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
  out += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
  out += "<title>" + title + "</title>\n<style>" + kPageStyle + plot_style() + "</style>\n";
  out += "</head>\n<body>\n<main>\n<header>\n<h1>" + title + "</h1>\n";
  if (!report.evaluated_on.empty())
    out += "<p class=\"lead\">Evaluated on " + escape_name(report.evaluated_on, 200) + "</p>\n";
  add_headline(out, report, summary);
  out += "</header>\n";
  add_facts(out, report);
  add_training(out, report);
  add_evaluation(out, report);
  add_classes(out, report, summary);
  add_mistakes(out, report);
  return out + "</main>\n</body>\n</html>\n";
}

}  // namespace striate
