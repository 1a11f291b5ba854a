#include "striate/base/text.h"

#include <gtest/gtest.h>

#include <limits>

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
  EXPECT_EQ(with_thousands(-123456), "-123,456");
  EXPECT_EQ(with_thousands(std::numeric_limits<int64_t>::min()), "-9,223,372,036,854,775,808");
}

TEST(AlignedTable, PadsItsColumns) {
  EXPECT_EQ(aligned_table({{"a", "10"}, {"long", "2"}}, "lr"), "a     10\nlong   2\n");
}

}  // namespace
}  // namespace striate
