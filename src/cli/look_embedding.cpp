// striate look embed, neighbours: a data set as a node sees it.
#include "cli/look_embedding.h"

#include <ATen/ops/cat.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "cli/progress.h"
#include "striate/base/error.h"
#include "striate/base/file.h"
#include "striate/graph/analysis.h"
#include "striate/image/resize.h"
#include "striate/visualization/activations.h"
#include "striate/visualization/neighbours.h"
#include "striate/visualization/pca.h"
#include "striate/visualization/picture.h"
#include "striate/visualization/tsne.h"

namespace striate::cli {

namespace {

constexpr int64_t kSheetSide = 2048;  // pixels, that every graphics driver takes
constexpr int64_t kMapSide = 1400;    // pixels of the embedding's picture
constexpr int64_t kNeighbourSide = 96;

// Ten colours that stay apart for colour-blind readers, in turns.
constexpr std::array<std::array<uint8_t, 3>, 10> kClassColors = {{{0, 114, 178},
                                                                  {230, 159, 0},
                                                                  {0, 158, 115},
                                                                  {213, 94, 0},
                                                                  {204, 121, 167},
                                                                  {86, 180, 233},
                                                                  {128, 128, 0},
                                                                  {117, 112, 179},
                                                                  {102, 102, 102},
                                                                  {166, 86, 40}}};

Image thumbnail(const Image& image, int64_t side) {
  const Image rgb = to_rgb(image);
  return rgb.width == side && rgb.height == side ? rgb
                                                 : resize(rgb, {.width = side, .height = side});
}

void put(Image& to, const Image& from, int64_t left, int64_t top) {
  for (int64_t y = std::max<int64_t>(0, -top); y < from.height && top + y < to.height; ++y) {
    for (int64_t x = std::max<int64_t>(0, -left); x < from.width && left + x < to.width; ++x) {
      std::copy_n(from.row(y) + x * 3, 3, to.row(top + y) + (left + x) * 3);
    }
  }
}

void frame(Image& image, const std::array<uint8_t, 3>& color) {
  for (int64_t i = 0; i < image.width; ++i) {
    for (const int64_t y : {int64_t{0}, image.height - 1}) {
      std::ranges::copy(color, image.row(y) + i * 3);
    }
  }
  for (int64_t i = 0; i < image.height; ++i) {
    for (const int64_t x : {int64_t{0}, image.width - 1}) {
      std::ranges::copy(color, image.row(i) + x * 3);
    }
  }
}

// Points as dots of their class's colour, or, while they do not hide each other, as the images.
Image map_picture(const at::Tensor& points, const Features& features, const Dataset& data) {
  Image picture = make_image(kMapSide, kMapSide, 3);
  std::ranges::fill(picture.pixels, uint8_t{255});
  const at::Tensor low = points.amin(0);
  const at::Tensor range = (points.amax(0) - low).max().clamp_min(1e-30);
  const at::Tensor places = ((points - low) / range).contiguous();
  const float* at = places.const_data_ptr<float>();
  const int64_t count = points.size(0);
  const int64_t side = count > 20000 ? 3 : count > 3000 ? 14 : 28;
  for (int64_t i = 0; i < count; ++i) {
    const auto label = static_cast<size_t>(features.labels[static_cast<size_t>(i)]);
    const auto& color = kClassColors[label % kClassColors.size()];
    Image mark = make_image(side, side, 3);
    if (side > 3) {
      mark = thumbnail(data.sample(i).image, side);
      frame(mark, color);
    } else {
      for (int64_t p = 0; p < side * side; ++p)
        std::ranges::copy(color, &mark.pixels[static_cast<size_t>(p * 3)]);
    }
    const auto place = [&](int64_t axis) {
      return std::lround(at[i * 2 + axis] * static_cast<float>(kMapSide - side));
    };
    put(picture, mark, place(0), place(1));
  }
  return picture;
}

std::shared_ptr<const Dataset> data_of(const LookOptions& options) {
  if (options.data.spelling.empty()) {
    throw UsageError("nothing to look at", "give --data DATA: a map is of a whole data set");
  }
  return open_data(options.data);
}

void run_embed(const LookOptions& options, const MapOptions& map_options) {
  LookSession session(options);
  const auto data = data_of(options);
  const std::string node = session.node_or(default_features(session.graph()));
  const Features features = features_of(session, *data, node);
  const Map map = map_of(features.values, map_options);
  std::string csv = "image,x,y,class\n";
  const at::Tensor points = map.points.contiguous();
  const float* at = points.const_data_ptr<float>();
  for (int64_t i = 0; i < points.size(0); ++i) {
    const auto label = static_cast<size_t>(features.labels[static_cast<size_t>(i)]);
    csv += fmt::format("{},{:.6g},{:.6g},\"{}\"\n", i, at[2 * i], at[2 * i + 1],
                       data->class_names().at(label));
  }
  const auto table =
      std::filesystem::path(options.out) / ("embedding-" + map_options.method + ".csv");
  write_file_atomically(table, csv);
  session.report("points", table.string());
  session.report("images", data->size());
  session.report("node", node);
  if (map_options.method == "tsne") session.report("kl_divergence", map.divergence);
  const std::string says =
      map_options.method == "tsne"
          ? fmt::format("{} images by {}, KL divergence {:.3f}; points in {}", data->size(), node,
                        map.divergence, table.string())
          : fmt::format("{} images by {}; points in {}", data->size(), node, table.string());
  session.write("embedding-" + map_options.method, map_picture(map.points, features, *data),
                {{"node", node}, {"says", says}});
  session.finish();
}

void run_neighbours(const LookOptions& options, int64_t count, const std::string& distance) {
  LookSession session(options);
  if (options.images.empty()) throw UsageError("neighbours of what?", "give image files");
  const auto data = data_of(options);
  const std::string node = session.node_or(default_features(session.graph()));
  const Features features = features_of(session, *data, node);
  const NodeValues values(session.network(), node);
  std::vector<at::Tensor> queries;
  for (const std::string& path : options.images) {
    const at::Tensor value = values(prepare_image(session.model(), path).slice(0, 0, 1));
    queries.push_back(value.flatten(1));
  }
  const Neighbours found = nearest_neighbours(
      at::cat(queries).contiguous(), features.values,
      {.count = std::min(count, data->size()),
       .distance = distance == "cosine" ? Distance::kCosine : Distance::kEuclidean});
  for (size_t q = 0; q < options.images.size(); ++q) {
    const auto row = static_cast<int64_t>(q);
    std::vector<Image> pictures = {thumbnail(
        session.picture(prepare_image(session.model(), options.images[q])[0]), kNeighbourSide)};
    Json list = Json::array();
    for (int64_t i = 0; i < found.indices.size(1); ++i) {
      const auto index = found.indices[row][i].item<int64_t>();
      pictures.push_back(thumbnail(data->sample(index).image, kNeighbourSide));
      list.push_back({{"image", data->origin(index)},
                      {"class", data->class_names().at(static_cast<size_t>(data->label(index)))},
                      {"distance", found.distances[row][i].item<double>()}});
    }
    session.write(std::filesystem::path(options.images[q]).stem().string() + "-neighbours",
                  picture_grid(pictures, {.columns = std::ssize(pictures), .gap = 4}),
                  {{"image", options.images[q]}, {"node", node}, {"neighbours", list}});
  }
  session.finish();
}

}  // namespace

std::string default_features(const Graph& graph) {
  const Value last = last_weighted(graph, graph.outputs().front().second);
  Value before = {graph.node(last).inputs.front()};
  // What dropout and flattening leave as it is.
  while (std::holds_alternative<Dropout>(graph.node(before).op)) {
    before = {graph.node(before).inputs.front()};
  }
  return graph.node(before).name;
}

Features features_of(const LookSession& session, const Dataset& data, const std::string& node) {
  const NodeValues values(session.network(), node);
  std::vector<at::Tensor> parts;
  Features features;
  for_batches(session, data, [&](const at::Tensor& images, int64_t first) {
    const at::Tensor value = values(images);
    // Of a map of many positions, each channel's mean.
    parts.push_back((value.dim() == 4 ? value.mean({2, 3}) : value).to(at::kFloat).contiguous());
    for (int64_t i = 0; i < images.size(0); ++i) features.labels.push_back(data.label(first + i));
  });
  features.values = at::cat(parts);
  return features;
}

Map map_of(const at::Tensor& features, const MapOptions& options) {
  const int64_t count = features.size(0);
  const int64_t components =
      std::min({options.method == "pca" ? 2 : options.components, features.size(1), count});
  const Pca pca = fit_pca(features, {.components = components, .seed = options.seed});
  const at::Tensor reduced = transform(pca, features);
  if (options.method == "pca") return {.points = reduced.contiguous()};
  if (static_cast<double>(count) < 3 * options.perplexity + 1) {
    throw UsageError(
        fmt::format("{} images are too few for a perplexity of {}", count, options.perplexity),
        fmt::format("give --perplexity {} or less", (count - 1) / 3));
  }
  const TsneOptions tsne_options{.perplexity = options.perplexity, .seed = options.seed};
  const auto shown = counting_progress("t-SNE, iteration",
                                       tsne_options.early_iterations + tsne_options.iterations);
  TsneOptions own = tsne_options;
  own.observe_every = 10;
  own.observer = [&](const TsneProgress& progress) {
    if (shown) shown(progress.iteration);
  };
  const TsneResult result = tsne(reduced, own);
  return {.points = result.map, .divergence = result.divergence};
}

Thumbnails thumbnails_of(const Dataset& data, int64_t side) {
  // All sheets are of one size; one that is enough for all is only as high as it must be.
  Thumbnails result{.side = side, .columns = kSheetSide / side, .rows = kSheetSide / side};
  result.rows = std::min(result.rows, (data.size() + result.columns - 1) / result.columns);
  const int64_t for_sheet = result.columns * result.rows;
  for (int64_t first = 0; first < data.size(); first += for_sheet) {
    const int64_t count = std::min(for_sheet, data.size() - first);
    Image sheet = make_image(result.columns * side, result.rows * side, 3);
    for (int64_t i = 0; i < count; ++i) {
      put(sheet, thumbnail(data.sample(first + i).image, side), i % result.columns * side,
          i / result.columns * side);
    }
    result.sheets.push_back(std::move(sheet));
  }
  return result;
}

void add_look_embedding(CLI::App& look) {
  const auto map = std::make_shared<MapOptions>();
  CLI::App* embed = add_look_command(
      look, "embed", "A data set as a map: near is what a node sees alike (t-SNE, PCA)",
      {.node = true}, [map](const LookOptions& common) { run_embed(common, *map); });
  embed->add_option("--method", map->method, "tsne (vandermaaten2008) or pca")
      ->check(CLI::IsMember({"tsne", "pca"}))
      ->capture_default_str();
  embed->add_option("--perplexity", map->perplexity, "About how many neighbours a point has")
      ->check(CLI::Range(1.0, 1000.0))
      ->capture_default_str();
  embed->add_option("--components", map->components, "t-SNE sees so many principal components")
      ->check(CLI::Range(2, 2048))
      ->capture_default_str();
  embed->add_option("--seed", map->seed, "Of what is random")->capture_default_str();

  const auto count = std::make_shared<int64_t>(8);
  const auto distance = std::make_shared<std::string>("euclidean");
  CLI::App* neighbours = add_look_command(
      look, "neighbours", "The images of a data set that a node sees most like these",
      {.node = true},
      [count, distance](const LookOptions& common) { run_neighbours(common, *count, *distance); });
  neighbours->add_option("--count", *count, "Neighbours of each image")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  neighbours->add_option("--distance", *distance, "euclidean or cosine")
      ->check(CLI::IsMember({"euclidean", "cosine"}))
      ->capture_default_str();
}

}  // namespace striate::cli
