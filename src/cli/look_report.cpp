// striate look report: everything that can be seen in a network, on one page.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/upsample_bilinear2d.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <span>

#include "cli/look.h"
#include "cli/look_embedding.h"
#include "report/picture.h"
#include "striate/base/error.h"
#include "striate/base/file.h"
#include "striate/graph/analysis.h"
#include "striate/image/codec.h"
#include "striate/report/look_page.h"
#include "striate/runtime/network.h"
#include "striate/visualization/activations.h"
#include "striate/visualization/ascent.h"
#include "striate/visualization/attribution.h"
#include "striate/visualization/kernels.h"
#include "striate/visualization/picture.h"

namespace striate::cli {

namespace {

constexpr int64_t kMostPhotos = 8;
constexpr int64_t kMostMapSide = 56;  // pixels of an activation on the page
constexpr int64_t kManyNodes = 160;   // above it fewer channels are shown
constexpr int64_t kSmallThumbnail = 28;
constexpr int64_t kLargeThumbnail = 48;  // for data sets that fit into a few sheets
constexpr int64_t kFewImages = 4000;

struct ReportOptions {
  std::vector<std::string> classes;
  int64_t ascend_steps = 128;
  MapOptions map;
};

std::string data_uri(std::span<const uint8_t> bytes, const char* type) {
  return fmt::format("data:image/{};base64,{}", type, base64(bytes));
}
std::string png(const Image& image) {
  return data_uri(encode_png(image), "png");
}

template <typename T>
std::string bytes_of(const std::vector<T>& values) {
  std::vector<uint8_t> bytes(values.size() * sizeof(T));
  if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return base64(bytes);
}

Json statistics_of(const Network& network, int64_t node) {
  Json list = Json::array();
  for (const TensorSpec& spec : tensors(network.graph(), {node})) {
    if (spec.kind == TensorSpec::Kind::kCounter) continue;
    const TensorStatistics s = tensor_statistics(spec.key, network.tensor(spec.key));
    list.push_back(
        {{"key", s.key},
         {"shape", s.shape},
         {"mean", s.mean},
         {"deviation", s.deviation},
         {"minimum", s.minimum},
         {"maximum", s.maximum},
         {"zeros", s.zeros},
         {"histogram", {{"low", s.minimum}, {"high", s.maximum}, {"counts", s.histogram}}}});
  }
  return list;
}

Json nodes_of(const Network& network) {
  const Graph& graph = network.graph();
  Json nodes = Json::array();
  for (int64_t i = 0; i < std::ssize(graph.nodes()); ++i) {
    const Node& node = graph.node({i});
    Json described = {{"name", node.name},
                      {"type", type_name(node.op)},
                      {"description", describe(node.op)},
                      {"inputs", node.inputs},
                      {"shape", node.shape},
                      {"parameters", parameter_count(graph, {i})},
                      {"multiply_adds", multiply_adds(graph, {i})},
                      {"kernels", nullptr},
                      {"activations", Json::array()},
                      {"statistics", statistics_of(network, i)}};
    if (std::holds_alternative<Conv2d>(node.op)) {
      described["kernels"] = png(kernel_picture(network.tensor(node.name + ".weight")));
    }
    nodes.push_back(std::move(described));
  }
  return nodes;
}

// Large maps are shown by every second or fourth value.
at::Tensor small_map(const at::Tensor& map) {
  const int64_t side = std::max(map.size(1), map.size(2));
  const int64_t step = (side + kMostMapSide - 1) / kMostMapSide;
  return step == 1 ? map : map.slice(1, 0, std::nullopt, step).slice(2, 0, std::nullopt, step);
}

void add_activations(Network& network, const at::Tensor& image, int64_t photo, Json& nodes) {
  at::NoGradGuard no_grad;
  ForwardOptions options;
  for (const Node& node : network.graph().nodes()) {
    if (node.shape.size() == 3) options.taps.push_back(node.name);
  }
  const int64_t channels = std::ssize(nodes) > kManyNodes ? 8 : 16;
  const NamedValues values = network.forward(image.unsqueeze(0), options);
  for (Json& node : nodes) {
    if (node["shape"].size() != 3) continue;
    const at::Tensor map = values.at(node["name"].get<std::string>())[0];
    node["activations"].push_back(
        {{"photo", photo}, {"picture", png(activation_picture(small_map(map), channels, 1))}});
  }
}

struct Attribution {
  const char* method;
  const char* title;
  const char* about;
  bool overlay;
};

// What methods give for one image: (C, H, W) gradients and (h, w) maps.
class Attributions {
 public:
  Attributions(const LookSession& session, const at::Tensor& image, int64_t target)
      : session_(session),
        image_(image),
        images_(image.unsqueeze(0)),
        target_(same_target(1, target)),
        class_name_(session.class_name(target)) {}

