#include "striate/sequence/caption_metrics.h"

#include "data/made_data.h"
#include "sequence/text_reference.h"
#include "shared_folder.h"
#include "striate/sequence/captions.h"

namespace striate {
namespace {

std::vector<CaptionCase> reference_cases() {
  std::vector<CaptionCase> cases;
  for (const Json& item : text_reference()["captions"]) {
    CaptionCase& made = cases.emplace_back();
    made.hypothesis = caption_tokens(item["hypothesis"].get<std::string>());
    for (const Json& text : item["references"]) {
      made.references.push_back(caption_tokens(text.get<std::string>()));
    }
  }
  return cases;
}

void expect_equal(const CaptionScores& scores, const Json& reference) {
  for (size_t n = 0; n < 4; ++n) {
    EXPECT_NEAR(scores.bleu[n], reference["bleu"][n].get<double>(), kMetricTolerance)
        << "BLEU-" << n + 1;
  }
  EXPECT_NEAR(scores.meteor, reference["meteor_exact_stem"].get<double>(), kMetricTolerance);
  EXPECT_NEAR(scores.rouge_l, reference["rouge_l"].get<double>(), kMetricTolerance);
  EXPECT_NEAR(scores.cider_d, reference["cider_d"].get<double>(), kMetricTolerance);
}

TEST(CaptionMetrics, EqualPycocoevalcapAndMeteor) {
  expect_equal(caption_scores(reference_cases()), text_reference()["scores"]);
}

// As flickr8k() of tools/reference/text.py makes them.
std::vector<CaptionCase> flickr8k_cases(const std::filesystem::path& folder) {
  const CaptionData data = read_captions(folder, {.without_images = true});
  std::vector<std::vector<Tokens>> captions;
  for (const CaptionedImage& image : data[CaptionSplit::kTest]) {
    std::vector<Tokens>& of_image = captions.emplace_back();
    for (const std::string& caption : image.captions) of_image.push_back(caption_tokens(caption));
  }
  std::vector<CaptionCase> cases;
  for (size_t i = 0; i < captions.size(); ++i) {
    Tokens hypothesis = captions[i % 3 == 1 ? (i + 1) % captions.size() : i][0];
    if (i % 3 == 2) std::ranges::reverse(hypothesis);
    cases.push_back({hypothesis, {captions[i].begin() + 1, captions[i].end()}});
  }
  return cases;
}

TEST(CaptionMetrics, OfRealCaptionsEqualPycocoevalcapAndMeteor) {
  const auto folder = shared_folder() / "data/flickr8k";
  if (!std::filesystem::exists(folder))
    GTEST_SKIP() << "needs " << folder << ": set STRIATE_SHARED";
  expect_equal(caption_scores(flickr8k_cases(folder)), text_reference()["flickr8k"]["scores"]);
}

TEST(CaptionMetrics, OfACopiedReferenceAreTheHighest) {
  std::vector<CaptionCase> cases = reference_cases();
  for (CaptionCase& item : cases) {
    item.references = {item.references[0]};
    item.hypothesis = item.references[0];
  }
  const CaptionScores scores = caption_scores(cases);
  EXPECT_NEAR(scores.rouge_l, 1, 1e-12);
  EXPECT_NEAR(scores.bleu[3], 1, 1e-9);
  EXPECT_NEAR(scores.meteor, 1, 1e-12);
}

TEST(CaptionMetrics, OneWordAndNoWordAreFinite) {
  const std::vector<CaptionCase> cases = {{{"dog"}, {{"dog"}, {"a", "dog"}}}, {{}, {{"cat"}, {}}}};
  const CaptionScores scores = caption_scores(cases);
  // One word of one, and two of the closest references' words: exp(1 - 1 / (1 / 1)).
  EXPECT_NEAR(scores.bleu[0], 1, 1e-8);
  EXPECT_NEAR(scores.rouge_l, 0.5, 1e-12);
  EXPECT_GT(scores.meteor, 0);
  for (const double value : {scores.bleu[1], scores.bleu[3], scores.meteor, scores.cider_d}) {
    EXPECT_TRUE(std::isfinite(value)) << value;
  }
}

TEST(CaptionMetrics, NothingToScoreIsAnError) {
  EXPECT_THROW(caption_scores({}), std::invalid_argument);
  EXPECT_THROW(caption_bleu({}), std::invalid_argument);
  EXPECT_THROW(meteor({}), std::invalid_argument);
  EXPECT_THROW(rouge_l({}), std::invalid_argument);
  EXPECT_THROW(cider_d({}), std::invalid_argument);
  const std::vector<CaptionCase> cases = {{{"dog"}, {{"dog"}}}, {{"dog"}, {}}};
  EXPECT_TRUE(
      has(problem_of<std::invalid_argument>([&] { caption_scores(cases); }).message, "caption 2"));
  EXPECT_THROW(CiderD(std::vector<std::vector<Tokens>>()), std::invalid_argument);
  const std::vector<std::vector<Tokens>> of_none(1);
  EXPECT_THROW(CiderD{of_none}, std::invalid_argument);
}

TEST(CaptionMetrics, CiderOfTheCorpusIsTheMeanOfItsImages) {
  const std::vector<CaptionCase> cases = reference_cases();
  std::vector<std::vector<Tokens>> references;
  for (const CaptionCase& item : cases) references.push_back(item.references);
  const CiderD cider(references);
  double sum = 0;
  for (size_t i = 0; i < cases.size(); ++i) sum += cider.score(cases[i].hypothesis, i);
  EXPECT_NEAR(sum / static_cast<double>(cases.size()), cider_d(cases), 1e-12);
  EXPECT_GT(cider.score({"dog"}, 5), cider.score({"dog", "dog", "dog"}, 5));
  EXPECT_THROW(cider.score({"dog"}, cases.size()), std::out_of_range);
}

}  // namespace
}  // namespace striate
