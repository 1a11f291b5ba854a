#!/bin/bash
# From a clean machine to a trained, evaluated network: installs, builds, trains LeNet-5 on
# Fashion-MNIST, evaluates it, classifies images with it and writes runs/demo/report.html.
set -euo pipefail
cd "$(dirname "$0")"

tools/setup.sh
cmake --preset release >/dev/null
cmake --build --preset release
striate=build/release/bin/striate

# A run that was interrupted is gone on with; one that is finished is only evaluated again.
if [ -e runs/demo/recipe.json ]; then
  $striate train --resume runs/demo
else
  $striate train lenet5 --data fashion-mnist --out runs/demo
fi
$striate evaluate runs/demo --data fashion-mnist
$striate predict runs/demo docs/images/fashion/*.png --top 2
echo "The page of the run: runs/demo/report.html"
