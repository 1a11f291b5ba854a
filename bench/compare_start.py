#!/usr/bin/env python3
"""From nothing to the classes of one photo by ResNet-50: whole processes of `striate predict` and of
bench/pytorch_predict.py in turns; see bench/run.sh. Prints a table and keeps it as CSV."""

import argparse
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

from measured import ROOT, keep_rows

MAKE = """
import sys, torch
import pytorch_predict as script
from PIL import Image
torch.manual_seed(1)
torch.save(script.models.resnet50().state_dict(), sys.argv[1])
noise = torch.randint(256, (24, 32, 3), dtype=torch.uint8)
Image.fromarray(noise.numpy()).resize((640, 480), Image.BICUBIC).save(sys.argv[2], quality=90)
"""


def measure(command, environment):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    output = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True,
                            check=True).stdout
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    lines = [line for line in output.splitlines() if line.startswith(" ")]
    return seconds, cpu, lines


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--striate", default=str(ROOT / "build" / "release" / "bin" / "striate"))
    options = parser.parse_args()
    environment = os.environ | {"OMP_NUM_THREADS": str(options.threads)}

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        pth, safetensors, photo = (folder / n for n in ("w.pth", "w.safetensors", "photo.jpg"))
        subprocess.run([sys.executable, "-c", MAKE, pth, photo], cwd=ROOT / "bench", check=True)
        subprocess.run([options.striate, "convert", pth, safetensors, "--model", "resnet50"],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        contestants = {
            "striate": [options.striate, "predict", safetensors, photo],
            "striate, .pth": [options.striate, "predict", pth, photo, "--model", "resnet50"],
            "pytorch": [sys.executable, str(ROOT / "bench" / "pytorch_predict.py"), pth, photo],
        }
        runs = {}
        for i in range(options.runs + 1):
            for who, command in contestants.items():
                run = measure(command, environment)
                if i > 0:  # the first fills the file cache
                    runs.setdefault(who, []).append(run)

    rows = []
    ours = [run[0] for run in runs["striate"]]
    for who, values in runs.items():
        seconds = [run[0] for run in values]
        rows.append({"who": who, "threads": options.threads,
                     "seconds": round(statistics.median(seconds), 3),
                     "fastest": round(min(seconds), 3), "slowest": round(max(seconds), 3),
                     "processor_seconds": round(statistics.median(run[1] for run in values), 3),
                     "striate_is_faster": round(statistics.median(
                         theirs / own for theirs, own in zip(seconds, ours)), 2)})
        print("{who:14} {seconds:7.3f} s ({fastest:.3f} to {slowest:.3f}), processors "
              "{processor_seconds:.3f} s {striate_is_faster:6.2f}".format(**rows[-1]), flush=True)
        print("\n".join(values[-1][2]))

    keep_rows("start", rows)


if __name__ == "__main__":
    main()
