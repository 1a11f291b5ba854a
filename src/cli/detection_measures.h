#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "striate/base/json.h"
#include "striate/detection/average_precision.h"
#include "striate/report/run_report.h"

namespace striate::cli {

/// What `evaluate` and `score` are asked of detections beside the usual numbers.
struct DetectionRequest {
  bool lenient = false;  ///< leave out wrong objects, as `DetectionDataOptions`
  bool errors = false;   ///< why average precision is not one
  std::string plot;      ///< an SVG of precision and recall; "": none
  std::string results;   ///< COCO's results, which `evaluate` writes; "": none
};
/// All but --results.
void add_detection_flags(CLI::App& command, DetectionRequest& request);
/// @throws UsageError  something was asked for. @param what  it has no meaning for
void refuse_detection_flags(const DetectionRequest& request, const std::string& what);

struct MeasureOptions {
  OverlapOf overlap = OverlapOf::kBoxes;
  bool errors = false;  ///< why average precision is not one
  bool curves = false;  ///< precision at each recall
};

/// COCO's twelve numbers, of all and in "classes" of each class.
/// @return  with "errors": the count of each kind and by how much AP50 would rise without it; with
/// "curves": the precisions at recalls 0, 0.01 … 1 of each class, or where many have objects, the
/// mean of these. @throws  as `evaluate_coco`.
Json measure_detections(const std::vector<AnnotatedImage>& images,
                        const std::vector<std::vector<Detection>>& detections,
                        const std::vector<std::string>& class_names, const MeasureOptions& options);

/// ", 3 wrong objects left out"; "" where "dropped_objects" is 0.
std::string describe_dropped(const Json& report);
/// "0.527"; "-" where no object counts.
std::string describe_score(const Json& score);

/// The classes that have objects. @param what  has been found: "boxes"
ReportTable class_table(const Json& measured, const std::string& what);
/// Of "errors".
ReportTable error_table(const Json& measured, const std::string& what);
/// Both below each other, as far as they were measured.
std::string describe_measured(const Json& measured, const std::string& what);

/// Of "curves".
Plot precision_recall_plot(const Json& measured, const std::string& what);
/// Writes it as an SVG.
void write_precision_recall(const Json& measured, const std::string& what, const std::string& path);

}  // namespace striate::cli
