#include "cli/detection_measures.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "cli/command.h"
#include "striate/base/file.h"
#include "striate/base/text.h"
#include "striate/detection/error_analysis.h"

namespace striate::cli {

namespace {

constexpr size_t kMostCurves = 6;  // classes that a plot tells apart by colours
// Places of the overlaps 0.5 and 0.75 among COCO's thresholds.
constexpr std::array<std::pair<size_t, double>, 2> kDrawnOverlaps = {{{0, 0.5}, {5, 0.75}}};

Json scores_of(const CocoScores& scores) {
  Json json = Json::object();
  for (const auto& [name, value] : named_scores(scores)) json[name] = value;
  return json;
}

Json errors_of(const ErrorAnalysis& analysis) {
  Json errors = Json::object();
  for (size_t i = 0; i < analysis.errors.size(); ++i) {
    errors[kDetectionErrorNames[i]] = {{"count", analysis.errors[i].count},
                                       {"ap50_gain", analysis.errors[i].gain}};
  }
  return errors;
}

// The mean precision of classes that have objects.
std::vector<double> mean_curve(const std::vector<CocoCurves>& curves,
                               const std::vector<size_t>& labels, size_t overlap) {
  std::vector<double> mean(kCocoRecalls);
  for (const size_t label : labels) {
    for (size_t r = 0; r < kCocoRecalls; ++r) {
      mean[r] += curves[label][overlap][r] / static_cast<double>(labels.size());
    }
  }
  return mean;
}

Json curves_of(const CocoEvaluation& evaluation, const std::vector<std::string>& class_names) {
  std::vector<size_t> labels;
  for (size_t label = 0; label < class_names.size(); ++label) {
    if (evaluation.curves[label][0][0] >= 0) labels.push_back(label);
  }
  std::vector<std::pair<std::string, std::vector<size_t>>> groups;
  if (labels.size() > kMostCurves) {
    groups.emplace_back(fmt::format("mean of {} classes", labels.size()), labels);
  } else {
    for (const size_t label : labels) groups.push_back({class_names[label], {label}});
  }
  Json curves = Json::array();
  for (const auto& [name, group] : groups) {
    for (const auto& [place, overlap] : kDrawnOverlaps) {
      curves.push_back({{"name", name},
                        {"overlap", overlap},
                        {"precision", mean_curve(evaluation.curves, group, place)}});
    }
  }
  return curves;
}

}  // namespace

void add_detection_flags(CLI::App& command, DetectionRequest& request) {
  command.add_flag("--lenient", request.lenient,
                   "Detections: leave out objects whose box or mask is wrong");
  command.add_flag("--errors", request.errors,
                   "Detections: what is wrong with them, and what that costs");
  command.add_option("--plot", request.plot,
                     "Detections: an SVG of precision and recall to write; evaluate draws those of "
                     "masks, where they are found");
}

void refuse_detection_flags(const DetectionRequest& request, const std::string& what) {
  for (const auto& [name, given] :
       {std::pair{"--lenient", request.lenient}, std::pair{"--errors", request.errors},
        std::pair{"--plot", !request.plot.empty()},
        std::pair{"--results", !request.results.empty()}}) {
    if (!given) continue;
    throw UsageError(fmt::format("{} has no meaning for {}", name, what),
                     "leave it out: it is for boxes and masks of objects");
  }
}

Json measure_detections(const std::vector<AnnotatedImage>& images,
                        const std::vector<std::vector<Detection>>& detections,
                        const std::vector<std::string>& class_names,
                        const MeasureOptions& options) {
  const AveragePrecisionOptions counted{.class_count = std::ssize(class_names),
                                        .overlap = options.overlap};
  const CocoEvaluation evaluation = evaluate_coco(images, detections, counted);
  Json measured = scores_of(evaluation.all);
  measured["classes"] = Json::array();
  for (size_t label = 0; label < class_names.size(); ++label) {
    measured["classes"].push_back({{"name", class_names[label]}});
    measured["classes"].back().update(scores_of(evaluation.classes[label]));
  }
  if (options.errors) measured["errors"] = errors_of(analyse_errors(images, detections, counted));
  if (options.curves) measured["curves"] = curves_of(evaluation, class_names);
  return measured;
}

std::string describe_dropped(const Json& report) {
  const auto count = report["dropped_objects"].get<int64_t>();
  if (count == 0) return "";
  return fmt::format(", {} wrong object{} left out", with_thousands(count), count == 1 ? "" : "s");
}

std::string describe_score(const Json& score) {
  const double value = score.get<double>();
  return value < 0 ? "-" : fmt::format("{:.3f}", value);
}

ReportTable class_table(const Json& measured, const std::string& what) {
  ReportTable table{.caption = fmt::format("Average precision of {}", what),
                    .headings = {"class", "AP", "AP50", "AP75", "AR100"}};
  for (const Json& one : measured["classes"]) {
    if (one["ar100"].get<double>() < 0) continue;
    table.rows.push_back({one["name"].get<std::string>(), describe_score(one["ap"]),
                          describe_score(one["ap50"]), describe_score(one["ap75"]),
                          describe_score(one["ar100"])});
  }
  return table;
}

ReportTable error_table(const Json& measured, const std::string& what) {
  ReportTable table{.caption = fmt::format("Errors of {}", what),
                    .headings = {"error", "count", "AP50 without"}};
  for (const auto& [name, error] : measured["errors"].items()) {
    table.rows.push_back({name, with_thousands(error["count"].get<int64_t>()),
                          fmt::format("{:+.3f}", error["ap50_gain"].get<double>())});
  }
  return table;
}

std::string describe_measured(const Json& measured, const std::string& what) {
  const auto text_of = [](ReportTable table) {
    table.rows.insert(table.rows.begin(), table.headings);
    return table.caption + "\n" + aligned_table(table.rows, "lr");
  };
  std::string text = text_of(class_table(measured, what));
  if (measured.contains("errors")) text += "\n" + text_of(error_table(measured, what));
  return text;
}

Plot precision_recall_plot(const Json& measured, const std::string& what) {
  Plot plot{.title = fmt::format("Precision and recall of {}", what),
            .x_label = "recall",
            .y_label = "precision",
            .y_range = Range{0, 1}};
  for (const Json& drawn : measured["curves"]) {
    const auto number = static_cast<int>(plot.curves.size());
    const auto overlap = drawn["overlap"].get<double>();
    Curve& curve = plot.curves.emplace_back();
    curve.name = fmt::format("{} at {}", drawn["name"].get<std::string>(), overlap);
    for (const double precision : drawn["precision"].get<std::vector<double>>()) {
      curve.x.push_back(static_cast<double>(curve.x.size()) / (kCocoRecalls - 1));
      curve.y.push_back(precision);
    }
    curve.color = number / static_cast<int>(kDrawnOverlaps.size());
    if (overlap > kDrawnOverlaps[0].second) curve.style = LineStyle::kDashed;
  }
  return plot;
}

void write_precision_recall(const Json& measured, const std::string& what,
                            const std::string& path) {
  write_file_atomically(
      path, plot_svg(precision_recall_plot(measured, what), {.width = 760, .height = 460}));
}

}  // namespace striate::cli
