"""What the benchmarks share: timing steps, and keeping rows."""

import csv
import datetime
import json
import pathlib
import resource
import statistics
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


def print_steps(step, options):
    """Times steps and prints a line of JSON as `striate bench` does."""
    for _ in range(options.warmup_steps):
        step()
    seconds = []
    for _ in range(options.steps):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    median = statistics.median(seconds)
    print(json.dumps({
        "model": options.model,
        "batch_size": options.batch_size,
        "threads": options.threads,
        "median_seconds": median,
        "fastest_seconds": min(seconds),
        "slowest_seconds": max(seconds),
        "images_per_second": options.batch_size / median,
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }))


def keep_rows(kind, rows):
    """Writes rows to bench/results/KIND-DATE.csv."""
    path = ROOT / "bench" / "results" / f"{kind}-{datetime.date.today()}.csv"
    path.parent.mkdir(exist_ok=True)
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    print(path.relative_to(ROOT))
