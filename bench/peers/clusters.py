"""Labels of scikit-learn's DBSCAN and HDBSCAN. Prints a line of JSON for each set, with its rows,
so that ours can be given the very same. It does not know our labels.

HDBSCAN sorts the edges of its tree with NumPy's default sort, which puts equal weights in an order
that depends on the processor, and some rows' labels with it. So it runs twice: as it is, and
with a stable sort.

Needs: scikit-learn.
"""

import json

import numpy
from sklearn.cluster import DBSCAN, HDBSCAN
from sklearn.cluster._hdbscan import hdbscan
from sklearn.datasets import load_digits, make_blobs, make_moons
from sklearn.preprocessing import StandardScaler


class StableNumpy:
    """NumPy, but equal things keep their order when sorted."""

    def __getattr__(self, name):
        return getattr(numpy, name)

    def argsort(self, values):
        return numpy.argsort(values, kind="stable")


def labels_of(rows, size, library):
    hdbscan.np = library
    return HDBSCAN(min_cluster_size=size, copy=True).fit(rows).labels_.tolist()


def sets():
    digits = load_digits().data
    yield "digits", digits, [(20.0, 5), (22.0, 10), (25.0, 5)], [5, 10, 20]
    for seed in range(3):
        moons, _ = make_moons(1000, noise=0.05 + 0.04 * seed, random_state=seed)
        yield f"moons {seed}", moons, [(0.1, 5), (0.2, 10)], [5, 15]
        blobs, _ = make_blobs(1500, 2 + 3 * seed, centers=6, random_state=seed)
        blobs = StandardScaler().fit_transform(blobs)
        yield f"blobs {seed}", blobs, [(0.2, 5), (0.5, 10)], [5, 15, 40]
    blobs, _ = make_blobs(20_000, 8, centers=10, cluster_std=2.0, random_state=7)
    yield "blobs 20,000 × 8", blobs, [(3.0, 10)], [50]


for name, rows, radii, sizes in sets():
    line = {"set": name, "rows": rows.tolist(), "dbscan": [], "hdbscan": []}
    for radius, least in radii:
        labels = DBSCAN(eps=radius, min_samples=least).fit(rows).labels_
        line["dbscan"].append({"radius": radius, "least": least, "labels": labels.tolist()})
    for size in sizes:
        stable, plain = labels_of(rows, size, StableNumpy()), labels_of(rows, size, numpy)
        line["hdbscan"].append({"size": size, "stable": stable, "plain": plain})
    print(json.dumps(line), flush=True)