  Json all() {
    const Network& network = session_.network();
    const std::string layer = default_layer(network.graph());
    add({"saliency", "Saliency", "The gradient of the score. Simonyan et al. 2014", false},
        strength(saliency(network, images_, target_)));
    add({"smoothgrad", "SmoothGrad", "Its mean over noisy copies. Smilkov et al. 2017", false},
        strength(smooth_grad(network, images_, target_, {.samples = 16})));
    add({"integrated", "Integrated gradients",
         "Its integral from the mean colour to the image. Sundararajan et al. 2017", false},
        strength(integrated_gradients(network, images_, target_, {.steps = 24})));
    const at::Tensor guided = guided_backprop(network, images_, target_)[0];
    add({"guided", "Guided backpropagation",
         "Only what is positive, forward and back. Springenberg et al. 2015", false},
        to_rgb(signed_picture(guided)));
    add({"deconv", "Deconvolution", "Only what is positive on the way back. Zeiler, Fergus 2014",
         false},
        to_rgb(signed_picture(deconvolution(network, images_, target_)[0])));
    const at::Tensor cam = enlarged(grad_cam(network, images_, target_, layer));
    add({"gradcam", "Grad-CAM", "Where the last maps speak for the class. Selvaraju et al. 2017",
         true},
        heat_picture(cam));
    add({"guided-gradcam", "Guided Grad-CAM", "Both together. Selvaraju et al. 2017", false},
        to_rgb(signed_picture(guided * cam)));
    const int64_t window = std::max<int64_t>(1, std::min(image_.size(1), image_.size(2)) / 7);
    const at::Tensor fall = occlusion(
        network, images_, target_, {.window = window, .stride = std::max<int64_t>(1, window / 2)});
    add({"occlusion", "Occlusion",
         "By how much the score falls when a square hides a part. Zeiler, Fergus 2014", true},
        heat_picture(fall[0].clamp_min(0)));
    return std::move(list_);
  }

 private:
  Image strength(const at::Tensor& gradient) const {
    return heat_picture(pixel_strength(gradient[0]));
  }
  at::Tensor enlarged(const at::Tensor& map) const {
    return at::upsample_bilinear2d(map.unsqueeze(1), image_.sizes().slice(1), false)[0][0];
  }
  void add(const Attribution& what, const Image& picture) {
    list_.push_back({{"method", what.method},
                     {"title", what.title},
                     {"about", what.about},
                     {"class", class_name_},
                     {"picture", png(picture)},
                     {"overlay", what.overlay}});
  }

