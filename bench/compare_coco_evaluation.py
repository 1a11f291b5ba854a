#!/usr/bin/env python3
"""Runs Striate's COCO evaluation, pycocotools' and faster-coco-eval's in turns on the same made-up
files, prints a table and writes bench/results/coco-evaluation-DATE.csv.

    bench/compare_coco_evaluation.py [--images 5000] [--detections 300000] [--metric boxes|masks]

Striate's time is that of the whole program: it starts, reads both files and evaluates. The others'
is told twice, for evaluating alone and with reading; starting Python is left out.
Needs numpy, pycocotools and faster-coco-eval."""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from made_detections import make_instances, make_results
from measured import ROOT, keep_rows

PYTHON = str(ROOT / "bench" / "python_coco_evaluation.py")


def run_striate(files, options):
    start = time.perf_counter()
    process = subprocess.Popen([options.striate, "score", files[1], files[0], "--metric",
                                options.metric, "--json"], stdout=subprocess.PIPE)
    report = json.loads(process.stdout.read())
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit("striate failed")
    seconds = time.perf_counter() - start
    scores = [report[name] for name in
              ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "ar1", "ar10", "ar100",
               "ar_small", "ar_medium", "ar_large")]
    return {"total": seconds, "evaluating": seconds, "scores": scores,
            "memory": usage.ru_maxrss * 1024}


def run_python(by, files, options):
    result = subprocess.run([sys.executable, PYTHON, *files, "--by", by, "--metric",
                             options.metric], stdout=subprocess.PIPE, check=True)
    report = json.loads(result.stdout)
    return {"total": report["reading_seconds"] + report["evaluating_seconds"],
            "evaluating": report["evaluating_seconds"], "scores": report["scores"],
            "memory": report["peak_memory_bytes"]}


def compare(files, options):
    runs = {}
    for _ in range(options.rounds):
        for who in ("striate", "pycocotools", "faster-coco-eval"):
            run = (run_striate(files, options) if who == "striate"
                   else run_python(who, files, options))
            runs.setdefault(who, []).append(run)
            print(f"  {who:18} {run['total']:7.2f} s", flush=True)
    middle = {who: {key: statistics.median(run[key] for run in measured)
                    for key in ("total", "evaluating")} for who, measured in runs.items()}
    expected = runs["pycocotools"][0]["scores"]
    rows = []
    for who, measured in runs.items():
        totals = [run["total"] for run in measured]
        apart = max(abs(a - b) for a, b in zip(measured[0]["scores"], expected))
        rows.append({
            "who": who, "metric": options.metric, "images": options.images,
            "detections": options.detections, "threads": options.threads,
            "rounds": options.rounds, "seconds": round(middle[who]["total"], 3),
            "fastest": round(min(totals), 3), "slowest": round(max(totals), 3),
            "evaluating_seconds": round(middle[who]["evaluating"], 3),
            "peak_memory_mb": round(max(run["memory"] for run in measured) / 1e6),
            "ap": round(measured[0]["scores"][0], 6), "largest_difference": f"{apart:.1e}",
            "striate_is_faster": round(middle[who]["total"] / middle["striate"]["total"], 2),
            "than_evaluating_alone": round(
                middle[who]["evaluating"] / middle["striate"]["total"], 2)})
    return rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--objects", type=int, default=36000)
    parser.add_argument("--detections", type=int, default=300000)
    parser.add_argument("--metric", choices=["boxes", "masks"], default="boxes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--striate", default=str(ROOT / "build" / "release" / "bin" / "striate"))
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)

    with tempfile.TemporaryDirectory() as name:
        files = [str(pathlib.Path(name) / file) for file in ("instances.json", "results.json")]
        masks = options.metric == "masks"
        annotations = make_instances(files[0], options.images, options.objects, masks)
        make_results(files[1], annotations, options.images, options.detections, masks)
        rows = compare(files, options)
    for row in rows:
        print("{who:18} {seconds:7.2f} s ({fastest} to {slowest}), evaluating alone "
              "{evaluating_seconds:7.2f} s, {peak_memory_mb} MB, AP {ap:.6f}, apart at most "
              "{largest_difference}; striate's whole run is faster {striate_is_faster:6.2f}, than "
              "evaluating alone {than_evaluating_alone:6.2f}".format(**row))
    keep_rows("coco-evaluation", rows)


if __name__ == "__main__":
    main()
