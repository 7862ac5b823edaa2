"""How much each class weighs in a loss, from how many pixels it has. Needs no torch.

n is the pixels of a class, and every rule is brought to a mean of 1 over the classes that occur:

| rule | weight of a class, up to a factor |
|---|---|
| "none" | 1 |
| "inverse" | 1 / n |
| "sqrt" | 1 / sqrt(n), between the two |
| "median" | 1 / f, with f = n / (pixels of the images in which the class occurs) |
| "effective" | (1 - beta) / (1 - beta ** n), the inverse of the effective number of samples |

"median" is median frequency balancing (Eigen and Fergus, Predicting Depth, Surface Normals and Semantic
Labels, 2015); the median itself is a common factor. It needs the counts of each image: with totals alone
it is "inverse". "effective" is from Cui et al., Class-Balanced Loss Based on Effective Number of Samples,
2019. Their beta of 0.9 to 0.9999 is meant for thousands of images: with millions of pixels it makes all
classes weigh the same. Without a beta it is 1 - 1 / N here, with N the mean pixels of the classes that
occur, so that the weights hang on the shares of the classes and not on the size of the data: classes
above that mean weigh nearly alike, rarer ones nearly as in "inverse".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geoseg.errors import ConfigError
from geoseg.warn import warn

ClassWeights = Literal["none", "inverse", "sqrt", "median", "effective"]
"""Rules by which classes weigh."""

_Numbers = NDArray[np.float64]


def class_weights(
    rule: ClassWeights, counts: Mapping[str, int] | ArrayLike, *, beta: float | None = None
) -> tuple[float, ...]:
    """One weight a class, of mean 1 over the classes that occur.

    A class without a pixel gets 1 (with "none", every class does): training never meets it, and in the
    loss of a validation that does, it counts like a class of the average.

    >>> class_weights("inverse", [100, 300])
    (1.5, 0.5)

    Args:
        rule: See the module.
        counts: Pixels of each class, in the order of the class map: numbers, a mapping of class name to
            number, or (image, class) numbers with a row for each image, scene or part of one, which
            are added up; only "median" looks at the rows.
        beta: For "effective" alone: 0 (all weigh alike) to below 1 (the nearer, the more like
            "inverse"); None: by the counts, see the module.

    Raises:
        ConfigError: There is no such rule, no class has a pixel, a count is not a whole number of at
            least 0, or beta does not fit.

    Warns:
        UserWarning: A class has no pixel.
    """
    if rule not in get_args(ClassWeights):
        raise ConfigError(
            f"there is no rule {rule!r} for class weights; known: {', '.join(get_args(ClassWeights))}"
        )
    _check_beta(rule, beta)
    rows = _rows(list(counts.values()) if isinstance(counts, Mapping) else counts)
    if rule == "none":
        return tuple(1.0 for _ in rows[0])
    total = rows.sum(axis=0)
    occurs = total > 0
    if not occurs.any():
        raise ConfigError(
            f"class weights {rule!r} need labelled pixels, but no class has one; look at the labels and "
            'AOIs of the scenes, or use "none"'
        )
    weights = np.ones(len(total))
    raw = _raw(rule, rows[:, occurs], beta)
    weights[occurs] = raw / raw.mean()
    if not occurs.all():
        missing = list(counts) if isinstance(counts, Mapping) else range(len(total))
        _warn_of([name for name, found in zip(missing, occurs, strict=True) if not found])
    return tuple(float(weight) for weight in weights)


def _raw(rule: ClassWeights, rows: _Numbers, beta: float | None) -> _Numbers:
    """Weights of classes that all occur, up to a factor."""
    total: _Numbers = rows.sum(axis=0)
    if rule == "sqrt":
        return 1 / np.sqrt(total)
    if rule == "median":
        around: _Numbers = ((rows > 0) * rows.sum(axis=1, keepdims=True)).sum(axis=0)
        return around / total
    if rule == "effective":
        rest = 1 / total.mean() if beta is None else 1 - beta
        with np.errstate(divide="ignore"):  # a beta of 0: every class has the effective number 1
            effective: _Numbers = -np.expm1(total * np.log1p(-rest))
        return 1 / effective
    return 1 / total


def _rows(counts: ArrayLike) -> _Numbers:
    """(image, class) numbers."""
    rows: _Numbers = np.asarray(counts, np.float64)
    rows = rows[None] if rows.ndim == 1 else rows
    if rows.ndim != 2 or not rows.shape[1]:  # noqa: PLR2004
        raise ConfigError(
            f"counts have the shape {np.shape(counts)}, expected (class,) or (image, class)"
        )
    wrong = rows[~((rows >= 0) & (rows < np.inf) & (rows == np.floor(rows)))]
    if wrong.size:
        raise ConfigError(
            f"counts hold {wrong[:4].tolist()}, expected whole numbers of pixels, 0 or more"
        )
    return rows


def _check_beta(rule: str, beta: float | None) -> None:
    if beta is None:
        return
    if rule != "effective":
        raise ConfigError(f'beta belongs to the rule "effective", not to {rule!r}; leave it out')
    if not 0 <= beta < 1:
        raise ConfigError(f"beta is {beta}, expected 0 to below 1, such as 0.999999")


def _warn_of(missing: Sequence[Any]) -> None:
    listed = ", ".join(str(name) for name in missing)
    warn(
        f"{len(missing)} classes have no labelled pixel and weigh 1, the mean of the others: {listed}"
    )
