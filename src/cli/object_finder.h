#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cli/model_kind.h"
#include "striate/detection/detection_data.h"

namespace striate::cli {

/// What finds objects: a detector, or an R-CNN.
class ObjectFinder {
 public:
  virtual ~ObjectFinder() = default;
  virtual std::string name() const = 0;
  virtual std::vector<std::string> class_names() const = 0;
  virtual bool finds_masks() const { return false; }
  /// In each of some images. @param progress  called with the number of images done
  virtual std::vector<std::vector<Detection>> find(
      const std::vector<AnnotatedImage>& images,
      const std::function<void(int64_t)>& progress) const = 0;
  virtual std::vector<Detection> find(const Image& image) const = 0;
};

/// What the verbs of the program do with all kinds of models that find objects.
class ObjectFinderKind : public ModelKind {
 public:
  bool finds_objects() const override { return true; }
  std::string data_spellings() const override { return "coco:DIR, voc:DIR or masks:DIR"; }
  void check_initial(const RunConfig& config, const Weights& weights,
                     const std::string& origin) const override;
  Json test(Task& task, const RunConfig& config) const override;
  std::string describe_test(const Json& test) const override;
  void add_to_report(const RunConfig& config, const Json& test, RunReport& report) const override;
  Json evaluate(const EvaluationRequest& request) const override;
  std::string describe_evaluation(const Json& evaluation) const override;
  void predict(const PredictionRequest& request) const override;

 private:
  /// @throws  as the loaders of weights
  virtual std::unique_ptr<ObjectFinder> load(const Weights& weights,
                                             const std::string& origin) const = 0;
  virtual std::unique_ptr<ObjectFinder> trained_by(Task& task, const RunConfig& config) const = 0;
  /// What a run is trained and tested on.
  virtual const DetectionData& data_of(Task& task) const = 0;
};

/// The classes of the data that a run is to learn and be tested on. Says how many objects with a
/// wrong box are left out.
/// @throws Error  one of these parts has no images. @param lenient  as `DetectionDataOptions`
std::vector<std::string> classes_to_find(const std::string& data, bool lenient);

}  // namespace striate::cli
