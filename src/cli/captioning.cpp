#include <ATen/ops/upsample_bilinear2d.h>
#include <fmt/format.h>

#include "cli/command.h"
#include "cli/model_file.h"
#include "cli/model_kind.h"
#include "cli/progress.h"
#include "striate/base/cache.h"
#include "striate/base/file.h"
#include "striate/base/text.h"
#include "striate/report/picture_page.h"
#include "striate/sequence/caption_task.h"
#include "striate/visualization/picture.h"

namespace striate::cli {

namespace fs = std::filesystem;

namespace {

constexpr int64_t kUsualBeams = 3;
constexpr int64_t kUsualWords = 2500;       // of Flickr8k that occur 5 times
constexpr int64_t kUsualFeatureSize = 512;  // of SqueezeNet and VGG
constexpr std::array<int64_t, 3> kTestedBeams = {1, 3, 5};

CaptionTaskOptions options_of(const RunConfig& config) {
  return caption_task_options(config.recipe.task, "recipe.task");
}

// What the file and the registry know of an encoder, where the recipe does not say.
CaptionEncoderOptions completed(CaptionEncoderOptions encoder) {
  if (encoder.weights.empty()) {
    throw UsageError("no encoder is named",
                     "--encoder WEIGHTS: a network for images that is trained already");
  }
  const fs::path file = weight_file(encoder.weights);
  const Weights weights = read_weights(file);
  const WeightsCard card = card_from_metadata(weights.metadata, file.string());
  if (encoder.model.empty()) encoder.model = card.model;
  if (encoder.model.empty()) encoder.model = nearest_model(weights);
  if (encoder.model.empty()) {
    throw LookupError(fmt::format("{} does not say which network it belongs to", file.string()),
                      "name it with --set task.encoder.model=NAME");
  }
  const ModelOptions network = options_of_weights(encoder.model, weights);
  if (encoder.input.empty()) encoder.input = card.input.empty() ? network.input : card.input;
  if (encoder.classes == 0) encoder.classes = network.classes;
  if (encoder.transforms.transforms().empty()) {
    encoder.transforms = card.preprocessing.transforms().empty()
                             ? named_preprocessing(find_model(encoder.model).preprocess)
                             : card.preprocessing;
  }
  const Graph graph =
      build_model(encoder.model, {.input = encoder.input, .classes = encoder.classes});
  check_weights_or_explain(graph, weights, file.string());
  if (encoder.node.empty()) encoder.node = last_spatial_node(graph);
  encoder.weights = file.string();
  return encoder;
}

at::Tensor features_of(const CaptionEncoder& encoder, const std::vector<CaptionedImage>& images) {
  const auto count = static_cast<int64_t>(images.size());
  return kept_features(encoder, paths_of(images), cache_folder(),
                       counting_progress("images looked at", count));
}

Json to_json(const CaptionScores& scores) {
  return {{"bleu_1", scores.bleu[0]}, {"bleu_2", scores.bleu[1]}, {"bleu_3", scores.bleu[2]},
          {"bleu_4", scores.bleu[3]}, {"meteor", scores.meteor},  {"rouge_l", scores.rouge_l},
          {"cider_d", scores.cider_d}};
}

std::string describe_scores(const Json& scores) {
  const auto percent = [&](const char* key) { return 100 * scores[key].get<double>(); };
  return fmt::format(
      "BLEU-1 {:.1f}, -2 {:.1f}, -3 {:.1f}, -4 {:.1f}, METEOR (exact, stem) {:.1f}, ROUGE-L "
      "{:.1f}, "
      "CIDEr-D {:.1f}",
      percent("bleu_1"), percent("bleu_2"), percent("bleu_3"), percent("bleu_4"), percent("meteor"),
      percent("rouge_l"), percent("cider_d"));
}

std::string search_of(int64_t beams) {
  return beams == 1 ? "greedy" : fmt::format("beam {}", beams);
}

std::vector<Tokens> captions_of(const Captioner& captioner, const at::Tensor& features,
                                int64_t beams) {
  std::vector<Tokens> captions;
  for (Caption& caption :
       find_captions(captioner, features, {.beams = beams, .longest = kLongestCaption})) {
    captions.push_back(std::move(caption.words));
  }
  return captions;
}

std::string joined(const Tokens& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

CaptionSplit split_of(const std::string& part) {
  if (part == "train") return CaptionSplit::kTrain;
  return part == "validation" ? CaptionSplit::kValidation : CaptionSplit::kTest;
}

Captioner open_captioner(const fs::path& path) {
  const fs::path file = weight_file(path);
  return load_captioner(read_weights(file), file.string());
}

class Captioning final : public ModelKind {
 public:
  std::string name() const override { return "captioner"; }
  std::string hint() const override {
    return "striate predict, evaluate and look attention take it";
  }

  std::vector<ListedModel> models() const override {
    std::vector<ListedModel> models;
    for (const CaptionerEntry& entry : captioners()) {
      models.push_back({.name = entry.name,
                        .form = entry.form,
                        .paper = entry.paper,
                        .recipe = entry.recipe,
                        .size = fmt::format("{} words, features of {}", with_thousands(kUsualWords),
                                            kUsualFeatureSize)});
    }
    return models;
  }

  TensorShapes usual_tensors(const std::string& model, int64_t vocabulary) const override {
    const CaptionerEntry& entry = *find_captioner(model);
    const CaptionTaskOptions options =
        caption_task_options(named_recipe(entry.recipe).task, entry.recipe + ".task");
    return shapes_of(entry,
                     {.vocabulary = vocabulary > 0 ? vocabulary : kUsualWords,
                      .feature_size = kUsualFeatureSize},
                     options.captioner.sizes);
  }

  bool holds(const Weights& weights) const override { return is_captioner(weights); }
  std::string data_spellings() const override { return "captions:DIR"; }

  void complete(RunConfig& config) const override {
    CaptionTaskOptions options = checked_task(config.recipe, caption_task_options);
    const CaptionData data = read_captions(parse_captions(config.data));
    for (const CaptionSplit split :
         {CaptionSplit::kTrain, CaptionSplit::kValidation, CaptionSplit::kTest}) {
      if (data[split].empty()) {
        throw Error(fmt::format("{} has no images for its {} part", config.data,
                                kCaptionSplitNames[static_cast<size_t>(split)]),
                    "a run learns from one part, is chosen by another and tested on a third");
      }
    }
    options.captioner.encoder = completed(options.captioner.encoder);
    config.recipe.task["encoder"] = to_json(options.captioner.encoder);
    config.class_names = caption_vocabulary(data, options.least_count);
    if (options.captioner.encoder.train) return;
    const CaptionEncoder encoder(options.captioner.encoder);
    std::vector<CaptionedImage> training = data[CaptionSplit::kTrain];
    if (config.limit > 0 && config.limit < static_cast<int64_t>(training.size())) {
      training.resize(static_cast<size_t>(config.limit));
    }
    features_of(encoder, training);
    features_of(encoder, data[CaptionSplit::kValidation]);
  }

  TensorShapes tensors(const RunConfig& config) const override {
    const CaptionTaskOptions options = options_of(config);
    const CaptionEncoderOptions& encoder = options.captioner.encoder;
    const Graph graph =
        build_model(encoder.model, {.input = encoder.input, .classes = encoder.classes});
    TensorShapes shapes = shapes_of(*find_captioner(config.model),
                                    {.vocabulary = static_cast<int64_t>(config.class_names.size()),
                                     .feature_size = graph.shape(graph.find(encoder.node)).front()},
                                    options.captioner.sizes);
    if (!encoder.train) return shapes;
    for (const TensorSpec& spec : striate::tensors(graph)) {
      if (spec.kind == TensorSpec::Kind::kParameter) shapes.emplace_back(spec.key, spec.shape);
    }
    return shapes;
  }

  void check_initial(const RunConfig& config, const Weights& weights,
                     const std::string& origin) const override {
    if (load_captioner(weights, origin).vocabulary->tokens() != config.class_names) {
      throw Error(fmt::format("{} knows other words than {}", origin, config.data),
                  "start from weights that were trained on the same captions");
    }
  }

  std::unique_ptr<Task> make_task(const RunConfig& config,
                                  const TrainerOptions& options) const override {
    return make_caption_task(config, options);
  }

  Json test(Task& task, const RunConfig& config) const override {
    const std::vector<CaptionedImage> images =
        read_captions(parse_captions(config.data))[CaptionSplit::kTest];
    const Captioner& captioner = captioner_of(task);
    const at::Tensor features = captioner.encoder->options().train
                                    ? trained_features(captioner, images)
                                    : features_of(*captioner.encoder, images);
    Json results = Json::array();
    for (const int64_t beams : kTestedBeams) {
      results.push_back({{"beams", beams}});
      results.back().update(
          to_json(score_captions(captions_of(captioner, features, beams), images)));
    }
    return {{"images", images.size()}, {"results", results}};
  }

  std::string describe_test(const Json& test) const override {
    const Json& usual = test["results"][1];
    return fmt::format("{}: {} ({} images)", search_of(usual["beams"].get<int64_t>()),
                       describe_scores(usual), with_thousands(test["images"].get<int64_t>()));
  }

  void add_to_report(const RunConfig& config, const Json& test, RunReport& report) const override {
    const CaptionTaskOptions options = options_of(config);
    const CaptionEncoderOptions& encoder = options.captioner.encoder;
    report.facts.push_back({"Encoder", fmt::format("{}, {}", encoder.model, encoder.node)});
    report.facts.push_back({"Vocabulary", fmt::format("{} words", config.class_names.size())});
    report.facts.push_back({"Attention", to_string(options.captioner.attention)});
    for (const Json& result : test["results"]) {
      report.facts.push_back(
          {"Test, " + search_of(result["beams"].get<int64_t>()), describe_scores(result)});
    }
  }

  Json evaluate(const EvaluationRequest& request) const override {
    const Captioner captioner = open_captioner(request.weights);
    const CaptionData data = read_captions(parse_captions(request.data));
    std::vector<CaptionedImage> images = data[split_of(request.part)];
    if (images.empty()) {
      throw Error(fmt::format("{} has no images for its {} part", request.data, request.part));
    }
    if (request.limit > 0 && request.limit < static_cast<int64_t>(images.size())) {
      images.resize(static_cast<size_t>(request.limit));
    }
    const int64_t beams = request.beams.value_or(kUsualBeams);
    const at::Tensor features = trained_features(captioner, images);
    Json report = {{"data", request.data},       {"part", request.part},
                   {"weights", request.weights}, {"model", captioner.entry->name},
                   {"images", images.size()},    {"beams", beams},
                   {"search", search_of(beams)}};
    report.update(to_json(score_captions(captions_of(captioner, features, beams), images)));
    if (request.nearest_neighbour) {
      const std::vector<CaptionedImage>& training = data[CaptionSplit::kTrain];
      report["nearest_neighbour"] = to_json(score_captions(
          nearest_captions(features, trained_features(captioner, training), training), images));
    }
    return report;
  }

  std::string describe_evaluation(const Json& e) const override {
    std::string text =
        fmt::format("{} on {}, {} part ({} images), {}:\n{}\n", e["model"].get<std::string>(),
                    e["data"].get<std::string>(), e["part"].get<std::string>(),
                    with_thousands(e["images"].get<int64_t>()), e["search"].get<std::string>(),
                    describe_scores(e));
    if (e.contains("nearest_neighbour")) {
      text += "captions of the most alike training image:\n" +
              describe_scores(e["nearest_neighbour"]) + "\n";
    }
    return text + "METEOR leaves out synonyms and paraphrases; all but CIDEr-D lie in [0, 100]\n";
  }

  void predict(const PredictionRequest& request) const override {
    const Captioner captioner = open_captioner(request.weights);
    const std::vector<fs::path> images(request.images.begin(), request.images.end());
    const int64_t beams = request.beams.value_or(kUsualBeams);
    const std::vector<Caption> captions =
        caption_images(captioner, images, {.beams = beams, .longest = kLongestCaption});
    Json report = Json::array();
    std::string text;
    for (size_t i = 0; i < images.size(); ++i) {
      const std::string caption = joined(captions[i].words);
      report.push_back({{"image", images[i].string()},
                        {"caption", caption},
                        {"log_probability", captions[i].score}});
      text += fmt::format("{}\n  {}\n", images[i].string(), caption);
    }
    request.json ? print(report) : print(text);
  }

  void look_attention(const AttentionRequest& request) const override {
    const Captioner captioner = open_captioner(request.weights);
    if (!captioner.entry->attends) {
      throw UsageError(fmt::format("{} has no attention", captioner.entry->name),
                       "look at a show_attend_tell");
    }
    const std::vector<fs::path> images(request.inputs.begin(), request.inputs.end());
    const std::vector<Caption> captions =
        caption_images(captioner, images,
                       {.beams = request.beams.value_or(kUsualBeams), .longest = kLongestCaption});
    Json files = Json::array();
    std::string text;
    for (size_t i = 0; i < images.size(); ++i) {
      const std::string caption = joined(captions[i].words);
      const fs::path file =
          fs::path(request.out) / fmt::format("attention-{}.html", images[i].stem().string());
      write_file_atomically(
          file, picture_page_html(caption, pictures_of(captioner, images[i], captions[i])));
      text += fmt::format("{}  {}\n", file.string(), caption);
      files.push_back({{"file", file.string()}, {"caption", caption}});
    }
    request.json ? print(Json{{"files", files}}) : print(text);
  }

 private:
  // The photo, and for each word the photo under what it looked at.
  static std::vector<LabeledPicture> pictures_of(const Captioner& captioner, const fs::path& image,
                                                 const Caption& caption) {
    const Image photo = pixel_picture(captioner.encoder->seen(image));
    std::vector<LabeledPicture> pictures = {{.label = "", .image = photo}};
    for (size_t t = 0; t < caption.words.size(); ++t) {
      const at::Tensor grid = caption.attention[static_cast<int64_t>(t)].to(at::kCPU, at::kFloat);
      const at::Tensor map = at::upsample_bilinear2d(grid.unsqueeze(0).unsqueeze(0),
                                                     {photo.height, photo.width}, false)[0][0];
      pictures.push_back({.label = caption.words[t], .image = blend(photo, heat_overlay(map))});
    }
    return pictures;
  }

  static TensorShapes shapes_of(const CaptionerEntry& entry, const CaptionSizes& sizes,
                                const CaptionDecoderOptions& options) {
    TensorShapes shapes;
    for (const auto& [key, tensor] : entry.make(sizes, options, /*seed=*/1)->tensors()) {
      shapes.emplace_back(key, tensor.sizes().vec());
    }
    return shapes;
  }

  // By the encoder as it is in memory, which may differ from its file.
  static at::Tensor trained_features(const Captioner& captioner,
                                     const std::vector<CaptionedImage>& images) {
    return encoded(*captioner.encoder, paths_of(images),
                   counting_progress("images looked at", static_cast<int64_t>(images.size())));
  }
};

}  // namespace

const ModelKind& captioning_kind() {
  static const Captioning kKind;
  return kKind;
}

}  // namespace striate::cli
