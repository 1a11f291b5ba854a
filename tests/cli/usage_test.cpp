// What the program says of itself, and how it takes wrong words.
#include "cli/program.h"
#include "striate/base/file.h"
#include "striate/detection/detector_options.h"
#include "striate/detection/rcnn_task.h"
#include "striate/models/models.h"
#include "striate/training/recipe.h"

namespace striate {
namespace {

const std::vector<std::string> kVerbs = {"models",  "summary", "train", "evaluate", "predict",
                                         "compare", "recipes", "data",  "score",    "convert",
                                         "run",     "sample",  "bench", "doctor"};

using Usage = Program;

TEST_F(Usage, EveryVerbHasHelp) {
  const Outcome program = run({"--help"});
  EXPECT_EQ(program.exit_code, 0);
  for (const std::string& verb : kVerbs) {
    EXPECT_TRUE(has(program.out, verb));
    const Outcome outcome = run({verb, "--help"});
    EXPECT_EQ(outcome.exit_code, 0) << verb;
    EXPECT_TRUE(has(outcome.out, "--help")) << verb;
    EXPECT_EQ(outcome.err, "") << verb;
  }
  EXPECT_EQ(run({"--version"}).exit_code, 0);
}

TEST_F(Usage, UnknownVerbsAndFlagsExitWithTwo) {
  expect_failure({}, 2, {});
  expect_failure({"trian"}, 2, {});
  for (const std::string& verb : kVerbs) expect_failure({verb, "--no-such-flag"}, 2, {});
  expect_failure({"evaluate", "x", "--data", "idx:data", "--crops", "3"}, 2, {"--crops"});
  expect_failure({"train", "lenet5", "--data", "idx:data", "--epochs", "many"}, 2, {"--epochs"});
  expect_failure({"train", "lenet5", "--data", "idx:data", "--epochs", "0"}, 2, {"--epochs"});
  expect_failure({"train", "lenet5"}, 2, {"--data"});
  expect_failure({"train"}, 2, {"model"});
}

TEST_F(Usage, AnUnknownNameGetsTheNearestAsHint) {
  expect_failure({"summary", "resnet5"}, 2, {"\"resnet5\"", "did you mean \"resnet50\"?"});
  expect_failure({"train", "lenet4", "--data", "idx:data"}, 2, {"did you mean \"lenet5\"?"});
  expect_failure({"recipes", "resnet-cifra"}, 2, {"did you mean \"resnet-cifar\"?"});
  expect_failure({"data", "ixd:data"}, 2, {"\"ixd\"", "idx:DIR"});
}

TEST_F(Usage, BenchMeasuresTheLoader) {
  write_data();
  const std::string transforms = R"([{"random_crop": {"size": 20}}, {"normalize": {}}])";
  const Json result = json_of({"bench", "data", "idx:data", "--transforms", transforms,
                               "--batch-size", "16", "--steps", "40", "--threads", "2", "--json"});
  EXPECT_EQ(result["shape"], Json({1, 20, 20}));
  EXPECT_GT(result["images"], 500);
  EXPECT_NEAR(result["images_per_second"].get<double>(),
              result["images"].get<double>() / result["seconds"].get<double>(), 1e-3);
  const Outcome text = run({"bench", "data", "idx:data", "--recipe", "lenet5", "--steps", "2"});
  EXPECT_TRUE(has(text.out, "images/s")) << text.err;
  expect_failure({"bench", "data", "idx:data"}, 2, {"--recipe or --transforms"});
  expect_failure({"bench", "data", "idx:data", "--recipe", "lenet4"}, 2, {"\"lenet5\"?"});
}

TEST_F(Usage, BenchMeasuresSpeedAndMemory) {
  for (const std::string mode : {"train", "infer"}) {
    const Json result = json_of({"bench", mode, "resnet20", "--batch-size", "4", "--steps", "3",
                                 "--size", "16", "--threads", "1", "--json"});
    EXPECT_EQ(result["threads"], 1);
    EXPECT_NEAR(result["images_per_second"].get<double>(),
                4 / result["median_seconds"].get<double>(), 1e-6);
    EXPECT_LE(result["fastest_seconds"], result["median_seconds"]);
    EXPECT_LE(result["median_seconds"], result["slowest_seconds"]);
    EXPECT_GT(result["peak_memory_bytes"], 1000000);
  }
  EXPECT_TRUE(has(run({"bench", "infer", "lenet5", "--steps", "1"}).out, "images/s"));
  expect_failure({"bench"}, 2, {});
  expect_failure({"bench", "train", "resnet5"}, 2, {"did you mean \"resnet50\"?"});
  expect_failure({"bench", "train", "resnet20", "--convolution", "fft"}, 2, {"\"fft\""});
  expect_failure({"bench", "train", "vgg16", "--size", "8"}, 1, {"larger input"});
}

TEST_F(Usage, BenchMeasuresEveryAttribution) {
  for (const std::string method :
       {"saliency", "guided", "gradcam", "smoothgrad", "integrated", "occlusion"}) {
    const Json result = json_of({"bench", "look", method, "lenet5", "--batch-size", "2", "--steps",
                                 "2", "--threads", "1", "--json"});
    EXPECT_NEAR(result["images_per_second"].get<double>(),
                2 / result["median_seconds"].get<double>(), 1e-6);
    EXPECT_GT(result["peak_memory_bytes"], 1000000);
  }
  expect_failure({"bench", "look", "saliency"}, 2, {});
  expect_failure({"bench", "look", "salience", "lenet5"}, 2, {"saliency"});
}

TEST_F(Usage, BenchMeasuresMaps) {
  write_data();
  for (const std::string method : {"exact", "barnes-hut", "interpolation"}) {
    const Json result = json_of({"bench", "embed", "idx:data", "--split", "all", "--method", method,
                                 "--limit", "60", "--components", "10", "--perplexity", "5",
                                 "--iterations", "50", "--out", "map.safetensors", "--json"});
    EXPECT_EQ(result["points"], 60);
    EXPECT_EQ(result["iterations"], 300);
    EXPECT_GT(result["divergence"], 0);
    EXPECT_GT(result["trustworthiness"], 0.5);
    EXPECT_GT(result["peak_memory_bytes"], 1000000);
  }
  const Outcome text =
      run({"bench", "embed", "idx:data", "--perplexity", "5", "--iterations", "1"});
  EXPECT_TRUE(has(text.out, "divergence")) << text.err;
  expect_failure({"bench", "embed", "idx:data", "--method", "umap"}, 2, {"barnes-hut"});
  expect_failure({"bench", "embed", "idx:data", "--perplexity", "-1"}, 2, {"perplexity"});
  expect_failure({"bench", "embed", "idx:nowhere"}, 1, {"nowhere"});
}

TEST_F(Usage, ModelsAsJsonListsEveryNetwork) {
  const Json models = json_of({"models", "--json"});
  std::vector<std::string> names;
  for (const Json& model : models) names.push_back(model["name"].get<std::string>());
  std::vector<std::string> all = model_names();
  for (const char* other : {"char_rnn", "char_lstm", "char_gru", "word_lstm", "seq2seq",
                            "seq2seq_attention", "show_tell", "show_attend_tell", "draw"}) {
    all.push_back(other);
  }
  for (const RcnnEntry& entry : rcnns()) all.push_back(entry.name);
  for (const DetectorEntry& entry : detectors()) all.push_back(entry.name);
  EXPECT_EQ(names, all);
  EXPECT_TRUE(has(run({"models"}).out, "resnet50@paper"));
}

TEST_F(Usage, TheDocumentOfNetworksIsThatOfTheRegistry) {
  const std::filesystem::path docs = std::filesystem::path(STRIATE_SOURCE_DIR) / "docs";
  const Outcome outcome = run({"models", "--markdown"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  ASSERT_TRUE(std::filesystem::exists(docs / "models.md"))
      << "make it: striate models --markdown > docs/models.md";
  EXPECT_EQ(outcome.out, read_text(docs / "models.md"))
      << "make it again: striate models --markdown > docs/models.md";
  EXPECT_TRUE(has(outcome.out, "| `resnet50` | "));
  EXPECT_TRUE(has(outcome.out, "| 3x224x224 | 25,557,032 | "));
  expect_failure({"models", "--markdown", "--json"}, 2, {});
}

TEST_F(Usage, EveryNetworksPaperIsInTheBibliography) {
  const std::string papers =
      read_text(std::filesystem::path(STRIATE_SOURCE_DIR) / "docs/papers.bib");
  for (const ModelEntry& entry : model_registry()) {
    EXPECT_TRUE(papers.find("{" + entry.paper + ",") != std::string::npos)
        << entry.name << ": " << entry.paper;
  }
}

TEST_F(Usage, SummaryAddsAuxiliaryHeadsAndStochasticDepth) {
  const Json with_heads = json_of({"summary", "googlenet", "--auxiliary-heads", "--json"});
  EXPECT_EQ(with_heads["parameters"], 13004888);  // torchvision's, with aux_logits
  EXPECT_EQ(json_of({"summary", "googlenet", "--json"})["parameters"], 6624904);
  expect_failure({"summary", "lenet5", "--auxiliary-heads"}, 2, {"lenet5 has no auxiliary heads"});

  const Json dropped = json_of({"summary", "resnet20", "--survival", "0.5", "--json"});
  int64_t branches = 0;
  for (const Json& layer : dropped["layers"]) {
    if (layer["operator"] == "StochasticDepth") ++branches;
  }
  EXPECT_EQ(branches, 9);
  expect_failure({"summary", "resnet20", "--survival", "2"}, 2, {"--survival", "(0, 1]"});
  expect_failure({"summary", "lenet5", "--survival", "0.5"}, 2, {"no residual blocks"});
}

TEST_F(Usage, SummaryAsJsonHasThePublishedNumberOfParameters) {
  const Json vgg = json_of({"summary", "vgg16", "--json"});
  EXPECT_EQ(vgg["parameters"], 138357544);
  EXPECT_EQ(vgg["layers"].back()["shape"], Json::array({1000}));
  const Json small = json_of({"summary", "lenet5", "--classes", "3", "--json"});
  EXPECT_EQ(small["layers"].back()["shape"], Json::array({3}));
}

TEST_F(Usage, AnInputOfTheWrongFormIsAnError) {
  for (const std::string input :
       {"224x224", "3x224x224x1", "3x0x224", "axbxc", "3x224x99999999999999999999"}) {
    expect_failure({"summary", "vgg16", "--input", input}, 2, {"CxHxW"});
  }
  expect_failure({"summary", "vgg16", "--input", "3x8x8"}, 1, {"[features.", "larger input"});
}

TEST_F(Usage, RecipesAreJson) {
  const std::string list = run({"recipes"}).out;
  for (const std::string& name : recipe_names()) {
    const Json recipe = json_of({"recipes", name});
    EXPECT_EQ(recipe["name"], name);
    EXPECT_EQ(to_json(recipe_from_json(recipe, name)), recipe);
    EXPECT_TRUE(has(list, name));
  }
  EXPECT_EQ(json_of({"recipes", "--json"}).size(), recipe_names().size());
}

TEST_F(Usage, DoctorAsJsonSaysWhatIsThere) {
  const Json report = json_of({"doctor", "--json"});
  for (const char* key :
       {"striate", "libtorch", "processor", "compute_threads", "cuda", "missing"}) {
    EXPECT_TRUE(report.contains(key)) << key;
  }
  EXPECT_EQ(report["compute_threads"], 1);
  EXPECT_EQ(run({"doctor"}).exit_code, 0);
}

TEST_F(Usage, AResultThatCanNotBeWrittenIsAnError) {
  const Outcome outcome =
      Process({.arguments = {"models"}, .folder = folder_.path(), .out_path = "/dev/full"}).wait();
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_TRUE(has(outcome.err, "standard output"));
}

}  // namespace
}  // namespace striate
