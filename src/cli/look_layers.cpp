// striate look nodes, kernels, activations: what layers hold and what they answer.
#include <fmt/format.h>

#include <algorithm>

#include "cli/look.h"
#include "cli/options.h"
#include "striate/base/error.h"
#include "striate/graph/analysis.h"
#include "striate/image/resize.h"
#include "striate/visualization/activations.h"
#include "striate/visualization/attribution.h"
#include "striate/visualization/kernels.h"
#include "striate/visualization/picture.h"

namespace striate::cli {

namespace {

constexpr int64_t kShownChannels = 16;  // with the images that excite them
constexpr int64_t kShownImages = 9;
constexpr int64_t kThumbnail = 96;  // pixels, of large images

void list_nodes(const LookOptions& options) {
  const LookSession session(options);
  const Graph& graph = session.graph();
  Json nodes = Json::array();
  std::string text;
  for (int64_t i = 0; i < std::ssize(graph.nodes()); ++i) {
    const Node& node = graph.node({i});
    nodes.push_back({{"name", node.name},
                     {"type", type_name(node.op)},
                     {"shape", node.shape},
                     {"parameters", parameter_count(graph, {i})}});
    text += fmt::format("{:<32} {:<20} {}\n", node.name, type_name(node.op), to_string(node.shape));
  }
  if (options.json) return print(Json{{"model", graph.name()}, {"nodes", nodes}});
  print(text);
}

std::string file_name(const std::string& node) {
  std::string name = node;
  std::ranges::replace(name, '.', '-');
  return name;
}

Json to_json(const TensorStatistics& s) {
  return {{"key", s.key},         {"shape", s.shape},
          {"mean", s.mean},       {"deviation", s.deviation},
          {"minimum", s.minimum}, {"maximum", s.maximum},
          {"zeros", s.zeros},     {"histogram", s.histogram}};
}

void look_at_kernels(const LookOptions& options) {
  LookSession session(options);
  const Graph& graph = session.graph();
  int64_t found = 0;
  for (int64_t i = 0; i < std::ssize(graph.nodes()); ++i) {
    const Node& node = graph.node({i});
    const bool asked = options.node.empty() || node.name == options.node;
    if (!asked || !std::holds_alternative<Conv2d>(node.op)) continue;
    ++found;
    const at::Tensor weight = session.network().tensor(node.name + ".weight");
    session.write(file_name(node.name) + "-kernels", kernel_picture(weight),
                  {{"node", node.name}, {"shape", weight.sizes().vec()}});
  }
  if (found == 0) {
    session.node_or("");
    throw UsageError(fmt::format("[{}] has no kernels: it is no convolution", options.node),
                     "striate look nodes lists the nodes with their kinds");
  }
  Json statistics = Json::array();
  for (const TensorStatistics& s : weight_statistics(session.network())) {
    statistics.push_back(to_json(s));
    if (!options.json) {
      note(
          fmt::format("{:<40} mean {:9.2e}  deviation {:8.2e}  {:9.2e} to {:8.2e}  {:5.1f} % zeros",
                      s.key, s.mean, s.deviation, s.minimum, s.maximum, 100 * s.zeros));
    }
  }
  session.report("statistics", statistics);
  session.finish();
}

// The images that excite the strongest channels most: a row for each channel.
void look_at_responses(LookSession& session, const std::string& node) {
  DataOptions data = session.options().data;
  const auto dataset = open_data(data);
  const Shape& shape = session.graph().shape(session.graph().find(node));
  const NodeValues values(session.network(), node);
  TopResponses top(shape[0], kShownImages);
  for_batches(session, *dataset,
              [&](const at::Tensor& images, int64_t first) { top.add(values(images), first); });
  std::vector<int64_t> channels(static_cast<size_t>(shape[0]));
  for (size_t k = 0; k < channels.size(); ++k) channels[k] = static_cast<int64_t>(k);
  std::ranges::stable_sort(channels, [&](int64_t a, int64_t b) {
    return top.of(a).front().value > top.of(b).front().value;
  });
  channels.resize(std::min<size_t>(channels.size(), kShownChannels));
  std::vector<Image> pictures;
  Json facts = Json::array();
  size_t columns = 0;
  for (const int64_t channel : channels) {
    Json images = Json::array();
    for (const Response& response : top.of(channel)) {
      const Image image = to_rgb(dataset->sample(response.image).image);
      const bool large = std::max(image.width, image.height) > kThumbnail;
      const int64_t side = large ? kThumbnail : std::max(image.width, image.height);
      pictures.push_back(resize(image, {.width = side, .height = side}));
      images.push_back({{"image", dataset->origin(response.image)},
                        {"value", response.value},
                        {"y", response.y},
                        {"x", response.x}});
    }
    columns = top.of(channel).size();
    facts.push_back({{"channel", channel}, {"images", images}});
  }
  const int64_t enlarge = pictures.front().width < 48 ? 2 : 1;
  // Pictures of one size; a data set may hold several.
  const Image& first = pictures.front();
  for (Image& picture : pictures) {
    if (picture.width != first.width) {
      picture = resize(picture, {.width = first.width, .height = first.height});
    }
  }
  session.write(
      file_name(node) + "-strongest-images",
      picture_grid(pictures,
                   {.columns = static_cast<int64_t>(columns), .enlarge = enlarge, .gap = 2}),
      {{"node", node}, {"channels", facts}});
}

void look_at_activations(const LookOptions& options) {
  LookSession session(options);
  const std::string node = session.node_or(default_layer(session.graph()));
  const Shape& shape = session.graph().shape(session.graph().find(node));
  if (options.images.empty() && options.data.spelling.empty()) session.images();  // says so
  if (!options.images.empty()) {
    if (shape.size() != 3) {
      throw UsageError(fmt::format("[{}] is {}, no map", node, to_string(shape)),
                       "striate look nodes lists the nodes with their shapes");
    }
    const NodeValues values(session.network(), node);
    for (const std::string& path : options.images) {
      const at::Tensor map = values(prepare_image(session.model(), path).slice(0, 0, 1))[0];
      session.write(fmt::format("{}-{}-activations", std::filesystem::path(path).stem().string(),
                                file_name(node)),
                    activation_picture(map),
                    {{"node", node}, {"image", path}, {"channels", strongest_channels(map, 64)}});
    }
  }
  if (!options.data.spelling.empty()) look_at_responses(session, node);
  session.finish();
}

}  // namespace

void add_look_layers(CLI::App& look) {
  add_look_command(look, "nodes", "The names and shapes of a network's nodes",
                   {.images = false, .out = false}, list_nodes);
  add_look_command(look, "kernels", "The kernels of convolutions, and what all weights are like",
                   {.images = false, .node = true}, look_at_kernels);
  add_look_command(look, "activations",
                   "What a node answers to images, or which images of a data set excite it most",
                   {.node = true}, look_at_activations);
}

}  // namespace striate::cli
