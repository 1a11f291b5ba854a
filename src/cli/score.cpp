#include <fmt/format.h>

#include <memory>

#include "cli/command.h"
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

void score(const Options& options) {
  const bool captions = options.metric == "captions";
  const Json report = captions ? score_captions(options) : score_sentences(options);
  if (options.json) return print(report);
  print(captions ? describe_captions(report) : describe_sentences(report));
}

}  // namespace

void add_score(CLI::App& program) {
  CLI::App* command =
      program.add_subcommand("score", "How good captions or translations are, beside people's");
  const auto options = std::make_shared<Options>();
  command
      ->add_option("hypotheses", options->hypotheses,
                   "bleu: a sentence on each line. captions: COCO's JSON of results")
      ->required();
  command
      ->add_option("references", options->references,
                   "bleu: one file or several, a sentence on each line. captions: captions:DIR")
      ->required();
  command
      ->add_option("--metric", options->metric,
                   "captions (BLEU-1 to 4, METEOR, ROUGE-L, CIDEr-D) or bleu")
      ->check(CLI::IsMember({"captions", "bleu"}))
      ->required();
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options] { score(*options); });
}

}  // namespace striate::cli
