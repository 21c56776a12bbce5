"""The drawn head as a mesh of triangles, with hair and ears, and the mesh as pixels."""

from typing import NamedTuple

import numpy as np

from kp_tf.data.synthetic.head import Head, Pose, smooth_step

_ANGLES = np.concatenate([np.linspace(-180, -90, 13)[:-1], np.linspace(-90, 90, 65), np.linspace(90, 180, 13)[1:]])
_ROWS = 66

# Heights above which hair grows, at these angles about the head, by style.
_HAIR_ANGLES = (0, 30, 52, 66, 78, 88, 100, 120, 180)
HAIRLINES = {
    "short": (-163, -166, -150, -112, -35, -10, 20, 40, 55),
    "swept": (-172, -166, -138, -95, -50, -20, 20, 60, 70),
    "fringe": (-112, -116, -118, -105, -15, 10, 30, 60, 70),
    "receding": (-195, -212, -185, -125, -40, -10, 20, 40, 50),
    "bald": (-250, -250, -225, -130, -60, -30, 10, 30, 40),
    "shaven": (-250, -250, -250, -250, -250, -250, -250, -250, -250),
    "long": (-166, -156, -130, -85, 20, 140, 160, 160, 160),
    "curtain": (-170, -140, -90, 10, 150, 160, 160, 160, 160),
}
EAR = 1000.0  # stands for the angle about the head


class Mesh(NamedTuple):
    """V corners and F triangles; a place is x and y on the head without hair, and the angle about it."""

    points: np.ndarray  # (V, 3)
    normals: np.ndarray  # (V, 3)
    places: np.ndarray  # (V, 3)
    faces: np.ndarray  # (F, 3)


class Pixels(NamedTuple):
    """What is seen in the smallest window (h, w) of a picture that holds the mesh."""

    top: int
    left: int
    inside: np.ndarray  # (h, w) bool
    places: np.ndarray  # (h, w, 3)
    depth: np.ndarray  # (h, w), towards the camera
    normals: np.ndarray  # (h, w, 3), turned with the head


def head_mesh(head: Head, style: str, thick: float) -> Mesh:
    """The head with hair of a style and thickness, and two ears."""
    y = np.interp(np.linspace(0, 1, _ROWS), np.linspace(0, 1, len(head.rows)), head.rows[:, 0])
    y, angle = np.broadcast_arrays(y[:, None], _ANGLES[None])
    bare = head.surface(y, angle)
    middle = np.array([0, -80, -130])
    away = (bare - middle) / np.linalg.norm(bare - middle, axis=-1, keepdims=True)
    grown = thick * smooth_step(hairline(style, angle) - y, -8, 30)
    skull = bare + away * grown[..., None]
    parts = [_grid_mesh(skull, np.stack([bare[..., 0], y, angle], axis=-1), 1)]
    parts += [_grid_mesh(*_ear(head, side), side) for side in (-1, 1)]
    starts = np.cumsum([0] + [len(part.points) for part in parts[:-1]])
    faces = [part.faces + start for part, start in zip(parts, starts, strict=True)]
    corners = (np.concatenate([part[k] for part in parts]) for k in range(3))
    return Mesh(*corners, np.concatenate(faces))


def hairline(style: str, angle: np.ndarray) -> np.ndarray:
    """Height above which hair grows, at angles about the head."""
    return np.interp(np.abs(angle), _HAIR_ANGLES, HAIRLINES[style])


def _ear(head: Head, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Points and places (9, 15, 3) of an ear, a flat ellipsoid that stands off the side of the head."""
    u, v = np.meshgrid(np.linspace(0, 2 * np.pi, 15), np.linspace(0, np.pi, 9))
    half = head.face.width * 126
    x = half + 2 + 7 * np.sin(v) * np.sin(u) + 10 * (-np.sin(v) * np.cos(u)).clip(0)
    y = -14 - 38 * np.cos(v)
    z = -152 + 21 * np.sin(v) * np.cos(u) - 6 * np.cos(v)
    grid = np.stack([side * x, y, z], axis=-1)
    return grid, np.stack([grid[..., 0], y, np.full_like(y, EAR)], axis=-1)


def _grid_mesh(points: np.ndarray, places: np.ndarray, side: int) -> Mesh:
    """The mesh of a grid (rows, columns, 3) whose columns run to the right, or for side -1 to the left."""
    normals = side * np.cross(np.gradient(points, axis=1), np.gradient(points, axis=0))
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True) + 1e-9
    rows, columns = points.shape[:2]
    a = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    b, c, d = a + 1, a + columns, a + columns + 1
    faces = np.concatenate([np.stack([a, b, c], axis=1), np.stack([b, d, c], axis=1)])[:, ::side]
    return Mesh(points.reshape(-1, 3), normals.reshape(-1, 3), places.reshape(-1, 3), faces)


def rasterise(mesh: Mesh, pose: Pose, shape: tuple[int, int]) -> Pixels | None:
    """What is seen of a mesh in a picture (H, W), at the pixels' centres; None: nothing."""
    seen = pose.project(mesh.points)
    which, x, y, b, c = _covered(seen[mesh.faces].astype(np.float32), shape)
    if not len(which):
        return None
    left, top = x.min(), y.min()
    last = np.full((y.max() + 1 - top, x.max() + 1 - left), -1, np.int32)
    last[y - top, x - left] = np.arange(len(x), dtype=np.int32)  # of equal indices the last, the nearest, stays
    inside = last >= 0
    last = last[inside]
    b, c, corner = b[last, None], c[last, None], mesh.faces[which[last]].T
    data = np.concatenate([mesh.places, seen[:, 2:], pose.turned(mesh.normals)], axis=1).astype(
        np.float32
    )  # (V, 7)
    values = np.zeros((*inside.shape, 7), np.float32)
    values[..., 3] = -np.inf
    values[inside] = (1 - b - c) * data[corner[0]] + b * data[corner[1]] + c * data[corner[2]]
    return Pixels(int(top), int(left), inside, values[..., :3], values[..., 3], values[..., 4:])


def _covered(corners: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """The pixels within triangles (F, 3, 3) that face the camera, the farthest triangle first.

    Returns:
        The triangle, x and y of each pixel, and the weights of the triangle's second and third corner there.
    """
    (ax, bx, cx), (ay, by, cy) = corners[..., 0].T, corners[..., 1].T
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    size = np.array(shape[::-1])
    first = np.ceil(corners[..., :2].min(axis=1).clip(0, size)).astype(np.int32)
    wide, high = (np.floor(corners[..., :2].max(axis=1).clip(-1, size - 1)).astype(np.int32) - first + 1).T
    kept = np.flatnonzero((area > 0) & (wide > 0) & (high > 0))
    kept = kept[np.argsort(corners[kept, :, 2].sum(axis=1), kind="stable")]
    count = wide[kept] * high[kept]
    which = np.repeat(kept, count)
    offset = np.arange(count.sum(), dtype=np.int32) - np.repeat(np.cumsum(count) - count, count).astype(np.int32)
    row = offset // wide[which]
    x, y = first[which, 0] + offset - row * wide[which], first[which, 1] + row
    dx, dy = x - ax[which], y - ay[which]
    b = (dx * (cy - ay)[which] - dy * (cx - ax)[which]) / area[which]
    c = (dy * (bx - ax)[which] - dx * (by - ay)[which]) / area[which]
    hit = np.flatnonzero((b >= -1e-4) & (c >= -1e-4) & (b + c <= 1.0001))
    return tuple(values[hit] for values in (which, x, y, b, c))
