"""Writes embedding.json: PCA, neighbours, trustworthiness and t-SNE's gradient by scikit-learn.

Features are 60 points in three groups, whose 6 axes fall in size; multiples of 1/256, so that
float32 holds them exactly.

Usage: python embedding.py OUTPUT.json
Needs: numpy and scikit-learn (requirements.txt beside this file).
"""

import json
import sys

import numpy
import sklearn
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness
from sklearn.manifold._t_sne import _joint_probabilities, _kl_divergence
from sklearn.metrics import pairwise_distances

POINTS, FEATURES, PERPLEXITY, NEIGHBOURS = 60, 6, 10, 5


def in_256ths(values):
    return numpy.round(values * 256) / 256


def nearest(features, metric):
    distances = pairwise_distances(features, metric=metric)
    numpy.fill_diagonal(distances, numpy.inf)
    indices = numpy.argsort(distances, axis=1, kind="stable")[:, :NEIGHBOURS]
    return {"indices": indices.tolist(),
            "distances": numpy.take_along_axis(distances, indices, axis=1).tolist()}


def main():
    random = numpy.random.default_rng(1)
    groups = random.normal(size=(3, FEATURES)) * 4
    features = in_256ths(groups[numpy.arange(POINTS) % 3] +
                         random.normal(size=(POINTS, FEATURES)) * [3, 2.2, 1.6, 1.1, 0.8, 0.5])
    points = in_256ths(random.normal(size=(POINTS, 2)) * 3)
    pca = PCA(3, svd_solver="full").fit(features)
    joint = _joint_probabilities(pairwise_distances(features) ** 2, PERPLEXITY, 0)
    divergence, gradient = _kl_divergence(points.ravel(), joint, 1, POINTS, 2)
    result = {
        "versions": {"numpy": numpy.__version__, "scikit-learn": sklearn.__version__},
        "features": features.tolist(),
        "map": points.tolist(),
        "pca": {"mean": pca.mean_.tolist(), "components": pca.components_.tolist(),
                "explained_variance": pca.explained_variance_.tolist(),
                "explained_ratio": pca.explained_variance_ratio_.tolist()},
        "neighbours": NEIGHBOURS,
        "euclidean": nearest(features, "euclidean"),
        "cosine": nearest(features, "cosine"),
        "trustworthiness": trustworthiness(features, points, n_neighbors=NEIGHBOURS),
        "perplexity": PERPLEXITY,
        # Of the pairs (0, 1), (0, 2), …; as many digits as float32 has.
        "affinities": [float(f"{p:.9g}") for p in joint],
        "divergence": divergence,
        "gradient": gradient.reshape(POINTS, 2).tolist(),
    }
    with open(sys.argv[1], "w") as file:
        json.dump(result, file, indent=None, separators=(",", ":"))
        file.write("\n")


main()
