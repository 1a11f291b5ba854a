#include <ATen/ops/arange.h>

#include "pickle_text.h"
#include "shared_folder.h"
#include "weight_cases.h"

namespace striate {

namespace {

std::string file_text(const std::string& name) {
  return read_text(weight_files() / name);
}

std::string error_of_object(const std::string& object) {
  return error_of(stream_file(object));
}

std::string error_without_tensors(const std::string& object) {
  return error_of(stream_file(object, "]", ""));
}

std::string error_of_tensor(const TensorPickle& tensor) {
  return error_of_object(dict_pickle({{"a", tensor_pickle(tensor)}}));
}

TEST(Pth, BothFormsAndAllProtocolsHoldWhatWasSaved) {
  for (const std::string name : {"dtypes", "views", "checkpoint", "plain", "nested", "densenet"}) {
    const Weights wanted = read_weights(weight_files() / (name + ".safetensors"));
    for (const char* protocol : {"", "_protocol3", "_protocol4", "_protocol5"}) {
      if (*protocol != 0 && name != "dtypes") continue;
      for (const char* form : {".pth", "_stream.pth"}) {
        SCOPED_TRACE(name + protocol + form);
        expect_same_tensors(read_weights(weight_files() / (name + protocol + form)), wanted);
      }
    }
  }
}

TEST(Pth, TensorsThatSharedMemoryStillDo) {
  for (const char* name : {"views.pth", "views_stream.pth"}) {
    const Weights weights = read_weights(weight_files() / name);
    const auto& tensors = weights.tensors;
    EXPECT_TRUE(tensors.at("base").is_alias_of(tensors.at("row")));
    tensors.at("base").fill_(9);
    EXPECT_EQ(tensors.at("tied")[0][0].item<float>(), 9);
    EXPECT_EQ(tensors.at("transposed")[5][3].item<float>(), 9);
    EXPECT_EQ(tensors.at("expanded").strides(), (std::vector<int64_t>{0, 1}));
    EXPECT_TRUE(tensors.at("channels_last").is_contiguous(at::MemoryFormat::ChannelsLast));
    EXPECT_FALSE(tensors.at("base").is_alias_of(tensors.at("channels_last")));
  }
}

TEST(Pth, AStorageMayBeAViewOfAnother) {
  const std::string view =
      std::string("(") + text_pickle("v") + number_pickle(2) + number_pickle(3) + "t";
  const TensorPickle tensor{.storage = {.view = view}, .offset = 1, .sizes = {2}, .strides = {1}};
  const Weights weights = weights_of(stream_file(dict_pickle({{"a", tensor_pickle(tensor)}})));
  EXPECT_EQ(weights.tensors.at("a")[0].item<float>(), 3);
  EXPECT_EQ(weights.tensors.at("a")[1].item<float>(), 4);

  TensorPickle outside = tensor;
  outside.offset = 2;
  EXPECT_MESSAGE(error_of_tensor(outside), "beyond its storage of 3 elements");
  outside.storage.view =
      std::string("(") + text_pickle("v") + number_pickle(4) + number_pickle(3) + "t";
  EXPECT_MESSAGE(error_of_tensor(outside), "view that lies outside");
}

TEST(Pth, ForbiddenNamesAreErrorsAndNothingRuns) {
  const ScratchFile marker;
  const std::string command = "touch " + marker.path().string();
  for (const std::string name :
       {"os\nsystem", "posix\nsystem", "builtins\neval", "__builtin__\nexec", "torch\nload",
        "torch.storage\n_load_from_bytes"}) {
    const std::string message =
        error_of_object(std::string("c") + name + "\n(" + text_pickle(command) + "tR");
    EXPECT_MESSAGE(message, replaced(name, "\n", "."));
    EXPECT_NE(error_of_object(std::string("}") + text_pickle("a") + "c" + name + "\ns"), "");
  }
  EXPECT_MESSAGE(error_of_object("\x8c\x02os\x8c\x06system\x93)R"), "os.system");
  EXPECT_FALSE(std::filesystem::exists(marker.path()));
}

TEST(Pth, AForbiddenNameInAZipGivesItsByte) {
  const std::string file = file_text("plain.pth");
  const std::string evil = replaced(file, "collections\nOrderedDict", "posixsyste_\nm__________");
  const std::string message = error_of(evil);
  EXPECT_MESSAGE(message, "posixsyste_.m__________");
  EXPECT_MESSAGE(message, "(byte " + std::to_string(evil.find("cposixsyste_")) + ")");
}

TEST(Pth, UnknownOpcodesAreErrors) {
  EXPECT_MESSAGE(error_of_object("I01\n"), "opcode 0x49");
  EXPECT_MESSAGE(error_of_object("(i__main__\nA\n"), "opcode 0x69");
  EXPECT_MESSAGE(error_of_object("\x82\x01"), "opcode 0x82");
  EXPECT_MESSAGE(error_of_object("\x81"), "opcode 0x81");
  EXPECT_MESSAGE(error_of("\x80\x06."), "protocol 6");
}

TEST(Pth, CallsOfAnythingButTheKnownFunctionsAreErrors) {
  EXPECT_MESSAGE(error_of_object("ctorch\nFloatStorage\n)R"), "calls torch.FloatStorage");
  EXPECT_MESSAGE(error_of_object("})R"), "calls something else");
  EXPECT_MESSAGE(error_of_object("ccollections\nOrderedDict\n]\x85"
                                 "R]a"),
                 "adds items");
  EXPECT_MESSAGE(error_of_object("ccollections\nOrderedDict\n(]NatR"), "pairs");
}

TEST(Pth, BrokenStacksAreErrors) {
  for (const std::string object :
       {"",      "0",  "t",       "a",  "s",   "R",    "b",  "Q",    "2",      "q\x01",
        "h\x07", "]a", "}NNN(Nu", "(0", "(1.", "\x85", "Na", "\x93", "NN\x93", "]Nb"}) {
    EXPECT_NE(error_of_object(object), "") << object;
  }
  EXPECT_MESSAGE(error_of_object("}(Nu"), "key without a value");
  EXPECT_MESSAGE(error_of_object("X\xff\xff\xff\xff"), "4294967295 bytes");
}

TEST(Pth, CirclesAndBombsAreErrors) {
  EXPECT_MESSAGE(error_without_tensors(std::string("}q\1") + text_pickle("a") + "h\1s"),
                 "nested too deeply");
  EXPECT_MESSAGE(error_without_tensors("]q\1h\1a"), "nested too deeply");
  std::string doubling = "}q\x01";
  for (int i = 0; i < 30; ++i) {
    doubling += std::string("0}(") + text_pickle("a") + "h\x01" + text_pickle("b") + "h\x01uq\x01";
  }
  EXPECT_MESSAGE(error_without_tensors(doubling), "too many values");
  EXPECT_MESSAGE(error_without_tensors(std::string(3'000'000, '(')), "more than");
  EXPECT_MESSAGE(error_without_tensors(std::string(3'000'000, '}')), "more than");
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += ")\x85";
  EXPECT_NE(error_without_tensors(deep), "");
}

TEST(Pth, TensorsBeyondTheirStorageAreErrors) {
  EXPECT_EQ(error_of_tensor({}), "");
  EXPECT_EQ(error_of_tensor({.sizes = {0, 9}, .strides = {9, 1}}), "");
  EXPECT_MESSAGE(error_of_tensor({.offset = 1}), "tensor \"a\" reaches beyond");
  EXPECT_MESSAGE(error_of_tensor({.offset = -1}), "no offset");
  EXPECT_MESSAGE(error_of_tensor({.strides = {4, 1}}), "beyond its storage of 6 elements");
  EXPECT_MESSAGE(error_of_tensor({.strides = {-3, 1}}), "size or stride");
  EXPECT_MESSAGE(error_of_tensor({.sizes = {-2, 3}}), "size or stride");
  EXPECT_MESSAGE(error_of_tensor({.strides = {1}}), "other sizes than strides");
  EXPECT_MESSAGE(error_of_tensor({.sizes = {int64_t{1} << 40, int64_t{1} << 40}}), "beyond");
  EXPECT_MESSAGE(error_of_tensor({.sizes = {3}, .strides = {int64_t{1} << 62}}), "beyond");
  EXPECT_MESSAGE(error_of_tensor({.sizes = {int64_t{1} << 40}, .strides = {0}}), "file can mean");
  EXPECT_MESSAGE(error_of_tensor({.offset = 7, .sizes = {0}, .strides = {1}}), "beyond");
  EXPECT_MESSAGE(error_of_tensor({.sizes = std::vector<int64_t>(65, 1),
                                  .strides = std::vector<int64_t>(65, 1)}),
                 "no sizes");
}

TEST(Pth, StoragesThatDoNotFitAreErrors) {
  EXPECT_MESSAGE(error_of_tensor({.storage = {.numel = 7}}), "has 24 bytes, but 28 are needed");
  EXPECT_MESSAGE(error_of_tensor({.storage = {.numel = -1}}), "-1 elements");
  EXPECT_MESSAGE(error_of_tensor({.storage = {.key = "t"}}), "lists a storage that no tensor uses");
  EXPECT_MESSAGE(error_of_tensor({.storage = {.type = "QInt8Storage"}}), "torch.QInt8Storage");
  const std::string object = dict_pickle({{"a", tensor_pickle({})}});
  EXPECT_MESSAGE(error_of(stream_file(object, "]", "")), "no storage \"s\"");
  const std::string keys = std::string("]") + text_pickle("s") + "a";
  EXPECT_MESSAGE(error_of(stream_file(object, keys, "")), "cut off");
  EXPECT_MESSAGE(error_of(stream_file(object, keys, bytes_of(int64_t{-1}))), "-1 elements");
  EXPECT_MESSAGE(error_of(stream_file(object, keys, bytes_of(int64_t{1} << 62))), "are left");
  const std::string two_types = dict_pickle(
      {{"a", tensor_pickle({})}, {"b", tensor_pickle({.storage = {.type = "IntStorage"}})}});
  EXPECT_MESSAGE(error_of_object(two_types), "two types");
}

TEST(Pth, WrongHeadsOfStreamsAreErrors) {
  const std::string good = file_text("plain_stream.pth");
  EXPECT_MESSAGE(error_of(replaced(good, "\x6c\xfc\x9c\x46", "\x6c\xfc\x9c\x47")),
                 "not one of torch.save");
  EXPECT_MESSAGE(error_of(replaced(good, "M\xe9\x03.", "M\xea\x03.")), "version");
  EXPECT_MESSAGE(error_of("\x80\x02}."), "not one of torch.save");
  const size_t little = good.find('\x88', good.find("little_endian"));
  std::string big = good;
  big[little] = '\x89';
  EXPECT_MESSAGE(error_of(big), "big-endian");
}

TEST(Pth, EveryTruncationIsAnError) {
  for (const char* name : {"plain.pth", "plain_stream.pth", "nested.pth", "nested_stream.pth"}) {
    const ScratchFile file;
    const std::string good = file_text(name);
    for (size_t size = 0; size < good.size(); ++size) {
      ASSERT_NE(error_of(good.substr(0, size), file), "") << name << " " << size;
    }
  }
}

TEST(Pth, BrokenZipsAreErrors) {
  const std::string good = file_text("plain.pth");
  EXPECT_MESSAGE(error_of(replaced(good, "plain/data/0", "plain/data/x")), "no storage \"0\"");
  EXPECT_MESSAGE(error_of(replaced(good, "plain/data/1", "plain/data/0")), "occurs twice");
  EXPECT_MESSAGE(error_of(replaced(good, "/data.pkl", "/bata.pkl")), "no data.pkl");
  EXPECT_MESSAGE(error_of(replaced(good, "little", "big...")), "big-endian");
  EXPECT_MESSAGE(error_of(replaced(good, "plain/version", "plain/constants.pkl")), "zip");
  const size_t entry = good.find("PK\x01\x02");
  std::string deflated = good;
  deflated[entry + 10] = 8;
  EXPECT_MESSAGE(error_of(deflated), "compressed or encrypted");
  std::string elsewhere = good;
  elsewhere.replace(entry + 42, 4, bytes_of(uint32_t{7}));
  EXPECT_MESSAGE(error_of(elsewhere), "not where the zip directory says");
  std::string long_entry = good;
  long_entry.replace(entry + 20, 8, bytes_of(uint32_t{90000}) + bytes_of(uint32_t{90000}));
  EXPECT_MESSAGE(error_of(long_entry), "reaches beyond the file's end");
  const size_t second = good.find("PK\x01\x02", entry + 4);
  std::string overlap = good;
  overlap.replace(second + 42, 4, good.substr(entry + 42, 4));
  EXPECT_MESSAGE(error_of(overlap), "two files in one place");
}

TEST(Pth, CifarResNetsEqualWhatPythonReads) {
  struct Case {
    const char* name;
    size_t tensors;
    double sum;
    float weight;
  };
  // PyTorch's numbers: the sum of all absolute values, and conv1.weight[3][1][2][0].
  for (const Case& item :
       {Case{"resnet20-12fca82f.th", 97, 21349.562590950623, 0.3646408021450043F},
        Case{"resnet56-4bfd9763.th", 277, 41377.086271385946, 0.25025326013565063F}}) {
    const auto path = shared_folder() / "data/cifar10_resnets" / item.name;
    if (!std::filesystem::exists(path)) GTEST_SKIP() << "needs " << path << ": set STRIATE_SHARED";
    const Weights weights = read_weights(path);
    EXPECT_EQ(weights.tensors.size(), item.tensors);
    double sum = 0;
    for (const auto& [name, tensor] : weights.tensors) {
      sum += tensor.to(at::kDouble).abs().sum().item<double>();
    }
    EXPECT_NEAR(sum, item.sum, 1e-6);
    EXPECT_EQ(weights.tensors.at("conv1.weight")[3][1][2][0].item<float>(), item.weight);
    EXPECT_TRUE(weights.metadata.contains("best_prec1"));
  }
}

}  // namespace

}  // namespace striate
