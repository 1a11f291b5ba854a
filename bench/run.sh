#!/bin/bash
# Measures Striate beside its competitors, all in turns, and writes one row for each measurement to
# bench/results/. Nothing else should run on the machine: 10 to 40 minutes.
#   bench/run.sh train [--precision bf16] [--networks NETWORK…] [--rounds N] …    beside PyTorch
#   bench/run.sh infer [--batch-size 1] [--precision bf16] [--networks NETWORK…]  and ONNX Runtime, OpenVINO, ncnn
#   bench/run.sh loop [--networks NETWORK…] [--rounds N] …      whole training loops, with data
#   bench/run.sh start [--runs N] …                             one photo by a process that starts for it
set -euo pipefail
cd "$(dirname "$0")/.."

venv=.deps/bench
if [ ! -e "$venv/ready" ]; then
  tools/setup.sh
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check numpy pillow torch==2.13.0
  "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps torchvision==0.28.0
  "$venv/bin/pip" install --quiet --disable-pip-version-check onnx onnxscript onnxruntime openvino ncnn pnnx
  touch "$venv/ready"
fi
cmake --preset release >/dev/null
cmake --build --preset release >/dev/null
mode=${1:-train}
shift || true
case "$mode" in
  loop | start) exec "$venv/bin/python" "bench/compare_$mode.py" "$@" ;;
esac
exec "$venv/bin/python" bench/compare.py "$mode" "$@"
