// OpenMP's threads that wait for work spin before they sleep, on processors that the loader's
// threads need, or other programs: on two quiet cores LeNet-5 trains a fifth slower by it
// (docs/performance.md). Sleeping at once would not do either, as a small network's steps are many
// and short. libgomp reads how long to spin when it is loaded, and only from the environment. So
// the program begins anew with it, before any library has begun.
#include <unistd.h>

#include <cstring>
#include <initializer_list>
#include <vector>

namespace {

// A hundredth of libgomp's own.
char spin_count[] = "GOMP_SPINCOUNT=3000";

bool is_any_of(const char* word, const std::initializer_list<const char*>& words) {
  for (const char* other : words) {
    if (std::strcmp(word, other) == 0) return true;
  }
  return false;
}

bool decides_already(char** environment) {
  for (char** variable = environment; *variable != nullptr; ++variable) {
    for (const char* name : {"GOMP_SPINCOUNT=", "OMP_WAIT_POLICY="}) {
      if (std::strncmp(*variable, name, std::strlen(name)) == 0) return true;
    }
  }
  return false;
}

#ifndef __SANITIZE_ADDRESS__  // which must be the first to begin
void begin_anew(int count, char** arguments, char** environment) {
  if (count < 2) return;
  const bool looks =
      count > 2 && is_any_of(arguments[1], {"bench"}) && is_any_of(arguments[2], {"look"});
  if (!looks && !is_any_of(arguments[1], {"train", "compare", "evaluate", "predict", "look"}))
    return;
  if (decides_already(environment)) return;
  std::vector<char*> extended;
  for (char** variable = environment; *variable != nullptr; ++variable) {
    extended.push_back(*variable);
  }
  extended.push_back(spin_count);
  extended.push_back(nullptr);
  execve("/proc/self/exe", arguments, extended.data());
  // Where that can't be done all works, but for the speed.
}

__attribute__((section(".preinit_array"),
               used)) void (*const before_libraries)(int, char**, char**) = begin_anew;
#endif

}  // namespace
