#include <ATen/ops/arange.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <sys/resource.h>

#include <csignal>
#include <stdexcept>

#include "shared_folder.h"
#include "weight_cases.h"

namespace striate {

namespace {

// A file with this header and so many bytes of data.
std::string file_of(const std::string& header, size_t data_bytes) {
  return bytes_of<uint64_t>(header.size()) + header + std::string(data_bytes, '\0');
}

std::string entry(const std::string& name, const std::string& rest) {
  return '"' + name + R"(":{"dtype":"F32",)" + rest + '}';
}

// (i mod 7) - 3, as weight_files.py makes it.
at::Tensor ramp(at::IntArrayRef shape, at::ScalarType dtype) {
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
  return at::arange(count, at::kLong).remainder(7).sub(3).to(dtype).reshape(shape);
}

// Lets no file of this process grow beyond a size, as a full disk would.
class FileSizeLimit final {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const struct rlimit limit { bytes, before_.rlim_max };
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  struct rlimit before_ {};
  void (*handler_)(int) = SIG_DFL;
};

TEST(Safetensors, HoldsEveryTypeAsTheOfficialWriterWroteIt) {
  const Weights weights = read_weights(weight_files() / "metadata.safetensors");
  const std::map<std::string, at::ScalarType> types{
      {"bool", at::kBool},     {"uint8", at::kByte},        {"int8", at::kChar},
      {"int16", at::kShort},   {"int32", at::kInt},         {"int64", at::kLong},
      {"float16", at::kHalf},  {"bfloat16", at::kBFloat16}, {"float32", at::kFloat},
      {"float64", at::kDouble}};
  for (const auto& [name, dtype] : types) {
    EXPECT_EQ(weights.tensors.at(name).scalar_type(), dtype);
    EXPECT_TRUE(at::equal(weights.tensors.at(name), ramp({3, 5}, dtype))) << name;
  }
  EXPECT_EQ(weights.tensors.at("scalar").item<float>(), 2.5F);
  EXPECT_EQ(weights.tensors.at("scalar").dim(), 0);
  EXPECT_EQ(weights.tensors.at("empty").sizes(), (std::vector<int64_t>{0, 3}));
  EXPECT_EQ(weights.metadata.at("format"), "pt");
  EXPECT_EQ(weights.metadata.at("quote"), "\"\\\u00e9\n");
}

TEST(Safetensors, WrittenFilesEqualTheOfficialWritersByteForByte) {
  const ScratchFile copy;
  for (const char* name : {"dtypes", "views", "plain", "checkpoint", "nested"}) {
    const auto path = weight_files() / (std::string(name) + ".safetensors");
    write_safetensors(read_weights(path), copy.path());
    EXPECT_EQ(read_file(copy.path()), read_file(path)) << name;
  }
}

TEST(Safetensors, RoundTripKeepsViewsAndTexts) {
  const ScratchFile file;
  const at::Tensor base = at::arange(24, at::kFloat).reshape({4, 6});
  const Weights weights{.tensors = {{"transposed", base.t()},
                                    {"part", base.slice(1, 1, 3)},
                                    {"\xc3\xa9 \"quoted\"", base.to(at::kHalf)},
                                    {"nothing", base.slice(0, 4)}},
                        .metadata = {{"model", "resnet50"}, {"classes", "[\"cat\",\"dog\"]"}}};
  write_safetensors(weights, file.path());
  const Weights again = read_weights(file.path());
  expect_same_tensors(again, weights);
  EXPECT_EQ(again.metadata, weights.metadata);
}

TEST(Safetensors, AFileWithoutTensorsIsRead) {
  const ScratchFile file;
  write_safetensors({.metadata = {{"a", "b"}}}, file.path());
  EXPECT_TRUE(read_weights(file.path()).tensors.empty());
  EXPECT_EQ(error_of(file_of("{}", 0)), "");
}

TEST(Safetensors, ChangingATensorLeavesTheFileAlone) {
  const ScratchFile file;
  write_safetensors({.tensors = {{"a", at::ones({1000})}}}, file.path());
  const auto before = read_file(file.path());
  Weights weights = read_weights(file.path());
  weights.tensors.at("a").fill_(7);
  EXPECT_EQ(weights.tensors.at("a").sum().item<float>(), 7000);
  EXPECT_EQ(read_file(file.path()), before);
}

TEST(Safetensors, TensorsOutliveTheWeightsAndTheFile) {
  at::Tensor tensor;
  {
    const ScratchFile file;
    write_safetensors({.tensors = {{"a", at::ones({1000})}}}, file.path());
    tensor = read_weights(file.path()).tensors.at("a");
    write_safetensors({.tensors = {{"a", at::zeros({1000})}}}, file.path());
  }
  EXPECT_EQ(tensor.sum().item<float>(), 1000);
}

TEST(Safetensors, MisalignedDataIsCopied) {
  const std::string header = "{" + entry("a", R"("shape":[2],"data_offsets":[0,8])") + "}";
  for (size_t spaces = 0; spaces < 8; ++spaces) {
    std::string file = file_of(header + std::string(spaces, ' '), 0);
    file += bytes_of(1.5F) + bytes_of(-2.5F);
    const at::Tensor tensor = weights_of(file).tensors.at("a");
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.const_data_ptr()) % sizeof(float), 0U);
    EXPECT_EQ(tensor[0].item<float>(), 1.5F);
    EXPECT_EQ(tensor[1].item<float>(), -2.5F);
  }
}

