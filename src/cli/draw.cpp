#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "cli/bench.h"
#include "cli/command.h"
#include "cli/model_kind.h"
#include "striate/base/file.h"
#include "striate/base/text.h"
#include "striate/image/codec.h"
#include "striate/image/resize.h"
#include "striate/sequence/draw_task.h"
#include "striate/training/classification.h"
#include "striate/training/optimizer.h"
#include "striate/visualization/picture.h"

namespace striate::cli {

namespace fs = std::filesystem;

namespace {

const char* kName = "draw";
const char* kRecipe = "draw";
const Shape kUsualInput = {1, 28, 28};  // MNIST

constexpr int64_t kUsualCount = 25;
constexpr int64_t kMostPictures = 1024;
constexpr int64_t kStripRows = 8;
constexpr int64_t kEnlarge = 3;
constexpr int kFrameCentiseconds = 15;
constexpr size_t kLastFrames = 10;  // the finished pictures stay so many frames longer
constexpr std::array<uint8_t, 3> kWindowColor = {230, 40, 40};

DrawTaskOptions options_of(const RunConfig& config) {
  return draw_task_options(config.recipe.task, config.input, "recipe.task");
}

DrawTaskOptions usual_options() {
  return draw_task_options(named_recipe(kRecipe).task, kUsualInput, "draw.task");
}

LoadedDraw open_draw(const std::string& path) {
  const fs::path file = weight_file(path);
  return load_draw(read_weights(file), file.string());
}

Json to_json(const DrawEvaluation& e, const DrawTaskOptions& options) {
  return {{"images", e.images},
          {"bound", e.bound()},
          {"reconstruction", e.reconstruction},
          {"latent", e.latent},
          {"binarize", kBinarizationNames[static_cast<size_t>(options.binarization)]}};
}

std::shared_ptr<const Dataset> open_part(const EvaluationRequest& request,
                                         const DrawTaskOptions& options) {
  std::shared_ptr<const Dataset> part =
      request.part == "validation"
          ? open_held_out(request.data, options.validation_size)
          : open_dataset(request.data, request.part == "train" ? Split::kTrain : Split::kTest);
  if (request.limit == 0 || request.limit >= part->size()) return part;
  std::vector<int64_t> first(static_cast<size_t>(request.limit));
  std::iota(first.begin(), first.end(), int64_t{0});
  return subset(part, first);
}

// A window's outline on an enlarged picture; what lies outside is left out.
void draw_window(Image& picture, const at::Tensor& window) {
  const auto at = [&](int64_t i) {
    return static_cast<int64_t>(
        std::lround(static_cast<double>(kEnlarge) * window[i].item<double>()));
  };
  const int64_t left = at(0), top = at(1);
  const int64_t right = left + at(2) - 1, bottom = top + at(3) - 1;
  const auto paint = [&](int64_t x, int64_t y) {
    if (x < 0 || y < 0 || x >= picture.width || y >= picture.height) return;
    std::ranges::copy(kWindowColor, picture.row(y) + 3 * x);
  };
  for (int64_t x = std::max<int64_t>(left, 0); x <= std::min(right, picture.width - 1); ++x) {
    paint(x, top);
    paint(x, bottom);
  }
  for (int64_t y = std::max<int64_t>(top, 0); y <= std::min(bottom, picture.height - 1); ++y) {
    paint(left, y);
    paint(right, y);
  }
}

Image enlarged(const at::Tensor& canvas) {
  const Image picture = to_rgb(pixel_picture(canvas));
  return resize(picture, {.width = kEnlarge * picture.width,
                          .height = kEnlarge * picture.height,
                          .interpolation = Interpolation::kNearest});
}

// All pictures after step t.
Image sheet(const Drawing& drawing, int64_t t, bool with_windows) {
  std::vector<Image> pictures;
  for (int64_t n = 0; n < drawing.canvases.size(1); ++n) {
    pictures.push_back(enlarged(drawing.canvases[t][n]));
    if (with_windows) draw_window(pictures.back(), drawing.windows[t][n]);
  }
  return picture_grid(pictures);
}

std::vector<Image> animation(const Drawing& drawing) {
  std::vector<Image> frames;
  const int64_t steps = drawing.canvases.size(0);
  for (int64_t t = 0; t < steps; ++t)
    frames.push_back(sheet(drawing, t, drawing.windows.defined()));
  frames.insert(frames.end(), kLastFrames, sheet(drawing, steps - 1, /*with_windows=*/false));
  return frames;
}

// A picture in each row, its canvas after every step from left to right.
Image strip(const Drawing& drawing) {
  std::vector<Image> pictures;
  const int64_t rows = std::min(drawing.canvases.size(1), kStripRows);
  for (int64_t n = 0; n < rows; ++n) {
    for (int64_t t = 0; t < drawing.canvases.size(0); ++t) {
      pictures.push_back(pixel_picture(drawing.canvases[t][n]));
    }
  }
  return picture_grid(pictures, {.columns = drawing.canvases.size(0), .enlarge = 2});
}

fs::path folder_for_pictures(const SampleRequest& request) {
  if (request.prompt.has_value() || request.temperature.has_value() || request.length.has_value()) {
    throw UsageError("--prompt, --temperature and --length have no meaning for DRAW",
                     "it takes --count, --out and --seed");
  }
  if (!request.out.has_value()) {
    throw UsageError("--out is missing", "name a folder for the pictures");
  }
  const fs::path folder = *request.out;
  if (fs::exists(folder) && !fs::is_directory(folder)) {
    throw IoError(fmt::format("{} is a file", folder.string()), "name a folder for the pictures");
  }
  return folder;
}

int64_t count_of(const SampleRequest& request) {
  const int64_t count = request.count.value_or(kUsualCount);
  if (count < 1 || count > kMostPictures) {
    throw UsageError(fmt::format("--count must be in [1, {}], got {}", kMostPictures, count),
                     "ask for fewer pictures, with another --seed for others");
  }
  return count;
}

class DrawKind final : public ModelKind {
 public:
  std::string name() const override { return "image generator"; }
  std::string hint() const override { return "striate evaluate and striate sample take it"; }

