#!/usr/bin/env python3
"""Training steps of language models: `striate bench train` and PyTorch in turns; see bench/run.sh.
Prints a table and keeps it as CSV."""

import argparse
import json
import os
import statistics
import subprocess
import sys

from measured import ROOT, keep_rows

PYTORCH = [sys.executable, str(ROOT / "bench" / "pytorch_language.py")]
MODELS = ["char_lstm", "char_gru", "char_rnn", "word_lstm"]


def measure(command, model, options):
    arguments = [model, "--batch-size", str(options.batch_size), "--steps", str(options.steps),
                 "--warmup-steps", "3", "--threads", str(options.threads)]
    result = subprocess.run(command + arguments, stdout=subprocess.PIPE, check=True, cwd=ROOT)
    output = result.stdout.decode()
    return json.loads(output[output.index("{"):])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--striate", default=str(ROOT / "build" / "release" / "bin" / "striate"))
    options = parser.parse_args()
    contestants = {"striate": [options.striate, "bench", "train", "--json"], "pytorch": PYTORCH,
                   "pytorch fused optimiser": PYTORCH + ["--fused"]}
    rows = []
    for model in options.models:
        runs = {}
        for _ in range(options.rounds):
            for who, command in contestants.items():
                runs.setdefault(who, []).append(measure(command, model, options))
        seconds = {who: statistics.median(run["median_seconds"] for run in all_runs)
                   for who, all_runs in runs.items()}
        for who, all_runs in runs.items():
            rows.append({
                "model": model, "who": who, "batch_size": options.batch_size,
                "threads": options.threads, "seconds": round(seconds[who], 4),
                "fastest": round(min(run["fastest_seconds"] for run in all_runs), 4),
                "slowest": round(max(run["slowest_seconds"] for run in all_runs), 4),
                "striate_is_faster": round(seconds[who] / seconds["striate"], 3),
                "peak_memory_mb": round(max(run["peak_memory_bytes"] for run in all_runs) / 1e6),
            })
            print("{model:10} {who:24} {seconds:8.4f} s ({fastest:.4f} to {slowest:.4f}) "
                  "{striate_is_faster:6.2f} {peak_memory_mb:6} MB".format(**rows[-1]), flush=True)
    keep_rows("language", rows)


if __name__ == "__main__":
    main()
