#include <memory>

#include "cli/command.h"
#include "striate/training/recipe.h"

namespace striate::cli {

namespace {

void list_recipes(bool as_json) {
  Json all = Json::array();
  std::string text;
  for (const std::string& name : recipe_names()) {
    const Recipe recipe = named_recipe(name);
    all.push_back(to_json(recipe));
    text += name + "\n    " + recipe.source + "\n";
  }
  as_json ? print(all) : print(text);
}

}  // namespace

void add_recipes(CLI::App& program) {
  CLI::App* command = program.add_subcommand("recipes", "The recipes, with their sources");
  const auto name = std::make_shared<std::string>();
  const auto json = std::make_shared<bool>(false);
  command->add_option("name", *name, "Print this one, as JSON");
  command->add_flag("--json", *json, "Print JSON");
  command->callback(
      [=] { name->empty() ? list_recipes(*json) : print(to_json(find_recipe(*name))); });
}

}  // namespace striate::cli