TEST(Safetensors, AFullDiskLeavesTheOldFile) {
  const ScratchFile file;
  write_safetensors({.tensors = {{"a", at::ones({10})}}}, file.path());
  const auto before = read_file(file.path());
  {
    const FileSizeLimit limit(65536);
    EXPECT_THROW(write_safetensors({.tensors = {{"a", at::ones({100000})}}}, file.path()), IoError);
  }
  EXPECT_EQ(read_file(file.path()), before);
  const std::filesystem::directory_iterator files(file.folder());
  EXPECT_EQ(std::distance(begin(files), end(files)), 1) << "a temporary file is left";
}

TEST(Safetensors, RefusesToWriteWhatTheFormatLacks) {
  const ScratchFile file;
  const auto write = [&](const Weights& weights) { write_safetensors(weights, file.path()); };
  const at::Tensor one = at::ones({1});
  EXPECT_THROW(write({.tensors = {{"a", at::Tensor()}}}), std::invalid_argument);
  EXPECT_THROW(write({.tensors = {{"a", one.to(at::kComplexFloat)}}}), std::invalid_argument);
  EXPECT_THROW(write({.tensors = {{"a", one.to_sparse()}}}), std::invalid_argument);
  EXPECT_THROW(write({.tensors = {{"__metadata__", one}}}), std::invalid_argument);
  EXPECT_THROW(write({.tensors = {{"\xff", one}}}), std::invalid_argument);
  EXPECT_THROW(write({.metadata = {{"a", "\xff"}}}), std::invalid_argument);
  EXPECT_FALSE(std::filesystem::exists(file.path()));
}

TEST(Safetensors, WrongHeaderLengthsAreErrors) {
  const std::string good =
      file_of("{" + entry("a", R"("shape":[2],"data_offsets":[0,8])") + "}", 8);
  EXPECT_EQ(error_of(good), "");
  for (const uint64_t length :
       {uint64_t{0}, uint64_t{1}, good.size() - 7, uint64_t{100'000'001}, ~uint64_t{0}}) {
    EXPECT_NE(error_of(bytes_of(length) + good.substr(8)), "") << length;
  }
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_NE(error_of(good.substr(0, size)), "") << size;
  }
  EXPECT_MESSAGE(error_of(good + '\0'), "1 bytes follow");
}

TEST(Safetensors, ErrorsNameTheTensorAndWhatIsWrong) {
  const auto error = [](const std::string& rest, size_t data_bytes) {
    return error_of(file_of("{" + entry("conv1.weight", rest) + "}", data_bytes));
  };
  EXPECT_EQ(error(R"("shape":[2,3],"data_offsets":[0,24])", 24), "");
  const std::string wrong_size = error(R"("shape":[2,3],"data_offsets":[0,20])", 20);
  EXPECT_MESSAGE(wrong_size, "tensor \"conv1.weight\"");
  EXPECT_MESSAGE(wrong_size, "needs 24 bytes");
  EXPECT_MESSAGE(error(R"("shape":[2,3],"data_offsets":[0,24])", 20), "there are 20 bytes");
  EXPECT_MESSAGE(error(R"("shape":[1],"data_offsets":[4,8])", 8), "data before ends at 0");
  EXPECT_MESSAGE(error(R"("shape":[0],"data_offsets":[4,0])", 4), "4 to 0");
  EXPECT_MESSAGE(error(R"("shape":[-1],"data_offsets":[0,4])", 4), "negative");
  EXPECT_MESSAGE(error(R"("shape":[1.0],"data_offsets":[0,4])", 4), "fraction");
  EXPECT_MESSAGE(error(R"("shape":["1"],"data_offsets":[0,4])", 4), "a text");
  EXPECT_MESSAGE(error(R"("shape":[1],"data_offsets":[0])", 4), "fewer than two offsets");
  EXPECT_MESSAGE(error(R"("shape":[1],"data_offsets":[0,4,8])", 8), "third offset");
  EXPECT_MESSAGE(error(R"("shape":[1],"data_offsets":[0,-4])", 4), "negative");
  EXPECT_MESSAGE(error(R"("shape":[1])", 4), "no data_offsets");
  EXPECT_MESSAGE(error(R"("shape":[1],"shape":[1],"data_offsets":[0,4])", 4), "field twice");
  EXPECT_MESSAGE(error(R"("shape":[1],"data_offsets":[0,4],"strides":[1])", 4), "strides");
  EXPECT_MESSAGE(error(R"("shape":[4294967296,4294967296],"data_offsets":[0,0])", 0), "too large");
  EXPECT_MESSAGE(error(R"("shape":[4294967296,4294967296,0],"data_offsets":[0,0])", 0),
                 "too large");
  EXPECT_MESSAGE(error(R"("shape":[18446744073709551615],"data_offsets":[0,0])", 0), "2^63");
}