  std::vector<ListedModel> models() const override {
    return {{.name = kName,
             .form = "paints images in steps, through an attention window or without",
             .paper = "gregor2015",
             .recipe = kRecipe,
             .size = fmt::format("{}", fmt::join(kUsualInput, "x"))}};
  }

  TensorShapes usual_tensors(const std::string& /*model*/, int64_t /*vocabulary*/) const override {
    return draw_shapes(usual_options().model);
  }

  bool holds(const Weights& weights) const override { return is_draw(weights); }

  std::string data_spellings() const override {
    return "idx:DIR, folder:DIR or another data set of images";
  }

  void complete(RunConfig& config) const override {
    const Preprocessing transforms = checked_task(config.recipe, draw_transforms);
    config.input = input_shape(*open_dataset(config.data, Split::kTrain), transforms);
    checked_task(config.recipe, [&](const Json& task, const std::string& where) {
      return draw_task_options(task, config.input, where);
    });
  }

  TensorShapes tensors(const RunConfig& config) const override {
    return draw_shapes(options_of(config).model);
  }

  void check_initial(const RunConfig& config, const Weights& weights,
                     const std::string& origin) const override {
    if (draw_shapes(load_draw(weights, origin).options.model) != tensors(config)) {
      throw Error(fmt::format("{} has other sizes than the run", origin),
                  "start from weights of the same recipe and size of image");
    }
  }

  std::unique_ptr<Task> make_task(const RunConfig& config,
                                  const TrainerOptions& options) const override {
    return make_draw_task(config, options);
  }

  Json test(Task& task, const RunConfig& config) const override {
    const DrawTaskOptions options = options_of(config);
    const auto data = open_dataset(config.data, Split::kTest);
    return to_json(evaluate_draw(draw_of(task), options, *data), options);
  }

