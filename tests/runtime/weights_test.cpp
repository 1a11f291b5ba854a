#include <ATen/ops/ones.h>

#include "pickle_text.h"
#include "striate/base/random.h"
#include "weight_cases.h"

namespace striate {

namespace {

using Items = std::vector<std::pair<std::string, std::string>>;

Weights weights_of_items(const Items& items) {
  return weights_of(stream_file(dict_pickle(items)));
}

std::vector<std::string> names(const Weights& weights) {
  std::vector<std::string> result;
  for (const auto& [name, tensor] : weights.tensors) result.push_back(name);
  return result;
}

TEST(Weights, ACheckpointsWrapperIsTakenOffAndItsNumbersAreKept) {
  for (const char* name : {"checkpoint.pth", "checkpoint_stream.pth"}) {
    const Weights weights = read_weights(weight_files() / name);
    EXPECT_EQ(
        weights.metadata,
        (std::map<std::string, std::string>{
            {"epoch", "90"}, {"arch", "resnet18"}, {"best_prec1", "76.25"}, {"done", "true"}}));
    EXPECT_TRUE(weights.tensors.contains("1.running_mean"));
  }
}

TEST(Weights, NumbersInsideTheDictionaryOfTensorsGetDottedNames) {
  const Weights weights = read_weights(weight_files() / "nested.pth");
  EXPECT_EQ(names(weights),
            (std::vector<std::string>{"encoder.bias", "encoder.weight", "layers.0", "layers.1"}));
  EXPECT_EQ(weights.metadata.at("width"), "3");
  EXPECT_EQ(weights.metadata.at("negative"), "-1099511627776");
}

TEST(Weights, ListsOfNumbersAreNoMetadata) {
  const Weights weights = weights_of_items({{"losses",
                                             "](K\x07K\x08"
                                             "e"},
                                            {"a", tensor_pickle({})}});
  EXPECT_TRUE(weights.metadata.empty());
}

TEST(Weights, AnOuterNumberWinsOverAnInnerOfItsName) {
  const std::string inner = dict_pickle({{"epoch", "K\x01"}, {"a", tensor_pickle({})}});
  const Weights weights = weights_of_items({{"state_dict", inner}, {"epoch", "K\x02"}});
  EXPECT_EQ(weights.metadata.at("epoch"), "2");
}

TEST(Weights, ATextThatIsUsedManyTimesIsAnError) {
  std::string object =
      std::string("}(") + text_pickle("a") + text_pickle(std::string(1 << 20, 'x')) + "q\x01";
  for (int i = 0; i < 100; ++i) object += text_pickle(std::to_string(i)) + "h\x01";
  object += text_pickle("t") + tensor_pickle({}) + "u";
  EXPECT_MESSAGE(error_of(stream_file(object)), "too many texts");
}

TEST(Weights, TheFirstWrapperOfTheDocumentedOrderWins) {
  const std::string tensor = tensor_pickle({});
  const auto wrapped = [&](const std::string& name) { return dict_pickle({{name, tensor}}); };
  EXPECT_EQ(names(weights_of_items({{"model_ema", wrapped("ema")},
                                    {"model", wrapped("model_name")},
                                    {"state_dict", wrapped("state")}})),
            std::vector<std::string>{"state"});
  EXPECT_EQ(names(weights_of_items({{"model_ema", wrapped("ema")}, {"model", wrapped("plain")}})),
            std::vector<std::string>{"plain"});
  EXPECT_EQ(names(weights_of_items({{"model_ema", wrapped("ema")}, {"model", text_pickle("vgg")}})),
            std::vector<std::string>{"ema"});
  EXPECT_EQ(names(weights_of_items({{"model", dict_pickle({{"state_dict", wrapped("inner")}})}})),
            std::vector<std::string>{"inner"});
  EXPECT_EQ(names(weights_of_items({{"model", dict_pickle({})}, {"a", tensor}})),
            std::vector<std::string>{"a"});
}

TEST(Weights, PrefixesAreTakenOffOnlyWhenEveryNameHasThem) {
  const std::string tensor = tensor_pickle({});
  EXPECT_EQ(names(weights_of_items({{"module.a", tensor}, {"module.b", tensor}})),
            (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(names(weights_of_items({{"module.a", tensor}, {"b", tensor}})),
            (std::vector<std::string>{"b", "module.a"}));
  EXPECT_EQ(names(weights_of_items({{"_orig_mod.module.a", tensor}})),
            std::vector<std::string>{"a"});
  EXPECT_EQ(names(weights_of_items({{"module._orig_mod.a", tensor}})),
            std::vector<std::string>{"a"});
  EXPECT_EQ(names(weights_of_items({{"module.", tensor}})), std::vector<std::string>{"module."});
}

TEST(Weights, ASingleTensorIsNamedTensor) {
  const Weights weights = weights_of(stream_file(tensor_pickle({})));
  EXPECT_EQ(names(weights), std::vector<std::string>{"tensor"});
}

TEST(Weights, NamesThatMeetAreAnError) {
  const std::string tensor = tensor_pickle({});
  const std::string object = dict_pickle({{"a.b", tensor}, {"a", dict_pickle({{"b", tensor}})}});
  EXPECT_MESSAGE(error_of(stream_file(object)), "two tensors named \"a.b\"");
}

TEST(Weights, NamesMustBeTextOrNumbers) {
  const std::string tensor = tensor_pickle({});
  EXPECT_MESSAGE(error_of(stream_file("}N" + tensor + "s")), "neither text nor number");
  EXPECT_MESSAGE(error_of(stream_file(dict_pickle({{"\xff", tensor}}))), "UTF-8");
  EXPECT_MESSAGE(error_of(stream_file(dict_pickle({{std::string(2000, 'a'), tensor}}))),
                 "long name");
  EXPECT_EQ(names(weights_of(stream_file("}K\x07" + tensor + "s"))), std::vector<std::string>{"7"});
}

TEST(Weights, AFileWithoutTensorsIsAnError) {
  EXPECT_MESSAGE(error_of(stream_file("}", "]", "")), "holds no tensors");
  EXPECT_MESSAGE(error_of(stream_file("N", "]", "")), "holds no tensors");
}

TEST(Weights, OtherFilesAreErrorsWithAHint) {
  EXPECT_MESSAGE(error_of(""), "no weight file");
  EXPECT_MESSAGE(error_of("<!DOCTYPE html>"), "no weight file");
  const ScratchFile file;
  file.write("version https://git-lfs.github.com/spec/v1\n");
  try {
    read_weights(file.path());
    FAIL() << "read a pointer";
  } catch (const FormatError& error) {
    EXPECT_MESSAGE(error.hint(), "git lfs pull");
  }
  EXPECT_THROW(read_weights(file.folder() / "missing.pth"), IoError);
  EXPECT_THROW(read_weights(file.folder()), IoError);
}

// One to three changes: a byte, an extreme number, a piece cut out, doubled or cut off.
std::string mutated(std::string bytes, Random& random) {
  const auto place = [&] {
    return static_cast<size_t>(random.below(std::max<int64_t>(1, std::ssize(bytes))));
  };
  for (int64_t changes = 1 + random.below(3); changes > 0 && !bytes.empty(); --changes) {
    const size_t at = place();
    const auto length = static_cast<size_t>(1 + random.below(16));
    switch (random.below(6)) {
      case 0:
        bytes[at] = static_cast<char>(random.below(256));
        break;
      case 1:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << random.below(8)));
        break;
      case 2: {
        const std::vector<int64_t> extremes{-1, 0, 1, INT64_MAX, INT64_MIN, int64_t{1} << 32};
        const std::string number = bytes_of(extremes[static_cast<size_t>(random.below(6))]);
        bytes.replace(at, 8, number.substr(0, size_t{1} << random.below(4)));
        break;
      }
      case 3:
        bytes.erase(at, length);
        break;
      case 4:
        bytes.insert(place(), bytes.substr(at, length));
        break;
      default:
        if (random.chance(0.2)) bytes.resize(at);
    }
  }
  return bytes;
}

TEST(Weights, DamagedFilesAreReadOrRefused) {
  constexpr int kDamages = 3000;
  const ScratchFile file;
  int64_t refused = 0;
  int64_t files = 0;
  for (const auto& item : std::filesystem::directory_iterator(weight_files())) {
    if (item.path().filename() == "VERSIONS") continue;
    const std::string good = read_text(item.path());
    Random random({hash_name(item.path().filename().c_str())});
    for (int i = 0; i < kDamages; ++i) {
      file.write(mutated(good, random));
      try {
        // Copies, so that every element is read.
        for (const auto& [name, tensor] : read_weights(file.path()).tensors) tensor.clone();
      } catch (const Error&) {
        ++refused;
      }
    }
    ++files;
  }
  EXPECT_GT(refused, files * kDamages / 3);
  EXPECT_LT(refused, files * kDamages);
}

}  // namespace

}  // namespace striate