TEST(Safetensors, OverlapsHolesAndDuplicatesAreErrors) {
  const std::string first = entry("a", R"("shape":[2],"data_offsets":[0,8])");
  const auto error = [&](const std::string& second, size_t data_bytes) {
    return error_of(file_of("{" + first + "," + second + "}", data_bytes));
  };
  EXPECT_EQ(error(entry("b", R"("shape":[1],"data_offsets":[8,12])"), 12), "");
  EXPECT_MESSAGE(error(entry("b", R"("shape":[1],"data_offsets":[4,8])"), 8), "ends at 8");
  EXPECT_MESSAGE(error(entry("b", R"("shape":[1],"data_offsets":[12,16])"), 16), "ends at 8");
  EXPECT_MESSAGE(error(entry("a", R"("shape":[1],"data_offsets":[8,12])"), 12), "occurs twice");
  EXPECT_MESSAGE(error(R"("__metadata__":{"a":1})", 8), "a number");
  EXPECT_MESSAGE(error(R"("__metadata__":{"a":"b","a":"c"})", 8), "twice");
  EXPECT_MESSAGE(error(R"("__metadata__":["a"])", 8), "a list");
}

TEST(Safetensors, BrokenJsonIsAnError) {
  for (const std::string header :
       {"{", "{]", "{}}", "{\"a\"", "{\"a\":1}", "{\"a\":null}", "{\"a\":{}}", "{\"a\":[]}",
        "{\"\xff\":{}}", "{\"a\":{\"dtype\":[\"F32\"]}}", "{\"a\":{\"shape\":[[1]]}}"}) {
    EXPECT_NE(error_of(file_of(header, 0)), "") << header;
  }
  EXPECT_MESSAGE(error_of(file_of(std::string("{}\0{", 4), 0)), "after its end");
  const std::string deep(1'000'000, '[');
  EXPECT_NE(error_of(file_of("{\"a\":" + deep, 0)), "");
  std::string nested = "{";
  for (int i = 0; i < 100'000; ++i) nested += "\"a\":{";
  EXPECT_NE(error_of(file_of(nested, 0)), "");
}

TEST(Safetensors, AnUnknownTypeIsNamed) {
  const std::string message =
      error_of(file_of(R"({"scales":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}})", 4));
  EXPECT_MESSAGE(message, "F8_E4M3");
  EXPECT_MESSAGE(message, "\"scales\"");
}

TEST(Safetensors, LongAndOddNamesStayOnOneLineOfTheMessage) {
  const std::string name = std::string(5000, 'x') + "\\n";
  const std::string message =
      error_of(file_of("{" + entry(name, R"("shape":[1],"data_offsets":[0,8])") + "}", 8));
  EXPECT_LT(message.size(), 500U);
}

TEST(Safetensors, SqueezeNetEqualsWhatPythonReads) {
  const auto path = shared_folder() / "data/squeezenet1_0/squeezenet1_0.safetensors";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "needs " << path << ": set STRIATE_SHARED";
  const Weights weights = read_weights(path);
  EXPECT_EQ(weights.tensors.size(), 52U);
  double sum = 0;
  for (const auto& [name, tensor] : weights.tensors) {
    sum += tensor.to(at::kDouble).abs().sum().item<double>();
  }
  // Both numbers are PyTorch's, of the tensors that the safetensors package reads.
  EXPECT_NEAR(sum, 82376.2553860955, 1e-6);
  EXPECT_EQ(weights.tensors.at("features.0.weight")[5][2][3][4].item<float>(), -1.0878514F);
}

}  // namespace

}  // namespace striate
