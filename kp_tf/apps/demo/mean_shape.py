"""The mean shape of a project's finished faces, which the page moves onto the next photograph."""

from contextlib import suppress

import numpy as np

from kp_tf.apps.demo.project import Project
from kp_tf.core.errors import KpError
from kp_tf.core.images import read_orientation
from kp_tf.core.keypoints import Scheme

MOST = 200  # faces, evenly chosen
ROUNDS = 3  # of aligning all faces with their mean


def mean_shape(project: Project, scheme: Scheme) -> dict:
    """The mean shape, as the page needs it.

    Returns:
        count: of the finished faces.
        points: for each point x and y, with the centroid at (0, 0) and a mean square distance from it of 1, in the mean
            in-plane rotation of the faces; null where no face has the point.
        centre: the mean centroid, in units of the photograph's width and height.
        size: the median of the root mean square distances, in units of the root of the photograph's area.
        example: for each point a photograph and the number of a face that has it; null if there is none.

        Empty if no face is finished.
    """
    names = [name for name in project.labels.finished() if not project.photographs.get(name, "gone")]
    shapes, frames, where = [], [], []
    for name in names[:: max(1, len(names) // MOST)]:
        with suppress(KpError):  # a photograph that cannot be read is said so when it is opened
            orientation = read_orientation(project.path(name))
            for number, face in enumerate(project.labels.faces(name)):
                stored = [face["points"].get(point, (np.nan, np.nan)) for point in scheme.names]
                shapes.append(orientation.to_upright(np.array(stored, np.float64)) @ (1, 1j))
                frames.append(orientation.size)
                where.append([name, number])
    if not shapes or np.isnan(shapes).all():
        return {}
    faces, sizes = np.array(shapes), np.array(frames, np.float64)
    has_point = ~np.isnan(faces)
    present = has_point.any(axis=1)
    centroids = np.nanmean(faces[present], axis=1)
    radii = np.sqrt(np.nanmean(np.abs(faces[present] - centroids[:, None]) ** 2, axis=1))
    relative = np.stack([centroids.real, centroids.imag], axis=1) / sizes[present]
    mean = align(faces[present])
    return {
        "count": len(faces),
        "points": [None if np.isnan(point) else [point.real, point.imag] for point in mean],
        "centre": relative.mean(axis=0).tolist(),
        "size": float(np.median(radii / np.sqrt(sizes[present].prod(axis=1)))),
        "example": [where[int(column.argmax())] if column.any() else None for column in has_point.T],
    }


def align(faces: np.ndarray) -> np.ndarray:
    """The mean of faces that differ by a similarity (Gower, Generalized Procrustes analysis, 1975).

    Args:
        faces: (N, K) points as x + iy; NaN where one is missing. Each has at least one.

    Returns:
        (K,) with its centroid at 0, a mean square distance from it of 1 (0 for a single point) and the mean in-plane
        rotation of the faces.
    """
    mean = _normal(faces[np.argmax((~np.isnan(faces)).sum(axis=1))])
    for _ in range(ROUNDS if (~np.isnan(mean)).sum() > 1 else 0):
        fitted = np.array([_fitted(face, mean) for face in faces])
        seen = ~np.isnan(fitted).all(axis=0)
        mean = np.full_like(mean, np.nan)
        mean[seen] = np.nanmean(fitted[:, seen], axis=0)
        mean = _normal(mean)
    turns = np.array([_similarity(mean, face)[0] for face in faces])
    turn = (turns / np.where(turns == 0, 1, np.abs(turns))).sum()
    return mean * (turn / abs(turn) if turn else 1)


def _normal(shape: np.ndarray) -> np.ndarray:
    centred = shape - np.nanmean(shape)
    return centred / (np.sqrt(np.nanmean(np.abs(centred) ** 2)) or 1)


def _fitted(face: np.ndarray, mean: np.ndarray) -> np.ndarray:
    factor, shift = _similarity(face, mean)
    return face * factor + shift if factor else np.full_like(face, np.nan)  # a single point says nothing of the shape


def _similarity(source: np.ndarray, target: np.ndarray) -> tuple[complex, complex]:
    """The factor and shift that bring points (K,) nearest to others; the factor is 0 if there are not two in common."""
    both = ~np.isnan(source + target)
    if not both.any():
        return 0, 0
    start, end = source[both].mean(), target[both].mean()
    extent = (np.abs(source[both] - start) ** 2).sum()
    factor = ((target[both] - end) * (source[both] - start).conj()).sum() / extent if extent else 0
    return complex(factor), complex(end - factor * start)
