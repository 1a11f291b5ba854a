// striate look ascend, dream, invert, fool: images that a network would like to see.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include "cli/look.h"
#include "cli/progress.h"
#include "striate/base/error.h"
#include "striate/image/codec.h"
#include "striate/visualization/ascent.h"
#include "striate/visualization/attribution.h"
#include "striate/visualization/picture.h"

namespace striate::cli {

namespace {

constexpr int64_t kMostDreamt = 4'000'000;  // pixels of a photo

AscentObserver steps_shown(const std::string& what, int64_t steps) {
  const auto shown = counting_progress(what, steps);
  return [shown](int64_t step, int64_t, double) {
    if (shown) shown(step);
  };
}

struct AscendOptions {
  std::vector<std::string> classes;
  int64_t channel = 0;
  std::vector<int64_t> at;
  std::string method = "fourier";
  int64_t steps = 0;  // 0: the method's own
  uint64_t seed = 0;
};

Ascent ascend(const LookSession& session, const Unit& unit, const AscendOptions& options) {
  if (options.method == "pixels") {
    PixelAscentOptions own{.seed = options.seed};
    if (options.steps > 0) own.steps = options.steps;
    own.progress = steps_shown("steps", own.steps);
    return ascend_pixels(session.network(), session.scale(), unit, own);
  }
  FourierAscentOptions own{.seed = options.seed};
  if (options.steps > 0) own.steps = options.steps;
  own.progress = steps_shown("steps", own.steps);
  return ascend_fourier(session.network(), session.scale(), unit, own);
}

void write_ascent(LookSession& session, const std::string& name, const Ascent& ascent, Json facts) {
  const LookSession::Seen seen =
      session.seen(normalize_pixels(ascent.pixels.unsqueeze(0), session.scale())).front();
  facts["score"] = ascent.scores.back();
  facts["seen_as"] = session.class_name(seen.index);
  facts["probability"] = seen.probability;
  facts["says"] =
      fmt::format("{}, score {:.1f}, seen as {} ({:.1f} %)", facts["of"].get<std::string>(),
                  ascent.scores.back(), session.class_name(seen.index), 100 * seen.probability);
  const Image picture = pixel_picture(ascent.pixels);
  session.write(name, picture_grid({picture}, {.enlarge = picture.width < 96 ? 4 : 1, .gap = 0}),
                std::move(facts));
}

void run_ascend(const LookOptions& options, const AscendOptions& own) {
  LookSession session(options);
  Unit unit{.node = options.node};
  if (!own.at.empty()) {
    if (own.at.size() != 2) throw UsageError("--at takes a row and a column");
    unit.position = Position{own.at[0], own.at[1]};
  }
  if (!options.node.empty()) {
    session.node_or("");
    unit.channel = own.channel;
    std::string name = options.node;
    std::ranges::replace(name, '.', '-');
    write_ascent(session, fmt::format("{}-channel-{}-ascend", name, own.channel),
                 ascend(session, unit, own),
                 {{"node", options.node},
                  {"channel", own.channel},
                  {"of", fmt::format("channel {} of {}", own.channel, options.node)}});
    return session.finish();
  }
  if (own.classes.empty()) {
    throw UsageError("nothing to ascend to",
                     "give --class NAME (once or more), or --node NODE --channel K");
  }
  for (const std::string& name : own.classes) {
    unit.channel = session.class_index(name);
    write_ascent(session, fmt::format("class-{}-ascend", unit.channel), ascend(session, unit, own),
                 {{"class", session.class_name(unit.channel)},
                  {"index", unit.channel},
                  {"of", session.class_name(unit.channel)}});
  }
  session.finish();
}

// A photo as it is, (C, H, W) in [0, 1].
at::Tensor photo_of(const LookSession& session, const std::string& path) {
  const bool grey = session.graph().input_shape()[0] == 1;
  Image image = read_image(path, grey ? PixelFormat::kGrey : PixelFormat::kRgb);
  if (image.width * image.height > kMostDreamt) {
    throw UsageError(fmt::format("{} has {} x {} pixels", path, image.width, image.height),
                     "scale it to 4 million at most");
  }
  return at::from_blob(image.pixels.data(), {image.height, image.width, image.channels}, at::kByte)
             .permute({2, 0, 1})
             .to(at::kFloat) /
         255;
}

void run_dream(const LookOptions& options, const DreamOptions& dream) {
  LookSession session(options);
  if (options.images.empty()) throw UsageError("a dream needs a photo", "give an image file");
  const std::string node = session.node_or(default_layer(session.graph()));
  for (const std::string& path : options.images) {
    DreamOptions own = dream;
    own.progress = steps_shown("steps", own.octaves * own.steps);
    const at::Tensor pixels =
        deep_dream(session.network(), session.scale(), photo_of(session, path), node, own);
    session.write(std::filesystem::path(path).stem().string() + "-dream", pixel_picture(pixels),
                  {{"image", path}, {"node", node}, {"says", node}});
  }
  session.finish();
}

void run_invert(const LookOptions& options, const InversionOptions& inversion) {
  LookSession session(options);
  const std::string node = session.node_or(default_layer(session.graph()));
  for (const LookImage& image : session.images()) {
    InversionOptions own = inversion;
    own.progress = steps_shown("steps", own.steps);
    const at::Tensor pixels = to_pixels(image.values, session.scale()).clamp(0, 1);
    const Inversion result = invert(session.network(), session.scale(), pixels, node, own);
    const Image photo = pixel_picture(pixels);
    session.write(image.name + "-invert",
                  picture_grid({photo, pixel_picture(result.pixels)},
                               {.columns = 2, .enlarge = photo.width < 96 ? 4 : 1, .gap = 4}),
                  {{"image", image.origin},
                   {"node", node},
                   {"error", result.error},
                   {"says", fmt::format("{}, error {:.3f}", node, result.error)}});
  }
  session.finish();
}

void run_fool(const LookOptions& options, FoolingOptions fooling) {
  LookSession session(options);
  const std::optional<int64_t> wanted = session.given_class();
  fooling.targeted = wanted.has_value();
  for (const LookImage& image : session.images()) {
    const at::Tensor pixels =
        round_to_grey_levels(to_pixels(image.values, session.scale())).unsqueeze(0);
    const LookSession::Seen before =
        session.seen(normalize_pixels(pixels, session.scale())).front();
    const Fooling result = fool(session.network(), session.scale(), pixels,
                                at::tensor({wanted.value_or(before.index)}, at::kLong), fooling);
    const auto after = result.predictions[0].item<int64_t>();
    const auto confidence = result.confidences[0].item<double>();
    const double largest = (result.pixels - pixels).abs().max().item<double>() * 255;
    const Image change = signed_picture((result.pixels - pixels)[0]);  // as strong as can be shown
    const Image photo = pixel_picture(pixels[0]);
    session.write(
        image.name + "-fool",
        picture_grid({to_rgb(photo), to_rgb(change), to_rgb(pixel_picture(result.pixels[0]))},
                     {.columns = 3, .enlarge = photo.width < 96 ? 4 : 1, .gap = 4}),
        {{"image", image.origin},
         {"before", session.class_name(before.index)},
         {"before_probability", before.probability},
         {"after", session.class_name(after)},
         {"after_probability", confidence},
         {"grey_levels", largest},
         {"says",
          fmt::format("{} ({:.1f} %) is seen as {} ({:.1f} %), changed by {:.0f} grey levels",
                      session.class_name(before.index), 100 * before.probability,
                      session.class_name(after), 100 * confidence, largest)}});
  }
  session.finish();
}

void add_ascend(CLI::App& look) {
  const auto options = std::make_shared<AscendOptions>();
  CLI::App* command =
      add_look_command(look, "ascend", "Images that a class or a channel responds to most",
                       {.images = false, .node = true},
                       [options](const LookOptions& common) { run_ascend(common, *options); });
  command->add_option("--class", options->classes, "Classes, by name or number");
  command->add_option("--channel", options->channel, "Of --node: the channel")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_option("--at", options->at, "Of --node: one unit, by row and column")->expected(2);
  command
      ->add_option("--method", options->method,
                   "fourier (olah2017), or pixels (simonyan2014, yosinski2015)")
      ->check(CLI::IsMember({"fourier", "pixels"}))
      ->capture_default_str();
  command->add_option("--steps", options->steps, "Steps; without it, the method's own number")
      ->check(CLI::PositiveNumber);
  command->add_option("--seed", options->seed, "Of the noise it starts from")
      ->capture_default_str();
}

void add_dream(CLI::App& look) {
  const auto options = std::make_shared<DreamOptions>();
  CLI::App* command = add_look_command(
      look, "dream", "A photo in which a node sees more of what it knows (mordvintsev2015)",
      {.node = true}, [options](const LookOptions& common) { run_dream(common, *options); });
  command->add_option("--octaves", options->octaves, "Sizes, from small to full")
      ->check(CLI::Range(1, 20))
      ->capture_default_str();
  command->add_option("--steps", options->steps, "At each size")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--rate", options->learning_rate, "How strong a step is")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
}

void add_invert(CLI::App& look) {
  const auto options = std::make_shared<InversionOptions>();
  CLI::App* command = add_look_command(
      look, "invert", "An image with the same values of a node (mahendran2015)", {.node = true},
      [options](const LookOptions& common) { run_invert(common, *options); });
  command->add_option("--steps", options->steps, "Steps")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
}

void add_fool(CLI::App& look) {
  const auto options = std::make_shared<FoolingOptions>();
  CLI::App* command = add_look_command(
      look, "fool",
      "Images changed by little and classified otherwise (goodfellow2015, kurakin2017); --class: "
      "as "
      "what",
      {.class_name = true}, [options](const LookOptions& common) { run_fool(common, *options); });
  command->add_option("--grey-levels", options->grey_levels, "The most that a value changes")
      ->check(CLI::Range(0.5, 255.0))
      ->capture_default_str();
  command->add_option("--steps", options->steps, "1: the fast method; more: iterated")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
}

}  // namespace

void add_look_ascent(CLI::App& look) {
  add_ascend(look);
  add_dream(look);
  add_invert(look);
  add_fool(look);
}

}  // namespace striate::cli
