#include "striate/base/cache.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "striate/base/error.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

TEST(Cache, ItsFolderIsTheOneThatIsNamed) {
  ::setenv("STRIATE_CACHE", "/somewhere", 1);
  EXPECT_EQ(cache_folder(), "/somewhere");
  ::unsetenv("STRIATE_CACHE");
  ::setenv("XDG_CACHE_HOME", "/caches", 1);
  EXPECT_EQ(cache_folder(), "/caches/striate");
  ::unsetenv("XDG_CACHE_HOME");
}

TEST(Cache, AnotherContentIsAnotherFile) {
  const fs::path a = cache_file("kept", "features", "a");
  EXPECT_EQ(a, cache_file("kept", "features", "a"));
  EXPECT_NE(a, cache_file("kept", "features", "b"));
  EXPECT_NE(a, cache_file("kept", "regions", "a"));
  EXPECT_EQ(a.parent_path(), "kept");
}

TEST(Cache, AFileThatChangesHasAnotherState) {
  const fs::path file = fs::path(testing::TempDir()) / "striate_cache_state";
  std::ofstream(file) << "one";
  const std::string before = file_state(file);
  EXPECT_EQ(file_state(file), before);
  std::ofstream(file) << "longer";
  EXPECT_NE(file_state(file), before);
  fs::remove(file);
  EXPECT_THROW(file_state(file), IoError);
}

}  // namespace
}  // namespace striate
