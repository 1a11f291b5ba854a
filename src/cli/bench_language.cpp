#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include "cli/bench.h"
#include "cli/language.h"
#include "striate/sequence/language_task.h"
#include "striate/training/losses.h"
#include "striate/training/optimizer.h"

namespace striate::cli {

void bench_language(const LanguageModelEntry& entry, const StepOptions& options) {
  const Recipe recipe = named_recipe(entry.recipe);
  const LanguageTaskOptions task = language_task_options(recipe.task, entry.recipe + ".task");
  const int64_t vocabulary = usual_size(entry).vocabulary;
  LanguageModel model(entry.cell, vocabulary, task.model, /*seed=*/1);
  Optimizer optimizer(model.tensors(), recipe.optimizer);
  at::manual_seed(1);
  const at::Tensor tokens =
      at::randint(vocabulary, {task.chunk + 1, options.batch_size}, at::kLong);
  RecurrentState state;
  const auto step = [&] {
    const LanguageModel::Output out = model.forward(tokens.slice(0, 0, task.chunk), state);
    state = out.state.detach();
    const at::Tensor loss =
        losses::cross_entropy(out.logits.flatten(0, 1), tokens.slice(0, 1).flatten());
    optimizer.zero_gradients();
    torch::autograd::backward({loss}, {});
    optimizer.clip_gradient_norm(recipe.clip_gradient_norm);
    optimizer.step(recipe.optimizer.learning_rate);
  };
  measure(options, step, {.count = task.chunk, .name = to_string(entry.unit)});
}

}  // namespace striate::cli
