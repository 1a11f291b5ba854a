#include <fmt/format.h>

#include <map>
#include <memory>

#include "cli/command.h"
#include "cli/detection_measures.h"
#include "cli/score_detections.h"
#include "striate/base/text.h"
#include "striate/sequence/bleu.h"
#include "striate/sequence/caption_results.h"
#include "striate/sequence/sentence_pairs.h"

namespace striate::cli {

namespace {

constexpr const char* kBleuSignature = "case:mixed|eff:no|tok:13a|smooth:exp";

struct Options {
  std::string hypotheses;
  std::vector<std::string> references;
  std::string metric;
  std::string part = "test";
  DetectionRequest detections;
  bool json = false;
};

Json score_sentences(const Options& options) {
  const std::vector<std::string> hypotheses = read_sentences(options.hypotheses);
  std::vector<std::vector<std::string>> references(hypotheses.size());
  for (const std::string& file : options.references) {
    const std::vector<std::string> lines = read_sentences(file);
    if (lines.size() != hypotheses.size()) {
      throw FormatError(fmt::format("{} has {} lines and {} has {}", options.hypotheses,
                                    hypotheses.size(), file, lines.size()),
                        "line k of the references is what line k of the hypotheses should be");
    }
    for (size_t i = 0; i < lines.size(); ++i) references[i].push_back(lines[i]);
  }
  const BleuScore score = corpus_bleu(hypotheses, references);
  return {{"metric", "bleu"},
          {"sentences", hypotheses.size()},
          {"references", options.references.size()},
          {"signature", kBleuSignature},
          {"bleu", score.bleu},
          {"precisions", score.precisions},
          {"brevity_penalty", score.brevity_penalty},
          {"hypothesis_length", score.hypothesis_length},
          {"reference_length", score.reference_length}};
}

Json score_captions(const Options& options) {
  if (options.references.size() != 1) {
    throw UsageError("--metric captions takes one data set of references", "name captions:DIR");
  }
  const std::string& spelling = options.references[0];
  const CaptionData data = read_captions(parse_captions(spelling), {.without_images = true});
  const auto cases = caption_cases(read_caption_results(options.hypotheses), data,
                                   {.results = options.hypotheses, .references = spelling});
  const CaptionScores scores = caption_scores(cases);
  Json report = {{"metric", "captions"}, {"images", cases.size()}};
  for (size_t n = 0; n < scores.bleu.size(); ++n) {
    report[fmt::format("bleu_{}", n + 1)] = scores.bleu[n];
  }
  report["meteor_exact_stem"] = scores.meteor;
  report["rouge_l"] = scores.rouge_l;
  report["cider_d"] = scores.cider_d;
  return report;
}

std::string describe_sentences(const Json& report) {
  return fmt::format(
      "BLEU {:.2f} = {:.1f}/{:.1f}/{:.1f}/{:.1f} x {:.3f}  {} sentences\n"
      "{} tokens, {} in the references; sacrebleu's {}\n",
      report["bleu"].get<double>(), report["precisions"][0].get<double>(),
      report["precisions"][1].get<double>(), report["precisions"][2].get<double>(),
      report["precisions"][3].get<double>(), report["brevity_penalty"].get<double>(),
      with_thousands(report["sentences"].get<int64_t>()),
      with_thousands(report["hypothesis_length"].get<int64_t>()),
      with_thousands(report["reference_length"].get<int64_t>()), kBleuSignature);
}

std::string describe_captions(const Json& report) {
  std::vector<std::vector<std::string>> rows;
  const auto add = [&](const std::string& name, const char* key) {
    rows.push_back({name, fmt::format("{:.4f}", report[key].get<double>())});
  };
  add("BLEU-1", "bleu_1");
  add("BLEU-2", "bleu_2");
  add("BLEU-3", "bleu_3");
  add("BLEU-4", "bleu_4");
  add("METEOR (exact, stem)", "meteor_exact_stem");
  add("ROUGE-L", "rouge_l");
  add("CIDEr-D", "cider_d");
  return fmt::format("{} images\n{}", with_thousands(report["images"].get<int64_t>()),
                     aligned_table(rows, "lr"));
}

Json score_found(const Options& options) {
  if (options.references.size() != 1) {
    throw UsageError("detections are scored beside one file of instances, or one data set",
                     "name COCO's instances_*.json, coco:DIR, voc:DIR or masks:DIR");
  }
  return score_detections({.results = options.hypotheses,
                           .instances = options.references[0],
                           .part = options.part,
                           .masks = options.metric == "masks",
                           .request = options.detections});
}

struct Metric {
  Json (*score)(const Options&);
  std::string (*describe)(const Json&);
};

const std::map<std::string, Metric>& metrics() {
  static const std::map<std::string, Metric> all = {
      {"bleu", {score_sentences, describe_sentences}},
      {"boxes", {score_found, describe_detections}},
      {"captions", {score_captions, describe_captions}},
      {"masks", {score_found, describe_detections}}};
  return all;
}

void score(const Options& options) {
  const Metric& metric = metrics().at(options.metric);
  if (metric.score != score_found) refuse_detection_flags(options.detections, options.metric);
  const Json report = metric.score(options);
  if (options.json) return print(report);
  print(metric.describe(report));
}

}  // namespace

void add_score(CLI::App& program) {
  CLI::App* command = program.add_subcommand(
      "score", "How good captions, translations or detections are, beside people's");
  const auto options = std::make_shared<Options>();
  command
      ->add_option("hypotheses", options->hypotheses,
                   "bleu: a sentence on each line. Others: COCO's JSON of results")
      ->required();
  command
      ->add_option("references", options->references,
                   "bleu: one file or several, a sentence on each line. captions: captions:DIR. "
                   "boxes, masks: COCO's JSON of instances, or coco:DIR, voc:DIR, masks:DIR")
      ->required();
  command
      ->add_option("--metric", options->metric,
                   "captions (BLEU-1 to 4, METEOR, ROUGE-L, CIDEr-D), bleu, or of detections boxes "
                   "or masks (COCO's average precision)")
      ->check(CLI::IsMember({"captions", "bleu", "boxes", "masks"}))
      ->required();
  command
      ->add_option("--split", options->part,
                   "Boxes, masks: the part of a data set: train, validation or test")
      ->check(CLI::IsMember({"train", "validation", "test"}))
      ->capture_default_str();
  add_detection_flags(*command, options->detections);
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options] { score(*options); });
}

}  // namespace striate::cli
