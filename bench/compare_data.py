#!/usr/bin/env python3
"""Runs Striate's loader and torchvision's in turns, from JPEG files to training batches
(RandomResizedCrop(224), a flip, normalised), prints a table and writes bench/results/data-DATE.csv.

    bench/compare_data.py [FOLDER]     # JPEGs, at any depth; without it some are made

Needs torch and a torchvision with its own operators (the pair that pip installs together)."""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

import numpy
from PIL import Image

from measured import ROOT, keep_rows

PYTORCH = [sys.executable, str(ROOT / "bench" / "pytorch_data.py")]
TRANSFORMS = json.dumps([
    {"channels": {"count": 3}}, {"random_resized_crop": {"size": 224}},
    {"random_horizontal_flip": {}},
    {"normalize": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}}])
EPOCH = 512  # files; fewer are repeated, so that an epoch's end weighs little


def make_photos(folder, count):
    """JPEGs of 500x375 whose amplitudes fall with the frequency, as those of photos do."""
    random = numpy.random.default_rng(1)
    y = numpy.fft.fftfreq(375)[:, None, None]
    x = numpy.fft.rfftfreq(500)[None, :, None]
    fall = 1 / numpy.maximum(numpy.hypot(x, y), 1 / 500)
    for i in range(count):
        noise = random.normal(size=(375, 251, 3)) + 1j * random.normal(size=(375, 251, 3))
        grey = noise[:, :, :1] + 0.3 * noise  # colours change less than light
        pixels = numpy.fft.irfft2(fall * grey, s=(375, 500), axes=(0, 1))
        pixels = 128 + 50 * (pixels - pixels.mean()) / pixels.std()
        image = Image.fromarray(pixels.clip(0, 255).astype(numpy.uint8))
        image.save(folder / f"{i:04}.jpg", quality=93)


def find_photos(folder, largest):
    """JPEGs whose sides are not longer than `largest`."""
    files = [path for path in sorted(pathlib.Path(folder).rglob("*"))
             if path.suffix.lower() in (".jpg", ".jpeg")]
    fitting = [path for path in files if max(Image.open(path).size) <= largest]
    if not fitting:
        sys.exit(f"{folder} holds no JPEG whose sides are at most {largest}")
    return fitting


def lay_out(files, folder):
    """Class folders of at least EPOCH links."""
    sizes = [Image.open(path).size for path in files]
    print("{} files, {:.0f}x{:.0f} pixels and {:.0f} KB on average".format(
        len(files), statistics.mean(w for w, _ in sizes), statistics.mean(h for _, h in sizes),
        statistics.mean(path.stat().st_size for path in files) / 1000))
    for i in range(max(EPOCH, len(files))):
        place = folder / f"class_{i % 2}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{i:05}.jpg").symlink_to(files[i % len(files)].resolve())


def measure(command, options):
    result = subprocess.run(
        command + ["--batch-size", str(options.batch_size), "--steps", str(options.steps),
                   "--warmup-steps", "5", "--threads", str(options.threads)],
        stdout=subprocess.PIPE, check=True)
    return json.loads(result.stdout)


def compare(folder, options):
    contestants = {
        "striate": [options.striate, "bench", "data", f"folder:{folder}", "--transforms",
                    TRANSFORMS, "--json"],
        "torchvision on Pillow": PYTORCH + [str(folder), "--way", "pillow"],
        "torchvision's decoder": PYTORCH + [str(folder), "--way", "torchvision"]}
    speeds = {}
    for _ in range(options.rounds):
        for who, command in contestants.items():
            speed = measure(command, options)["images_per_second"]
            speeds.setdefault(who, []).append(speed)
            print(f"  {who:24} {speed:8.0f} images/s", flush=True)
    ours = statistics.median(speeds["striate"])
    return [{"who": who, "batch_size": options.batch_size, "threads": options.threads,
             "rounds": options.rounds, "images_per_second": round(statistics.median(runs)),
             "slowest": round(min(runs)), "fastest": round(max(runs)),
             "striate_is_faster": round(ours / statistics.median(runs), 3)}
            for who, runs in speeds.items()]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?", help="JPEG files, at any depth")
    parser.add_argument("--largest", type=int, default=640, help="leave out longer sides")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--striate", default=str(ROOT / "build" / "release" / "bin" / "striate"))
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as name:
        made = pathlib.Path(name) / "made"
        if options.folder is None:
            made.mkdir()
            make_photos(made, 64)
        laid_out = pathlib.Path(name) / "classes"
        lay_out(find_photos(options.folder or made, options.largest), laid_out)
        rows = compare(laid_out, options)
    for row in rows:
        print("{who:24} {images_per_second:6} images/s ({slowest} to {fastest}) "
              "{striate_is_faster:6.2f}".format(**row))
    keep_rows("data", rows)


if __name__ == "__main__":
    main()