  const LookSession& session_;
  at::Tensor image_;
  at::Tensor images_;
  Target target_;
  std::string class_name_;
  Json list_ = Json::array();
};

Json top_classes(const LookSession& session, const at::Tensor& image) {
  at::NoGradGuard no_grad;
  const at::Tensor p = session.network().forward(image.unsqueeze(0)).softmax(1)[0];
  const auto [values, classes] = p.topk(std::min<int64_t>(5, p.size(0)));
  Json top = Json::array();
  for (int64_t i = 0; i < values.size(0); ++i) {
    const auto index = classes[i].item<int64_t>();
    top.push_back({{"class", session.class_name(index)},
                   {"index", index},
                   {"probability", values[i].item<double>()}});
  }
  return top;
}

Json photos_of(const LookSession& session, const std::vector<LookImage>& images, Json& nodes) {
  Json photos = Json::array();
  for (const LookImage& image : images) {
    note(fmt::format("{}: what the network sees, and where", image.origin));
    add_activations(session.network(), image.values, std::ssize(photos), nodes);
    const Image picture = to_rgb(session.picture(image.values));
    const Json top = top_classes(session, image.values);
    const int64_t target = session.given_class().value_or(top[0]["index"].get<int64_t>());
    photos.push_back({{"name", image.name},
                      {"picture", png(picture)},
                      {"width", picture.width},
                      {"height", picture.height},
                      {"top", top},
                      {"attributions", Attributions(session, image.values, target).all()}});
  }
  return photos;
}

Json classes_of(const LookSession& session, const ReportOptions& options, const Json& photos) {
  std::set<int64_t> wanted;
  for (const std::string& name : options.classes) wanted.insert(session.class_index(name));
  if (wanted.empty()) {
    for (const Json& photo : photos) wanted.insert(photo["top"][0]["index"].get<int64_t>());
    const auto all = std::ssize(session.model().card.class_names);
    for (int64_t i = 0; all <= 10 && i < all; ++i) wanted.insert(i);
  }
  Json list = Json::array();
  for (const int64_t index : wanted) {
    note(fmt::format("{}: an image that it responds to", session.class_name(index)));
    const Ascent ascent = ascend_fourier(session.network(), session.scale(), {.channel = index},
                                         {.steps = options.ascend_steps});
    at::NoGradGuard no_grad;
    const at::Tensor p = session.network()
                             .forward(normalize_pixels(ascent.pixels.unsqueeze(0), session.scale()))
                             .softmax(1)[0];
    list.push_back({{"class", session.class_name(index)},
                    {"index", index},
                    {"picture", png(pixel_picture(ascent.pixels))},
                    {"probability", p[index].item<double>()}});
  }
  return list;
}

Json embedding_of(const LookSession& session, const ReportOptions& options) {
  DataOptions data_options = session.options().data;
  const auto data = open_data(data_options);
  const std::string node = default_features(session.graph());
  note(fmt::format("{} images as {} sees them", data->size(), node));
  const Features features = features_of(session, *data, node);
  const bool few = static_cast<double>(data->size()) < 3 * options.map.perplexity + 1;
  MapOptions map_options = options.map;
  if (few) map_options.method = "pca";
  const Map map = map_of(features.values, map_options);
  const at::Tensor points = map.points.to(at::kFloat).contiguous();
  std::vector<float> coordinates(points.const_data_ptr<float>(),
                                 points.const_data_ptr<float>() + points.numel());
  std::vector<uint16_t> labels;
  for (const int64_t label : features.labels) labels.push_back(static_cast<uint16_t>(label));
  const bool large = data->size() <= kFewImages && data->sample(0).image.width > kSmallThumbnail;
  const Thumbnails thumbnails = thumbnails_of(*data, large ? kLargeThumbnail : kSmallThumbnail);
  Json sheets = Json::array();
  for (const Image& sheet : thumbnails.sheets) {
    sheets.push_back(data_uri(encode_jpeg(sheet, 80), "jpeg"));
  }
  Json embedding = {{"method", map_options.method == "pca" ? "PCA" : "t-SNE"},
                    {"node", node},
                    {"class_names", data->class_names()},
                    {"points", bytes_of(coordinates)},
                    {"labels", bytes_of(labels)},
                    {"thumbnails",
                     {{"width", thumbnails.side},
                      {"height", thumbnails.side},
                      {"columns", thumbnails.columns},
                      {"rows", thumbnails.rows},
                      {"sheets", sheets}}}};
  if (map_options.method == "tsne") embedding["kl"] = map.divergence;
  return embedding;
}

// The first convolution's kernels, and what it and a middle layer make of the first photo, after
// each epoch that the run kept.
Json snapshots_of(const LookSession& session, const RunFolder& run, int64_t epochs,
                  const std::vector<LookImage>& images) {
  const Graph& graph = session.graph();
  std::vector<std::string> convolutions;
  for (const Node& node : graph.nodes()) {
    if (std::holds_alternative<Conv2d>(node.op)) convolutions.push_back(node.name);
  }
  Json list = Json::array();
  if (convolutions.empty()) return list;
  const std::string& first = convolutions.front();
  const std::string& middle = convolutions[convolutions.size() / 2];
  for (int64_t epoch = 1; epoch <= epochs; ++epoch) {
    const auto path = run.snapshot(epoch);
    if (!std::filesystem::exists(path)) continue;
    const LoadedModel model = load_model(path, session.options().model);
    Json pictures = Json::array();
    const auto add = [&](const std::string& name, const Image& picture) {
      pictures.push_back({{"name", name}, {"picture", png(picture)}});
    };
    add(first + ", kernels", kernel_picture(model.network->tensor(first + ".weight")));
    if (!images.empty()) {
      for (const std::string& node : {first, middle}) {
        const NodeValues values(*model.network, node);
        const at::Tensor map = values(images.front().values.unsqueeze(0))[0];
        add(node + ", activations", activation_picture(small_map(map), 16));
      }
    }
    list.push_back({{"epoch", epoch}, {"pictures", pictures}});
  }
  return list;
}

Json training_of(const LookSession& session, const std::vector<LookImage>& images) {
  const RunFolder run{session.options().weights};
  if (!std::filesystem::is_directory(run.path) || !std::filesystem::exists(run.metrics())) {
    return nullptr;
  }
  const std::vector<EpochMetrics> metrics = read_metrics(run.metrics());
  Json epochs = Json::array();
  for (const EpochMetrics& m : metrics) epochs.push_back(to_json(m));
  const int64_t last = metrics.empty() ? 0 : metrics.back().epoch;
  return {{"epochs", epochs}, {"snapshots", snapshots_of(session, run, last, images)}};
}

void run_report(const LookOptions& options, const ReportOptions& own) {
  if (page_template().empty()) look_page_html(Json::object());  // says why there is no page
  LookSession session(options);
  const Graph& graph = session.graph();
  const bool nothing = options.images.empty() && options.data.spelling.empty();
  const std::vector<LookImage> images =
      nothing ? std::vector<LookImage>() : session.images(kMostPhotos);
  Json report = {{"title", fmt::format("{}: {}", graph.name(), options.weights)},
                 {"model",
                  {{"name", graph.name()},
                   {"input", graph.input_shape()},
                   {"parameters", parameter_count(graph)},
                   {"multiply_adds", multiply_adds(graph)},
                   {"classes", session.model().card.class_names}}}};
  Json nodes = nodes_of(session.network());
  report["photos"] = photos_of(session, images, nodes);
  report["nodes"] = std::move(nodes);
  report["classes"] = classes_of(session, own, report["photos"]);
  if (!options.data.spelling.empty()) report["embedding"] = embedding_of(session, own);
  const Json training = training_of(session, images);
  if (!training.is_null()) report["training"] = training;
  const auto path = std::filesystem::path(options.out) / "look.html";
  write_file_atomically(path, look_page_html(report));
  options.json ? print(Json{{"page", path.string()}}) : print(path.string() + "\n");
}

}  // namespace

void add_look_report(CLI::App& look) {
  const auto own = std::make_shared<ReportOptions>();
  CLI::App* command = add_look_command(
      look, "report", "Everything on one page: the network, photos, classes, a map, the training",
      {.node = false}, [own](const LookOptions& common) { run_report(common, *own); });
  command->add_option("--class", own->classes,
                      "Classes whose images are made; without it, those of the photos");
  command->add_option("--ascend-steps", own->ascend_steps, "Steps for each such image")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--perplexity", own->map.perplexity, "Of the map of --data (t-SNE)")
      ->check(CLI::Range(1.0, 1000.0))
      ->capture_default_str();
}

}  // namespace striate::cli
