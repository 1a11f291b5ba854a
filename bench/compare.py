#!/usr/bin/env python3
"""Runs Striate and its competitors in turns and prints a table; see bench/run.sh."""

import argparse
import json
import os
import statistics
import subprocess
import sys

from measured import ROOT, keep_rows

PYTORCH = [sys.executable, str(ROOT / "bench" / "pytorch_bench.py")]
ENGINE = [sys.executable, str(ROOT / "bench" / "engine_bench.py")]
TUNED = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "68719476736"}
NETWORKS = ["alexnet", "vgg16", "googlenet", "resnet18", "resnet50", "resnext50_32x4d",
            "densenet121", "squeezenet1_1"]
INFERENCE_NETWORKS = ["resnet50", "vgg16", "densenet121", "googlenet", "squeezenet1_1",
                      "resnext50_32x4d"]


def contestants(options):
    """Name, command, environment; ours first."""
    mode = options.mode
    ours = [("striate", [options.striate, "bench", mode], {})]
    pytorch = [
        ("pytorch", PYTORCH + [mode], {}),
        ("pytorch channels last", PYTORCH + [mode, "--channels-last"], {}),
    ]
    if mode == "train":
        pytorch += [
            ("pytorch compiled", PYTORCH + [mode, "--channels-last", "--compile"], {}),
            ("pytorch channels last, tuned allocator", PYTORCH + [mode, "--channels-last"], TUNED),
        ]
        return ours + pytorch
    engines = ["openvino"] if options.precision == "bf16" else ["onnxruntime", "openvino", "ncnn"]
    return ours + pytorch + [(name, ENGINE + [name], {}) for name in engines]


def measure(command, network, environment, options):
    arguments = ["--batch-size", str(options.batch_size), "--steps", str(options.steps),
                 "--warmup-steps", "2", "--threads", str(options.threads),
                 "--precision", options.precision]
    if command[0] == options.striate:
        arguments.append("--json")
    result = subprocess.run(command + [network] + arguments, env=os.environ | environment,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
    if result.returncode != 0:
        raise SystemExit(f"{' '.join(command)} {network}:\n{result.stderr.decode()}")
    output = result.stdout.decode()
    return json.loads(output[output.index("{"):])


def flops_of_peak(options):
    """Floating-point operations a second of a large matrix product in PyTorch (oneDNN, MKL)."""
    script = ("import sys, time, torch; torch.set_num_threads(int(sys.argv[1]));"
              "kind = torch.bfloat16 if sys.argv[2] == 'bf16' else torch.float;"
              "a = torch.randn(3072, 3072).to(kind);"
              "torch.mm(a, a); start = time.perf_counter(); [torch.mm(a, a) for _ in range(8)];"
              "print(8 * 2 * 3072**3 / (time.perf_counter() - start))")
    result = subprocess.run([sys.executable, "-c", script, str(options.threads), options.precision],
                            stdout=subprocess.PIPE, check=True)
    return float(result.stdout)


def flops(network, options):
    """Of a step by the definition: two a multiply-add, three times as many in training."""
    result = subprocess.run([options.striate, "summary", network, "--json"],
                            stdout=subprocess.PIPE, check=True)
    forward = 2 * json.loads(result.stdout)["multiply_adds"] * options.batch_size
    return forward if options.mode == "infer" else 3 * forward


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=["train", "infer"])
    parser.add_argument("--networks", nargs="+", default=None)
    parser.add_argument("--without", nargs="+", default=[], help="competitors to leave out")
    parser.add_argument("--precision", choices=["float32", "bf16"], default="float32")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--striate", default=str(ROOT / "build" / "release" / "bin" / "striate"))
    options = parser.parse_args()
    networks = options.networks or (NETWORKS if options.mode == "train" else INFERENCE_NETWORKS)

    peak = flops_of_peak(options)
    print(f"a large matrix product: {peak / 1e9:.0f} GFLOP/s")
    rows = []
    gains = []
    for network in networks:
        runs = {}
        for _ in range(options.rounds):
            for name, command, environment in contestants(options):
                if name in options.without:
                    continue
                run = measure(command, network, environment, options)
                runs.setdefault(name, []).append(run)
        seconds = {name: statistics.median(r["median_seconds"] for r in all_runs)
                   for name, all_runs in runs.items()}
        for name, all_runs in runs.items():
            rows.append({
                "mode": options.mode, "precision": options.precision, "network": network,
                "who": name, "batch_size": options.batch_size, "threads": options.threads,
                "seconds": round(seconds[name], 4),
                "fastest": round(min(r["fastest_seconds"] for r in all_runs), 4),
                "slowest": round(max(r["slowest_seconds"] for r in all_runs), 4),
                "striate_is_faster": round(seconds[name] / seconds["striate"], 3),
                "share_of_peak": round(flops(network, options) / seconds[name] / peak, 3),
                "peak_memory_mb": round(max(r["peak_memory_bytes"] for r in all_runs) / 1e6),
            })
            print("{network:16} {who:40} {seconds:8.4f} s ({fastest:.4f} to {slowest:.4f}) "
                  "{striate_is_faster:6.2f} {share_of_peak:6.2f} of peak {peak_memory_mb:6} MB".format(**rows[-1]), flush=True)
        others = [s for name, s in seconds.items() if name != "striate" and "tuned" not in name]
        gains.append(min(others) / seconds["striate"])
        print(f"{network:16} against the best of them as it comes: {gains[-1]:.2f}", flush=True)
    print(f"geometric mean of {len(gains)} networks: {statistics.geometric_mean(gains):.2f}")

    kind = options.mode if options.precision == "float32" else f"{options.mode}-bf16"
    size = "" if options.batch_size == 16 else f"-batch-{options.batch_size}"
    keep_rows(kind + size, rows)


if __name__ == "__main__":
    main()
