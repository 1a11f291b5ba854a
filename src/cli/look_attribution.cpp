// striate look saliency, smoothgrad, integrated, guided, deconv, gradcam, guided-gradcam,
// occlusion: which pixels a class, or a channel of a node, depends on.
#include <ATen/ops/upsample_bilinear2d.h>
#include <fmt/format.h>

#include "cli/look.h"
#include "cli/progress.h"
#include "striate/visualization/attribution.h"
#include "striate/visualization/picture.h"

namespace striate::cli {

namespace {

struct MethodOptions {
  std::string layer;     // Grad-CAM's
  int64_t samples = 50;  // SmoothGrad's
  double noise = 0.15;
  int64_t steps = 50;  // integrated gradients'
  int64_t window = 0;  // occlusion's; 0: a seventh of the image
  int64_t stride = 0;  // 0: half the window
};

struct Case {
  const Network& network;
  at::Tensor images;
  Target target;
  const MethodOptions& options;
  std::string layer;
};

ProgressObserver steps_shown(const std::string& what) {
  return [what, shown = std::function<void(int64_t)>(), total_of = int64_t{0}](
             int64_t done, int64_t total) mutable {
    if (total != total_of) {
      shown = counting_progress(what, total);
      total_of = total;
    }
    if (shown) shown(done);
  };
}

at::Tensor smoothgrad(const Case& c) {
  return smooth_grad(c.network, c.images, c.target,
                     {.samples = c.options.samples,
                      .noise = c.options.noise,
                      .progress = steps_shown("noisy copies")});
}
at::Tensor integrated(const Case& c) {
  return integrated_gradients(c.network, c.images, c.target,
                              {.steps = c.options.steps, .progress = steps_shown("steps")});
}
at::Tensor occluded(const Case& c) {
  const int64_t side = std::min(c.images.size(2), c.images.size(3));
  const int64_t window = c.options.window > 0 ? c.options.window : std::max<int64_t>(1, side / 7);
  const int64_t stride = c.options.stride > 0 ? c.options.stride : std::max<int64_t>(1, window / 2);
  return occlusion(c.network, c.images, c.target,
                   {.window = window, .stride = stride, .progress = steps_shown("squares")});
}

// How a method's numbers become a picture: the strength of each pixel, colours around grey, or a
// map that lies over the image.
enum class Shown { kStrength, kColors, kOverlay };

struct Method {
  const char* name;
  const char* text;
  Shown shown;
  at::Tensor (*compute)(const Case&);
};

const Method kMethods[] = {
    {"saliency", "The gradient of the score (simonyan2014)", Shown::kStrength,
     [](const Case& c) { return saliency(c.network, c.images, c.target); }},
    {"smoothgrad", "The mean gradient over noisy copies (smilkov2017)", Shown::kStrength,
     smoothgrad},
    {"integrated", "Integrated gradients (sundararajan2017)", Shown::kStrength, integrated},
    {"guided", "Guided backpropagation (springenberg2015)", Shown::kColors,
     [](const Case& c) { return guided_backprop(c.network, c.images, c.target); }},
    {"deconv", "Backpropagation by the deconvolution rule (zeiler2014)", Shown::kColors,
     [](const Case& c) { return deconvolution(c.network, c.images, c.target); }},
    {"gradcam", "Grad-CAM (selvaraju2017)", Shown::kOverlay,
     [](const Case& c) { return grad_cam(c.network, c.images, c.target, c.layer); }},
    {"guided-gradcam", "Guided Grad-CAM (selvaraju2017)", Shown::kColors,
     [](const Case& c) { return guided_grad_cam(c.network, c.images, c.target, c.layer); }},
    {"occlusion", "By how much the score falls when a square hides a part (zeiler2014)",
     Shown::kOverlay, occluded},
};

// The map, as large as the image.
at::Tensor enlarged(const at::Tensor& map, const at::Tensor& image) {
  return at::upsample_bilinear2d(map.unsqueeze(0).unsqueeze(0), image.sizes().slice(1),
                                 false)[0][0];
}

Image picture_of(Shown shown, const at::Tensor& result, const at::Tensor& image,
                 const Image& photo) {
  if (shown == Shown::kColors) return to_rgb(signed_picture(result));
  if (shown == Shown::kStrength) return heat_picture(pixel_strength(result));
  return blend(to_rgb(photo), heat_overlay(enlarged(result, image).clamp_min(0)));
}

// What is asked of one image: a class, or --channel of --node.
struct Question {
  Target target;
  Json facts;
  std::string says;
};

Question question(const LookSession& session, const at::Tensor& batch, int64_t channel) {
  const std::string& node = session.options().node;
  if (!node.empty()) {
    session.node_or("");
    return {.target = same_target(1, channel, node),
            .facts = {{"node", node}, {"channel", channel}},
            .says = fmt::format("channel {} of {}", channel, node)};
  }
  const LookSession::Seen seen = session.seen(batch).front();
  const int64_t index = session.given_class().value_or(seen.index);
  Question result{.target = same_target(1, index),
                  .facts = {{"class", session.class_name(index)}, {"index", index}},
                  .says = session.class_name(index)};
  if (!session.given_class().has_value()) {
    result.facts["probability"] = seen.probability;
    result.says += fmt::format(", {:.1f} %", 100 * seen.probability);
  }
  return result;
}

void run_method(const Method& method, const MethodOptions& method_options, int64_t channel,
                const LookOptions& options) {
  LookSession session(options);
  const std::string layer =
      method_options.layer.empty() ? default_layer(session.graph()) : method_options.layer;
  for (const LookImage& image : session.images()) {
    const at::Tensor batch = image.values.unsqueeze(0);
    const Question asked = question(session, batch, channel);
    const at::Tensor result =
        method.compute({session.network(), batch, asked.target, method_options, layer})[0];
    const Image photo = session.picture(image.values);
    const Image picture = picture_of(method.shown, result, image.values, photo);
    Json facts = asked.facts;
    facts["image"] = image.origin;
    facts["method"] = method.name;
    facts["largest"] = result.abs().max().item<double>();
    const bool nothing = facts["largest"].get<double>() == 0;
    facts["says"] =
        asked.says + (nothing ? "; zero everywhere: nothing comes back to the image" : "");
    session.write(fmt::format("{}-{}", image.name, method.name),
                  picture_grid({to_rgb(photo), picture},
                               {.columns = 2, .enlarge = photo.width < 96 ? 4 : 1, .gap = 4}),
                  facts);
  }
  session.finish();
}

}  // namespace

void add_look_attribution(CLI::App& look) {
  for (const Method& method : kMethods) {
    const std::string name = method.name;
    const auto options = std::make_shared<MethodOptions>();
    const auto channel = std::make_shared<int64_t>(0);
    CLI::App* command =
        add_look_command(look, name, method.text, {.node = true, .class_name = true},
                         [&method, options, channel](const LookOptions& common) {
                           run_method(method, *options, *channel, common);
                         });
    command->add_option("--channel", *channel, "Of --node: the channel that is asked")
        ->check(CLI::NonNegativeNumber)
        ->capture_default_str();
    if (name == "gradcam" || name == "guided-gradcam") {
      command->add_option("--layer", options->layer,
                          "The node whose maps are weighted; without it, the last");
    }
    if (name == "smoothgrad") {
      command->add_option("--samples", options->samples, "Noisy copies")
          ->check(CLI::PositiveNumber)
          ->capture_default_str();
      command->add_option("--noise", options->noise, "Its deviation, of the image's range")
          ->check(CLI::NonNegativeNumber)
          ->capture_default_str();
    }
    if (name == "integrated") {
      command->add_option("--steps", options->steps, "Points between black and the image")
          ->check(CLI::PositiveNumber)
          ->capture_default_str();
    }
    if (name == "occlusion") {
      command->add_option("--window", options->window, "The square's side, in pixels")
          ->check(CLI::PositiveNumber);
      command->add_option("--stride", options->stride, "From one square to the next")
          ->check(CLI::PositiveNumber);
    }
  }
}

}  // namespace striate::cli
