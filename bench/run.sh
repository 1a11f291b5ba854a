#!/bin/bash
# Measures Striate beside its competitors, all in turns, and writes one row for each measurement to
# bench/results/. Nothing else should run on the machine: 10 to 40 minutes.
#   bench/run.sh train [--precision bf16] [--networks NETWORK…] [--rounds N] …    beside PyTorch
#   bench/run.sh infer [--batch-size 1] [--precision bf16] [--networks NETWORK…]  and ONNX Runtime, OpenVINO, ncnn
#   bench/run.sh loop [--networks NETWORK…] [--rounds N] …      whole training loops, with data
#   bench/run.sh data [FOLDER] [--rounds N] …                   from JPEG files to batches, beside torchvision
#   bench/run.sh start [--runs N] …                             one photo by a process that starts for it
#   bench/run.sh language [--models MODEL…] [--rounds N] …     training steps of language models
#   bench/run.sh detection [--models MODEL…] [--rounds N] …    detectors at 800x1333, beside torchvision
#   bench/run.sh suppression [--rounds N]                       of boxes, beside torchvision
#   bench/run.sh look [--methods METHOD…] [--rounds N] …        attributions of a ResNet-50, beside captum
set -euo pipefail
cd "$(dirname "$0")/.."

mode=${1:-train}
shift || true
# torchvision's own decoder and detectors need the very build of PyTorch that it was made with.
venv=.deps/bench
[ "$mode" = data ] && venv=.deps/bench-data
[ "$mode" = detection ] && venv=.deps/bench-data
[ "$mode" = suppression ] && venv=.deps/bench-data
[ "$mode" = look ] && venv=.deps/bench-look
if [ ! -e "$venv/ready" ]; then
  tools/setup.sh
  python3 -m venv "$venv"
  install=("$venv/bin/pip" install --quiet --disable-pip-version-check)
  if [ "$venv" = .deps/bench-data ]; then
    "${install[@]}" numpy pillow torch torchvision
  elif [ "$mode" = look ]; then
    "${install[@]}" numpy pillow torch==2.13.0 captum
    "${install[@]}" --no-deps torchvision==0.28.0
  else
    "${install[@]}" numpy pillow torch==2.13.0 onnx onnxscript onnxruntime openvino ncnn pnnx
    "${install[@]}" --no-deps torchvision==0.28.0
  fi
  touch "$venv/ready"
fi
if [ "$mode" = suppression ]; then # micro-benchmarks come with the tests
  cmake --preset dev >/dev/null
  cmake --build --preset dev --target suppression_bench >/dev/null
else
  cmake --preset release >/dev/null
  cmake --build --preset release >/dev/null
fi
case "$mode" in
  data | detection | language | look | loop | start | suppression) exec "$venv/bin/python" "bench/compare_$mode.py" "$@" ;;
esac
exec "$venv/bin/python" bench/compare.py "$mode" "$@"
