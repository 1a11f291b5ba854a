#include "striate/base/error.h"

#include <gtest/gtest.h>

namespace striate {
namespace {

TEST(NearestName, FindsATypingError) {
  EXPECT_EQ(nearest_name("resnet5O", {"vgg16", "resnet50", "lenet5"}), "resnet50");
}

TEST(NearestName, FindsNothingWhenNothingIsAlike) {
  EXPECT_EQ(nearest_name("transformer", {"vgg16", "lenet5"}), "");
}

TEST(UnknownName, ListsAFewCandidatesWhenNoneIsNear) {
  const LookupError error = unknown_name("output", "zzz", {"logits", "aux1"});
  EXPECT_STREQ(error.what(), "no output is named \"zzz\"");
  EXPECT_EQ(error.hint(), "there are: logits, aux1");
}

}  // namespace
}  // namespace striate
