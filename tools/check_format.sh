#!/bin/bash
# Fails, naming the places, when a source file is not as clang-format leaves it. With --fix it
# formats instead.
set -euo pipefail
cd "$(dirname "$0")/.."

mode=(--dry-run --Werror)
[ "${1:-}" = --fix ] && mode=(-i)
find include src tests -name '*.h' -print0 -o -name '*.cpp' -print0 |
  xargs -0 clang-format-14 "${mode[@]}"
