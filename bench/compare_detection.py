#!/usr/bin/env python3
"""Detectors on images of 800x1333: `striate bench` and torchvision in turns, training steps and
predictions; see bench/run.sh. Prints a table and keeps it as CSV."""

import argparse
import json
import os
import statistics
import subprocess
import sys

from measured import ROOT, keep_rows

PYTORCH = [sys.executable, str(ROOT / "bench" / "pytorch_detection.py")]
MODELS = ["fasterrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn"]


def measure(command, mode, model, options):
    program, flags = command
    result = subprocess.run(
        program + [mode, model] + flags + ["--batch-size", "1", "--steps", str(options.steps),
                                           "--warmup-steps", "1", "--threads", str(options.threads)],
        stdout=subprocess.PIPE, check=True, cwd=ROOT)
    output = result.stdout.decode()
    return json.loads(output[output.index("{"):])


def compare(mode, model, options):
    contestants = {"striate": ([options.striate, "bench"], ["--json"]), "torchvision": (PYTORCH, []),
                   "torchvision channels last": (PYTORCH, ["--channels-last"])}
    runs = {}
    for _ in range(options.rounds):
        for who, command in contestants.items():
            runs.setdefault(who, []).append(measure(command, mode, model, options))
    seconds = {who: statistics.median(run["median_seconds"] for run in of)
               for who, of in runs.items()}
    rows = []
    for who, of in runs.items():
        rows.append({
            "mode": mode, "model": model, "who": who, "threads": options.threads,
            "seconds": round(seconds[who], 3),
            "fastest": round(min(run["fastest_seconds"] for run in of), 3),
            "slowest": round(max(run["slowest_seconds"] for run in of), 3),
            "striate_is_faster": round(seconds[who] / seconds["striate"], 3),
            "peak_memory_mb": round(max(run["peak_memory_bytes"] for run in of) / 1e6),
        })
        print("{mode:6} {model:26} {who:26} {seconds:7.3f} s ({fastest} to {slowest}) "
              "{striate_is_faster:5.2f} {peak_memory_mb:6} MB".format(**rows[-1]), flush=True)
    return rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--modes", nargs="+", choices=["infer", "train"], default=["infer", "train"])
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--striate", default=str(ROOT / "build" / "release" / "bin" / "striate"))
    options = parser.parse_args()
    rows = []
    for mode in options.modes:
        for model in options.models:
            rows += compare(mode, model, options)
    keep_rows("detection", rows)


if __name__ == "__main__":
    main()
