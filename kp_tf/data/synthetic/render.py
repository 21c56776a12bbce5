"""What a camera sees of the drawn head: for each pixel the place on the head, and its normal."""

from typing import NamedTuple

import numpy as np

from kp_tf.data.synthetic.head import Head, Pose, smooth_step
from kp_tf.data.synthetic.people import Person

_ANGLES = np.concatenate([np.linspace(-180, -90, 13)[:-1], np.linspace(-90, 90, 65), np.linspace(90, 180, 13)[1:]])
_ROWS = 66


class Pixels(NamedTuple):
    """The N pixels of a picture that show the head."""

    row: np.ndarray  # (N,)
    column: np.ndarray  # (N,)
    flat: np.ndarray  # (N, 2): flat coordinates, of the skin below where there is hair
    angle: np.ndarray  # (N,): about the head, in degrees; ±180 is the back
    normals: np.ndarray  # (N, 3), in the camera's axes


def render_head(head: Head, pose: Pose, person: Person, shape: tuple[int, int]) -> Pixels:
    """Render a head with a person's hair, and with ears, into a picture (H, W)."""
    grids = [_skull(head, person), _ear(head, -1), _ear(head, 1)]
    starts = np.cumsum([0, *(grid[..., 0].size for grid in grids[:-1])])
    triangles = np.concatenate([_triangles(grid, start) for grid, start in zip(grids, starts, strict=True)])
    vertices = np.concatenate([grid.reshape(-1, 9) for grid in grids])  # (V, 9)
    vertices[:, 3:6] = pose.rotate(vertices[:, 3:6])
    triangle, row, column, b, c = _cover(pose.project(vertices[:, :3])[triangles], shape)
    nearest = np.full(shape, -1)
    nearest[row, column] = np.arange(len(row))  # of equal indices the last one, the nearest, stays
    nearest = nearest[nearest >= 0]
    b, c, corner = b[nearest, None], c[nearest, None], triangles[triangle[nearest]].T
    values = (1 - b - c) * vertices[corner[0]] + b * vertices[corner[1]] + c * vertices[corner[2]]
    return Pixels(row[nearest], column[nearest], values[:, 6:8], values[:, 8], values[:, 3:6])


def _skull(head: Head, person: Person) -> np.ndarray:
    y = np.interp(np.linspace(0, 1, _ROWS), np.linspace(0, 1, len(head.rows)), head.rows[:, 0])
    y, angle = np.broadcast_arrays(y[:, None], _ANGLES[None])
    skin = head.surface(y, angle)
    outwards = skin - (0, -80, -130)
    outwards /= np.linalg.norm(outwards, axis=-1, keepdims=True)
    hair = person.thickness * smooth_step(person.hair_above(angle) - y, -8, 30)
    return _grid(skin + outwards * hair[..., None], np.stack([skin[..., 0], y, angle], axis=-1))


def _ear(head: Head, side: int) -> np.ndarray:
    """A flat ellipsoid that stands off the side of the head; its place is below all hair on the back."""
    u, v = np.meshgrid(np.linspace(0, 2 * np.pi, 15)[::side], np.linspace(0, np.pi, 9))
    x = head.face.width * 126 + 2 + 7 * np.sin(v) * np.sin(u) + 10 * (-np.sin(v) * np.cos(u)).clip(0)
    points = np.stack([side * x, -14 - 38 * np.cos(v), -152 + 21 * np.sin(v) * np.cos(u) - 6 * np.cos(v)], axis=-1)
    return _grid(points, np.broadcast_to((0, 999, 180), points.shape))


def _grid(points: np.ndarray, places: np.ndarray) -> np.ndarray:
    """A grid (rows, columns, 9) of points, normals and places; rows run down, columns to the right in front."""
    normals = np.cross(np.gradient(points, axis=1), np.gradient(points, axis=0))
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True) + 1e-9
    return np.concatenate([points, normals, places], axis=-1)


def _triangles(grid: np.ndarray, start: int) -> np.ndarray:
    """The triangles (F, 3) between a grid's vertices, counted from `start`, clockwise as seen from outside."""
    index = start + np.arange(grid[..., 0].size).reshape(grid.shape[:2])
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    return np.concatenate([np.stack([a, b, c], axis=-1), np.stack([b, d, c], axis=-1)]).reshape(-1, 3)


def _cover(corners: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """List the pixels whose centres projected triangles (F, 3, 3) cover, the farthest triangle first.

    Returns:
        The triangle, row and column of each pixel, and the weights of the triangle's second and third corner.
        Triangles that face away from the camera are left out.
    """
    (ax, bx, cx), (ay, by, cy) = corners[..., 0].T, corners[..., 1].T
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    size = np.array(shape[::-1])
    first = np.ceil(corners[..., :2].min(axis=1).clip(0, size)).astype(int)
    width, height = (np.floor(corners[..., :2].max(axis=1).clip(-1, size - 1)).astype(int) - first + 1).T
    kept = np.flatnonzero((area > 0) & (width > 0) & (height > 0))
    kept = kept[np.argsort(corners[kept, :, 2].sum(axis=1), kind="stable")]
    count = width[kept] * height[kept]
    which = np.repeat(kept, count)
    row, column = np.divmod(np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count), width[which])
    column, row = column + first[which, 0], row + first[which, 1]
    dx, dy = column - ax[which], row - ay[which]
    b = (dx * (cy - ay)[which] - dy * (cx - ax)[which]) / area[which]
    c = (dy * (bx - ax)[which] - dx * (by - ay)[which]) / area[which]
    inside = np.flatnonzero((b >= -1e-4) & (c >= -1e-4) & (b + c <= 1.0001))
    return tuple(values[inside] for values in (which, row, column, b, c))