  std::string describe_test(const Json& test) const override {
    return fmt::format(
        "bound {:.2f} nats per image: reconstruction {:.2f}, latent {:.2f} ({} images, "
        "binarisation {})",
        test["bound"].get<double>(), test["reconstruction"].get<double>(),
        test["latent"].get<double>(), with_thousands(test["images"].get<int64_t>()),
        test["binarize"].get<std::string>());
  }

  void add_to_report(const RunConfig& config, const Json& /*test*/,
                     RunReport& report) const override {
    const DrawOptions o = options_of(config).model;
    report.facts.push_back({"Images", to_string(config.input)});
    report.facts.push_back({"Steps", std::to_string(o.steps)});
    report.facts.push_back(
        {"Attention", o.attention()
                          ? fmt::format("reads {0}x{0}, writes {1}x{1}", o.read_size, o.write_size)
                          : std::string("none")});
    report.facts.push_back(
        {"Sizes", fmt::format("LSTMs of {}, z of {}", o.hidden_size, o.latent_size)});
  }

  Json evaluate(const EvaluationRequest& request) const override {
    if (request.beams.has_value()) {
      throw UsageError("--beam has no meaning for DRAW", "leave it out");
    }
    const LoadedDraw loaded = open_draw(request.weights);
    const auto part = open_part(request, loaded.options);
    Json report = {{"data", request.data},
                   {"part", request.part},
                   {"weights", request.weights},
                   {"model", kName}};
    report.update(to_json(evaluate_draw(*loaded.model, loaded.options, *part), loaded.options));
    return report;
  }

  std::string describe_evaluation(const Json& evaluation) const override {
    return fmt::format("{} on {}, {} part: {}\n", evaluation["model"].get<std::string>(),
                       evaluation["data"].get<std::string>(), evaluation["part"].get<std::string>(),
                       describe_test(evaluation));
  }

  void sample(const SampleRequest& request) const override {
    const fs::path folder = folder_for_pictures(request);
    const int64_t count = count_of(request);
    const LoadedDraw loaded = open_draw(request.weights);
    const Drawing drawing = sample_draw(*loaded.model, count, request.seed);
    const fs::path samples = folder / "samples.png";
    const fs::path canvas = folder / "canvas.png";
    const fs::path moving = folder / "canvas.gif";
    const int64_t last = drawing.canvases.size(0) - 1;
    write_file_atomically(samples, encode_png(sheet(drawing, last, /*with_windows=*/false)));
    write_file_atomically(canvas, encode_png(strip(drawing)));
    write_file_atomically(moving, encode_gif(animation(drawing), kFrameCentiseconds));
    if (request.json) {
      return print(Json{{"model", kName},
                        {"count", count},
                        {"seed", request.seed},
                        {"steps", last + 1},
                        {"samples", samples.string()},
                        {"canvas", canvas.string()},
                        {"animation", moving.string()}});
    }
    print(fmt::format("samples        {}\nstep by step   {}\nanimation      {}\n", samples.string(),
                      canvas.string(), moving.string()));
  }

  void bench_training(const StepOptions& options) const override {
    const Recipe recipe = named_recipe(kRecipe);
    const DrawOptions sizes = usual_options().model;
    Draw model(sizes, /*seed=*/1);
    Optimizer optimizer(model.tensors(), recipe.optimizer);
    at::manual_seed(1);
    const at::Tensor images =
        at::rand({options.batch_size, sizes.channels, sizes.height, sizes.width})
            .lt(0.2)
            .to(at::kFloat);
    const at::Tensor noise = at::randn({sizes.steps, options.batch_size, sizes.latent_size});
    const auto step = [&] {
      const DrawBound bound = model.forward(images, noise);
      optimizer.zero_gradients();
      torch::autograd::backward({(bound.reconstruction + bound.latent).mean()}, {});
      optimizer.clip_gradient_norm(recipe.clip_gradient_norm);
      optimizer.step(recipe.optimizer.learning_rate);
    };
    measure(options, step);
  }
};

}  // namespace

const ModelKind& draw_kind() {
  static const DrawKind kKind;
  return kKind;
}

}  // namespace striate::cli
