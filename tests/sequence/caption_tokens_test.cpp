#include "striate/sequence/caption_tokens.h"

#include "data/made_data.h"
#include "sequence/text_reference.h"
#include "shared_folder.h"
#include "striate/base/random.h"
#include "striate/sequence/captions.h"
#include "striate/sequence/sentence_pairs.h"

namespace striate {
namespace {

std::string tokens(const std::string& caption) {
  return text_of(caption_tokens(caption));
}

TEST(CaptionTokens, AreThoseOfTheTreebank) {
  for (const Json& item : text_reference()["tokens"]) {
    EXPECT_EQ(tokens(item[0].get<std::string>()), item[1].get<std::string>()) << item[0];
  }
}

TEST(CaptionTokens, OfRealCaptionsAreThoseOfTheTreebank) {
  const auto path = shared_folder() / "data/flickr8k/captions.tsv";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "needs " << path << ": set STRIATE_SHARED";
  const std::vector<std::string> lines = read_sentences(path);
  std::string all;
  for (size_t i = 1; i < lines.size(); ++i) {
    all += (i > 1 ? "\n" : "") + tokens(lines[i].substr(lines[i].rfind('\t') + 1));
  }
  const Json& reference = text_reference()["flickr8k"];
  EXPECT_EQ(lines.size() - 1, reference["captions"].get<size_t>());
  EXPECT_EQ(hash_name(all.c_str()), reference["token_hash"].get<uint64_t>());
}

// What Stanford's program 3.4.1 made of these.
TEST(CaptionTokens, SplitContractionsAndKeepAbbreviations) {
  EXPECT_EQ(tokens("don't can't he's they're I'll cannot gonna"),
            "do n't ca n't he 's they 're i 'll can not gon na");
  EXPECT_EQ(tokens("o'clock hors d'oeuvres girls' 'quoted' 'em '90s rock 'n' roll C.D's"),
            "o'clock hors d'oeuvres girls quoted 'em '90s rock 'n' roll c.d 's");
  EXPECT_EQ(tokens("U.S. Ph.D. Mr. Smith at 5th St. p.m. etc. end."),
            "u.s. ph.d. mr. smith at 5th st. p.m. etc. end");
  EXPECT_EQ(tokens("t-shirt 7-11 1,000.50 10:30 1/2 and/or -5 .5 50% $5 #1"),
            "t-shirt 7-11 1,000.50 10:30 1/2 and/or -5 .5 50 % $ 5 # 1");
  EXPECT_EQ(tokens("AT&T at&t jeans &amp; a hat"), "at&t at & t jeans & a hat");
  EXPECT_EQ(tokens("(a) [b] {c} \"d\" `e` -- ... ; : ? ?! !!!"),
            "-lrb- a -rrb- -lsb- b -rsb- -lcb- c -rcb- d e ?! !!!");
  EXPECT_EQ(tokens("it\u2019s \u201Cfine\u201D \u2013 caf\u00E9\u2026"), "it 's fine café");
}

TEST(CaptionTokens, OfNothingButMarksAreNone) {
  EXPECT_EQ(tokens(""), "");
  EXPECT_EQ(tokens(" . , \" -- "), "");
  EXPECT_EQ(tokens("'"), "");
  EXPECT_THROW(caption_tokens("\xFF"), std::invalid_argument);
}

}  // namespace
}  // namespace striate
