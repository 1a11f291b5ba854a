#!/usr/bin/env python3
"""What a network looks at: Striate's attributions and captum's in turns, ResNet-50 at 224x224; see
bench/run.sh. captum runs in channels last and in PyTorch's layout, and its faster one counts; its
OpenMP threads wait as Striate's do, which spares it from spinning where others use the machine, too.
Prints a table and keeps it as CSV."""

import argparse
import json
import os
import statistics
import subprocess
import sys

from measured import ROOT, keep_rows

NETWORK = "resnet50"
LONG = ["integrated", "occlusion"]  # each step is many batches already: one step in a round
BATCH_SIZES = {"saliency": 8, "guided": 8, "gradcam": 8, "integrated": 8, "occlusion": 1}


def measure(command, method, options):
    steps = 1 if method in LONG else options.steps
    result = subprocess.run(
        command + [method, NETWORK, "--batch-size", str(BATCH_SIZES[method]), "--steps", str(steps),
                   "--warmup-steps", "0" if method in LONG else "1", "--threads",
                   str(options.threads)],
        env=os.environ | {"GOMP_SPINCOUNT": "3000"}, stdout=subprocess.PIPE, check=True)
    return json.loads(result.stdout)


def compare(method, options):
    pytorch = [sys.executable, str(ROOT / "bench" / "pytorch_look.py")]
    contestants = {"striate": [options.striate, "bench", "look", "--json"],
                   "captum": pytorch, "captum channels last": pytorch + ["--channels-last"]}
    runs = {}
    for _ in range(options.rounds):
        for who, command in contestants.items():
            runs.setdefault(who, []).append(measure(command, method, options))
            print("  {:10} {:20} {:8.3f} s".format(method, who, runs[who][-1]["median_seconds"]),
                  flush=True)
    medians = {who: statistics.median(run["median_seconds"] for run in of)
               for who, of in runs.items()}
    best = min((who for who in medians if who != "striate"), key=medians.get)
    return [{"method": method, "who": who, "network": NETWORK, "batch_size": BATCH_SIZES[method],
             "threads": options.threads, "rounds": options.rounds,
             "median_seconds": round(medians[who], 4),
             "fastest_seconds": round(min(run["fastest_seconds"] for run in runs[who]), 4),
             "slowest_seconds": round(max(run["slowest_seconds"] for run in runs[who]), 4),
             "peak_memory_mb": round(max(run["peak_memory_bytes"] for run in runs[who]) / 1e6),
             "striate_is_faster": round(medians[who] / medians["striate"], 3),
             "load": round(os.getloadavg()[0], 1)}
            for who in ("striate", best)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--methods", nargs="+", choices=BATCH_SIZES, default=list(BATCH_SIZES))
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--striate", default=str(ROOT / "build" / "release" / "bin" / "striate"))
    options = parser.parse_args()
    rows = [row for method in options.methods for row in compare(method, options)]
    for row in rows:
        print("{method:10} {who:20} {median_seconds:8.3f} s ({fastest_seconds} to {slowest_seconds}) "
              "{peak_memory_mb:6} MB {striate_is_faster:6.2f}".format(**row))
    keep_rows("look", rows)


if __name__ == "__main__":
    main()
