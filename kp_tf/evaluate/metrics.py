"""Error metrics of predicted points, from arrays of pixel coordinates alone.

A point that is NaN in the ground truth is missing: every metric leaves it out, whatever was predicted there. A
prediction that is NaN where the ground truth is present is never left out: it makes the metric NaN.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from kp_tf.core.keypoints import Scheme

THRESHOLDS = (0.08, 0.10)  # of NME: what the papers on 300-W call a failure


def _present(truth: np.ndarray) -> np.ndarray:
    """Which points (…, K) of the truth (…, K, 2) are present."""
    return np.logical_not(np.isnan(truth).any(axis=-1))


def mean_absolute_error(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Mean over all coordinates of |prediction − truth|, both (N, K, 2): the course's Kaggle metric."""
    return float(np.abs(prediction - truth)[_present(truth)].mean())


def point_errors(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Euclidean distances (N, K) in pixels of points (N, K, 2); NaN where the truth is missing."""
    return np.linalg.norm(prediction - truth, axis=-1)


def face_errors(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Mean Euclidean distance (N,) in pixels of each face's points; NaN for a face without points."""
    present = _present(truth)
    count = np.where(present.any(axis=-1), present.sum(axis=-1), np.nan)
    return np.where(present, point_errors(prediction, truth), 0).sum(axis=-1) / count


def eye_distances(truth: np.ndarray, eyes: tuple[int, int]) -> np.ndarray:
    """Inter-ocular distance (N,) in pixels of each face; NaN if an eye is missing or both are at the same place."""
    distance = np.linalg.norm(truth[:, eyes[0]] - truth[:, eyes[1]], axis=-1)
    return np.where(distance > 0, distance, np.nan)


def nme(prediction: np.ndarray, truth: np.ndarray, eyes: tuple[int, int]) -> np.ndarray:
    """Normalised mean error (N,) as a fraction: each face's mean Euclidean error over its inter-ocular distance."""
    return face_errors(prediction, truth) / eye_distances(truth, eyes)


def mean_shape(points: np.ndarray) -> np.ndarray:
    """Mean (K, 2) of the points (N, K, 2) that are present, in the unit square or any frame that the faces share."""
    return np.nanmean(points, axis=0)


def align(points: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Move and scale points onto the truth, each face by least squares, without rotation.

    Args:
        points: (N, K, 2), or (K, 2) for one shape that is aligned with every face.
        truth: (N, K, 2) in pixels; points that are missing in it are ignored.

    Returns:
        (N, K, 2) in pixels of the truth. The scale is never negative, which would turn a shape upside down.
    """
    present = _present(truth)[..., None]
    count = np.maximum(present.sum(axis=1, keepdims=True), 1)

    def centre(values: np.ndarray) -> np.ndarray:
        return np.where(present, values, 0).sum(axis=1, keepdims=True) / count

    points = np.broadcast_to(points, truth.shape)
    target = centre(truth)
    moved = points - centre(points)
    fit = np.where(present, moved * (truth - target), 0).sum(axis=(1, 2), keepdims=True)
    extent = np.where(present, moved**2, 0).sum(axis=(1, 2), keepdims=True)
    scale = np.maximum(fit, 0) / np.where(extent == 0, 1, extent)  # a single point has no extent
    return scale * moved + target


def aligned_error(points: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Mean Euclidean error (N,) in pixels of each face after `align`: of its shape, not of its place and size."""
    return face_errors(align(points, truth), truth)


def _head_room(errors: np.ndarray, limit: float) -> np.ndarray:
    """What each error adds to the area under the CED up to `limit`, which has an area of 1."""
    return np.maximum(limit - errors, 0) / limit


def ced(errors: np.ndarray, limit: float) -> tuple[np.ndarray, np.ndarray]:
    """The exact cumulative error distribution, as steps: x from 0 to limit, and y, the share of errors up to x."""
    errors = np.sort(errors[~np.isnan(errors)])
    inside = errors[errors <= limit]
    share = np.arange(len(inside) + 1) / len(errors)
    return np.concatenate([[0.0], inside, [limit]]), np.append(share, share[-1])


def summary(
    prediction: np.ndarray,
    truth: np.ndarray,
    scheme: Scheme,
    files: Sequence[str] | None = None,
    columns: Mapping[str, np.ndarray] | None = None,
    seed: int = 0,
    resamples: int = 1000,
) -> dict:
    """All metrics of an evaluation, with 95 % intervals from a bootstrap over the faces, ready for JSON.

    Args:
        prediction: (N, K, 2) in pixels.
        truth: (N, K, 2) in pixels.
        scheme: the groups of points, and the eyes that NME needs; without eyes there are errors in pixels only.
        files: N file names; faces are also scored by the first folder of their file.
        columns: by name, a value (N,) of each face as text, by which faces are also scored; "" is left out.
        seed: of the bootstrap.
        resamples: how many samples the bootstrap draws.

    Returns:
        "scheme", "nme" (its definition) and "interval" as text; then the scores of "all", of "folders" and "groups"
        by name and, if there are columns, "by" column and value. Scores are the number of "faces" and the metrics
        that `table` explains, each as {"value", "low", "high"}; NME, failure rates and AUC are fractions. The scores
        of a group are those of its points alone, over the same inter-ocular distance.

    Raises:
        ValueError: if the arrays, scheme and files do not fit one another, or a prediction is not finite.
    """
    _check(prediction, truth, scheme, files)

    def scores(faces: np.ndarray | slice = slice(None), points: list[int] | slice = slice(None)) -> dict:
        distance = eye_distances(truth[faces], scheme.eyes) if scheme.eyes else None
        return _scores(prediction[faces][:, points], truth[faces][:, points], distance, seed, resamples)

    result: dict[str, Any] = {"scheme": scheme.name}
    if scheme.eyes:
        result["nme"] = "mean distance of a face's points from the truth / distance of its points {} and {}".format(
            *(scheme.names[k] for k in scheme.eyes)
        )
    if columns:
        result["by"] = {
            column: {str(value): scores(values == value) for value in _sorted(np.unique(values)) if value}
            for column, values in columns.items()
        }
    folders = np.array([PurePosixPath(file).parts[0] if "/" in file else "" for file in files or ()])
    return result | {
        "interval": f"95 %, {resamples} bootstrap resamples of the faces, seed {seed}",
        "all": scores(),
        "folders": {str(name): scores(folders == name) for name in np.unique(folders) if name},
        "groups": {name: scores(points=list(indices)) for name, indices in scheme.groups},
    }


def _sorted(values: Sequence[str] | np.ndarray) -> list[str]:
    """Values in the order of the numbers with which they begin, then those without a number by the alphabet."""

    def key(value: str) -> tuple[float, str]:
        try:
            return float(value.split(" ")[0]), value
        except ValueError:
            return np.inf, value

    return sorted(map(str, values), key=key)


def _check(prediction: np.ndarray, truth: np.ndarray, scheme: Scheme, files: Sequence[str] | None) -> None:
    if prediction.shape != truth.shape or truth.shape[1:] != (len(scheme), 2) or not len(truth):
        raise ValueError(
            f"prediction and truth must be (N, {len(scheme)}, 2) with the same N > 0. "
            f"Received: prediction {prediction.shape}, truth {truth.shape}"
        )
    if files is not None and len(files) != len(truth):
        raise ValueError(f"files must name each face. Received: {len(files)} files, {len(truth)} faces")
    if not np.isfinite(prediction).all():
        bad = np.flatnonzero(~np.isfinite(prediction).all(axis=(1, 2)))
        raise ValueError(f"predictions must be finite. Received: others in {len(bad)} faces, first {bad[0]}")


def _scores(prediction: np.ndarray, truth: np.ndarray, distance: np.ndarray | None, seed: int, resamples: int) -> dict:
    """The scores of some faces and points; a metric that no face has is left out."""
    present = _present(truth)
    count = present.sum(axis=1)
    has_points = count > 0
    result: dict[str, Any] = {"faces": int(has_points.sum())}

    def add(name: str, statistic: Callable, *columns: np.ndarray) -> None:
        if len(columns[0]):
            result[name] = _with_interval(statistic, columns, seed, resamples)

    absolute = np.where(present[..., None], np.abs(prediction - truth), 0).sum(axis=(1, 2))
    distances = np.where(present, point_errors(prediction, truth), 0).sum(axis=1)
    add("mae_px", _ratio, absolute[has_points], 2 * count[has_points])
    add("euclidean_px", _ratio, distances[has_points], count[has_points])
    if distance is None:
        return result
    errors = face_errors(prediction, truth) / distance
    errors = errors[~np.isnan(errors)]
    add("nme_mean", _mean, errors)
    add("nme_median", lambda values: np.median(values, axis=-1), errors)
    for limit in THRESHOLDS:
        add(f"failure_{100 * limit:.0f}_percent", _mean, errors > limit)
    for limit in THRESHOLDS:
        add(f"auc_{100 * limit:.0f}_percent", _mean, _head_room(errors, limit))
    return result


def _mean(values: np.ndarray) -> np.ndarray:
    return values.mean(axis=-1)


def _ratio(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The mean over points, not over faces, which may lack some of them."""
    return sums.sum(axis=-1) / counts.sum(axis=-1)


def _with_interval(statistic: Callable, columns: Sequence[np.ndarray], seed: int, resamples: int) -> dict:
    """A statistic of per-face columns (n,), and its percentile interval over bootstrap samples (resamples, n)."""
    faces = len(columns[0])
    draws = np.random.default_rng(seed).integers(faces, size=(resamples, faces), dtype=np.int32)
    low, high = np.percentile(statistic(*(column[draws] for column in columns)), [2.5, 97.5])
    return {"value": float(statistic(*columns)), "low": float(low), "high": float(high)}


_COLUMNS = {
    "mae_px": ("MAE px", 1),
    "euclidean_px": ("mean px", 1),
    "nme_mean": ("NME %", 100),
    "nme_median": ("median %", 100),
    "failure_8_percent": ("fail>8 %", 100),
    "failure_10_percent": ("fail>10 %", 100),
    "auc_8_percent": ("AUC 8 %", 100),
    "auc_10_percent": ("AUC 10 %", 100),
}


def table(summary: dict) -> str:
    """The summary as text: one line of scores for all faces and each group of faces or points, with ± half the
    interval."""
    columns = [key for key in _COLUMNS if key in summary["all"]]
    by = {
        f"{column} {value}": scores for column, rows in summary.get("by", {}).items() for value, scores in rows.items()
    }
    rows = {"all": summary["all"], **by, **summary["folders"], **summary["groups"]}
    width = max(10, 1 + max(map(len, rows)))
    lines = ["".join([f"{'':{width}}{'faces':>6}", *(f"{_COLUMNS[key][0]:>13}" for key in columns)])]
    for name, scores in rows.items():
        cells = [_cell(scores.get(key), _COLUMNS[key][1]) for key in columns]
        lines.append("".join([f"{name:{width}}{scores['faces']:6}", *(f"{cell:>13}" for cell in cells)]))
    lines += ["", "MAE: mean absolute error of x and y. mean: mean Euclidean error of the points."]
    if "nme" in summary:
        lines += [
            f"NME: {summary['nme']}.",
            "fail: share of the faces whose NME is larger. AUC: area under the cumulative error curve up to this NME.",
        ]
    return "\n".join([*lines, f"±: half the width of the interval ({summary['interval']})."])


def _cell(metric: dict | None, factor: int) -> str:
    if metric is None:
        return "–"
    half = (metric["high"] - metric["low"]) / 2
    return f"{factor * metric['value']:.2f} ±{factor * half:.2f}"
