#include "striate/base/text.h"

#include <gtest/gtest.h>

namespace striate {
namespace {

TEST(ReadableBytes, ChoosesItsUnit) {
  EXPECT_EQ(readable_bytes(999), "999 B");
  EXPECT_EQ(readable_bytes(3136), "3.1 kB");
  EXPECT_EQ(readable_bytes(61050784), "61.1 MB");
}

TEST(WithThousands, GroupsDigits) {
  EXPECT_EQ(with_thousands(0), "0");
  EXPECT_EQ(with_thousands(999), "999");
  EXPECT_EQ(with_thousands(138357544), "138,357,544");
}

TEST(AlignedTable, PadsItsColumns) {
  EXPECT_EQ(aligned_table({{"a", "10"}, {"long", "2"}}, "lr"), "a     10\nlong   2\n");
}

}  // namespace
}  // namespace striate
