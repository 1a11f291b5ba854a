#include <fmt/format.h>

#include "cli/object_finder.h"
#include "striate/detection/rcnn_task.h"

namespace striate::cli {

namespace {

class RcnnFinder final : public ObjectFinder {
 public:
  explicit RcnnFinder(NamedRcnn rcnn) : rcnn_(std::move(rcnn)) {}

  std::string name() const override { return rcnn_.name; }
  std::vector<std::string> class_names() const override { return rcnn_.class_names; }
  std::vector<std::vector<Detection>> find(
      const std::vector<AnnotatedImage>& images,
      const std::function<void(int64_t)>& progress) const override {
    return detect_in(*rcnn_.rcnn, images, progress);
  }
  std::vector<Detection> find(const Image& image) const override {
    return detect_in(*rcnn_.rcnn, image);
  }

 private:
  NamedRcnn rcnn_;
};

TensorShapes shapes_of(const RcnnOptions& options) {
  const Rcnn rcnn(options, /*seed=*/1);
  TensorShapes shapes;
  for (const auto& [key, tensor] : rcnn.tensors()) {
    shapes.emplace_back(key, tensor.sizes().vec());
  }
  return shapes;
}

class RcnnKind final : public ObjectFinderKind {
 public:
  std::string name() const override { return "R-CNN"; }
  std::string hint() const override { return "striate predict and evaluate take it"; }

  std::vector<ListedModel> models() const override {
    std::vector<ListedModel> models;
    for (const RcnnEntry& entry : rcnns()) {
      models.push_back({.name = entry.name,
                        .form = entry.form,
                        .paper = "girshick2014",
                        .recipe = entry.recipe,
                        .size = fmt::format("{} classes", entry.options.classes)});
    }
    return models;
  }

  TensorShapes usual_tensors(const std::string& model, int64_t) const override {
    return shapes_of(find_rcnn(model)->options);
  }

  bool holds(const Weights& weights) const override { return is_rcnn(weights); }

  void complete(RunConfig& config) const override {
    RcnnTaskOptions options = checked_task(config.recipe, [&](const Json& task, auto where) {
      return rcnn_task_options(task, find_rcnn(config.model)->options, where);
    });
    config.class_names = classes_to_find(config.data, options.lenient);
    options.rcnn.classes = std::ssize(config.class_names);
    config.recipe.task = striate::to_json(options);
  }

  TensorShapes tensors(const RunConfig& config) const override {
    return shapes_of(
        rcnn_task_options(config.recipe.task, find_rcnn(config.model)->options, "recipe.task")
            .rcnn);
  }

  std::unique_ptr<Task> make_task(const RunConfig& config,
                                  const TrainerOptions& options) const override {
    return make_rcnn_task(config, options);
  }

 private:
  std::unique_ptr<ObjectFinder> load(const Weights& weights,
                                     const std::string& origin) const override {
    return std::make_unique<RcnnFinder>(load_rcnn(weights, origin));
  }

  std::unique_ptr<ObjectFinder> trained_by(Task& task, const RunConfig&) const override {
    return std::make_unique<RcnnFinder>(rcnn_of(task));
  }

  const DetectionData& data_of(Task& task) const override { return rcnn_data_of(task); }
};

}  // namespace

const ModelKind& rcnn_kind() {
  static const RcnnKind kKind;
  return kKind;
}

}  // namespace striate::cli
