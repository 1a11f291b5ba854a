#!/usr/bin/env python3
"""t-SNE of the features of a file by openTSNE or scikit-learn, as a line of JSON. Settings are those
of `striate bench embed`. Needs numpy, openTSNE and scikit-learn."""

import argparse
import json
import resource
import struct
import time

import numpy


def read_features(path):
    """The tensor `features` of a safetensors file."""
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        begin, end = header["features"]["data_offsets"]
        file.seek(begin, 1)
        values = numpy.frombuffer(file.read(end - begin), numpy.float32)
    return values.reshape(header["features"]["shape"])


def by_open_tsne(features, method, threads, seed):
    from openTSNE import TSNE
    return numpy.asarray(TSNE(
        perplexity=30, early_exaggeration=12, early_exaggeration_iter=250, n_iter=500,
        initial_momentum=0.5, final_momentum=0.8, initialization="pca", neighbors="exact", theta=0.5,
        negative_gradient_method=method, n_jobs=threads, random_state=seed).fit(features))


def by_scikit_learn(features, threads, seed):
    from sklearn.manifold import TSNE
    return TSNE(perplexity=30, early_exaggeration=12, max_iter=750, init="pca", angle=0.5,
                n_jobs=threads, random_state=seed).fit_transform(features)


def divergence(features, points):
    """Over all pairs, from openTSNE's affinities."""
    from openTSNE.affinity import PerplexityBasedNN
    affinities = PerplexityBasedNN(features, perplexity=30, method="exact", n_jobs=-1).P.tocoo()
    points = points.astype(numpy.float64)
    total = -float(len(points))
    for start in range(0, len(points), 256):
        some = points[start:start + 256]
        squares = sum((some[:, None, axis] - points[None, :, axis]) ** 2 for axis in (0, 1))
        total += (1 / (1 + squares)).sum()
    squares = ((points[affinities.row] - points[affinities.col]) ** 2).sum(axis=1)
    p = affinities.data
    return float((p * numpy.log(p * (1 + squares))).sum() + numpy.log(total))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("features", help="a file of `striate bench embed --out`")
    parser.add_argument("--by", choices=["openTSNE-bh", "openTSNE-fft", "scikit-learn"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    features = read_features(options.features)
    start = time.perf_counter()
    if options.by == "scikit-learn":
        points = by_scikit_learn(features, options.threads, options.seed)
    else:
        points = by_open_tsne(features, options.by.split("-")[1], options.threads, options.seed)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    from sklearn.manifold import trustworthiness
    print(json.dumps({
        "points": len(points), "threads": options.threads, "seconds": seconds,
        "divergence": divergence(features, points),
        "trustworthiness": trustworthiness(features, points, n_neighbors=12),
        "peak_memory_bytes": peak}))


if __name__ == "__main__":
    main()
