#include "cli/data_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "striate/base/text.h"
#include "striate/sequence/caption_tokens.h"
#include "striate/sequence/captions.h"
#include "striate/sequence/sentence_pairs.h"
#include "striate/sequence/text.h"
#include "striate/sequence/vocabulary.h"

namespace striate::cli {

namespace {

// What Karpathy's captioning keeps.
constexpr int64_t kOften = 5;

int64_t words_with(std::span<const Tokens> sentences, int64_t least_count) {
  return Vocabulary(sentences, {.least_count = least_count}).size() - (Vocabulary::kEnd + 1);
}

Json count_words(std::span<const Tokens> sentences) {
  size_t words = 0;
  size_t longest = 0;
  for (const Tokens& sentence : sentences) {
    words += sentence.size();
    longest = std::max(longest, sentence.size());
  }
  return {{"words", words}, {"longest", longest}};
}

Json with_vocabulary(Json counts, std::span<const Tokens> sentences) {
  counts["vocabulary"] = words_with(sentences, 1);
  counts["vocabulary_of_five"] = words_with(sentences, kOften);
  return counts;
}

Json captions_report(const std::string& spelling) {
  const CaptionData data = read_captions(parse_captions(spelling));
  Json splits = Json::object();
  for (size_t k = 0; k < data.splits.size(); ++k) {
    std::vector<Tokens> captions;
    for (const CaptionedImage& image : data.splits[k]) {
      for (const std::string& caption : image.captions) captions.push_back(caption_tokens(caption));
    }
    Json split = {{"images", data.splits[k].size()}, {"captions", captions.size()}};
    split.update(with_vocabulary(count_words(captions), captions));
    splits[kCaptionSplitNames[k]] = split;
  }
  return {{"data", spelling}, {"splits", splits}};
}

Json side_report(const std::filesystem::path& file, const std::vector<std::string>& sentences) {
  std::vector<Tokens> tokens;
  for (const std::string& sentence : sentences) tokens.push_back(split_words(sentence));
  Json report = {{"file", file.string()}};
  report.update(with_vocabulary(count_words(tokens), tokens));
  return report;
}

Json pairs_report(const std::string& spelling) {
  const PairFiles files = parse_pairs(spelling);
  const SentencePairs pairs = read_pairs(files);
  return {{"data", spelling},
          {"pairs", pairs.source.size()},
          {"source", side_report(files.source, pairs.source)},
          {"target", side_report(files.target, pairs.target)}};
}

Json parts_report(const std::string& spelling) {
  Json units = Json::object();
  for (const TextUnit unit : {TextUnit::kCharacters, TextUnit::kWords}) {
    const TextParts parts = open_text(spelling, unit);
    units[to_string(unit)] = {{"train", parts.training.size()},
                              {"validation", parts.validation.size()},
                              {"test", parts.test.size()},
                              {"different", make_vocabulary(parts, unit, 1).size()}};
  }
  return {{"data", spelling}, {"units", units}};
}

std::string number(const Json& json) {
  return with_thousands(json.get<int64_t>());
}

std::vector<std::string> word_cells(const Json& counts) {
  return {number(counts["words"]), number(counts["longest"]), number(counts["vocabulary"]),
          number(counts["vocabulary_of_five"])};
}

void append(std::vector<std::string>& row, const std::vector<std::string>& cells) {
  row.insert(row.end(), cells.begin(), cells.end());
}

const std::vector<std::string> kWordTitles = {"words", "longest", "vocabulary", "5 times or more"};

}  // namespace

bool is_text_data(const std::string& spelling) {
  const std::string kind = spelling.substr(0, spelling.find(':'));
  return kind == "text" || kind == "captions" || kind == "pairs";
}

Json text_data_report(const std::string& spelling) {
  if (spelling.starts_with("text:")) return parts_report(spelling);
  return spelling.starts_with("captions:") ? captions_report(spelling) : pairs_report(spelling);
}

std::string describe_text_data(const Json& report) {
  std::vector<std::vector<std::string>> rows;
  if (report.contains("units")) {
    rows.push_back({"unit", "train", "validation", "test", "different"});
    for (const auto& [unit, counts] : report["units"].items()) {
      append(rows.emplace_back(), {unit, number(counts["train"]), number(counts["validation"])});
      append(rows.back(), {number(counts["test"]), number(counts["different"])});
    }
  } else if (report.contains("splits")) {
    append(rows.emplace_back(), {"split", "images", "captions"});
    append(rows.back(), kWordTitles);
    for (const auto& [name, split] : report["splits"].items()) {
      append(rows.emplace_back(), {name, number(split["images"]), number(split["captions"])});
      append(rows.back(), word_cells(split));
    }
  } else {
    append(rows.emplace_back(), {"file", "sentences"});
    append(rows.back(), kWordTitles);
    for (const char* side : {"source", "target"}) {
      append(rows.emplace_back(),
             {report[side]["file"].get<std::string>(), number(report["pairs"])});
      append(rows.back(), word_cells(report[side]));
    }
  }
  return report["data"].get<std::string>() + "\n" + aligned_table(rows, "lr");
}

}  // namespace striate::cli
