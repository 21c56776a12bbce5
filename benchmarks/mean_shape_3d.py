"""The 3-D mean shape of the eyes and the nose, from the labels of 300-W, and how well it tells the pose of a head.

`python -m benchmarks.mean_shape_3d --data DIR` prints the shape as `kp_tf/core/pose.py` holds it, the errors on drawn
faces of known pose, the poses of IMM's photographs with the points that `compact` predicts, and the aspect ratios of
its points on the validation faces of 300-W beside those of the labels.
"""

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.report import OUTER_EYES
from kp_tf.core.face import Face
from kp_tf.core.keypoints import IBUG68, IMM58
from kp_tf.core.measures import eye_aspect_ratios, mouth_aspect_ratio
from kp_tf.core.pose import POINTS, fit_head, head_pose
from kp_tf.data.datasets import DataFolder, IbugDataset, ImmDataset
from kp_tf.data.samples import Samples
from kp_tf.data.synthetic.head import Head, Pose
from kp_tf.data.synthetic.landmarks import ibug68
from kp_tf.data.synthetic.people import draw_expression, draw_person
from kp_tf.predict.predictor import Predictor

DRAWN = 400  # faces
RANGES = np.array([40, 20, 20])  # degrees of yaw, pitch and roll of the drawn faces, to both sides
CONDITIONS = {1: "neutral", 2: "happy", 3: "turned to their right", 4: "turned to their left", 5: "spot light"}
PARTNERS = [IBUG68.flip_indices[k] - POINTS[0] for k in POINTS] if IBUG68.flip_indices else []


def mean_shape(points: np.ndarray) -> np.ndarray:
    """The rigid symmetric shape that explains the points of N faces best, seen by scaled orthographic cameras.

    C. Tomasi, T. Kanade: Shape and Motion from Image Streams under Orthography, IJCV 1992, with the mirrored faces as
    further views, so that the shape is symmetric; then alternating least squares of poses and shape.

    Args:
        points: (N, 21, 2), `POINTS` of the 68.

    Returns:
        (21, 3): x to the right, y down, z towards the camera, in units of the distance of the outer eye corners. The
        median face has pitch 0.
    """
    views = points - points.mean(axis=1, keepdims=True)
    views = views / np.sqrt((views**2).sum(axis=(1, 2), keepdims=True))
    views = np.concatenate([views, views[:, PARTNERS] * (-1, 1)])
    shape = _upright(_factorise(views))
    for _ in range(10):
        rotations, scales = fit_head(views, shape)
        cameras = scales[:, None, None] * rotations[:, :2]
        # each face counts alike, whatever its scale
        weighted = cameras / scales[:, None, None] ** 2
        normal = np.einsum("nij,nik->jk", weighted, cameras)
        shape = np.einsum("nij,nki->kj", weighted, views) @ np.linalg.inv(normal)
        shape = (shape + shape[PARTNERS] * (-1, 1, 1)) / 2
    for _ in range(3):  # the pitch of a median face
        rotations, _ = fit_head(views, shape)
        shape = shape @ _about_x(np.median(np.arcsin(rotations[:, 2, 1]))).T
    left, right = (shape[point - POINTS[0]] for point in OUTER_EYES)
    return (shape - shape.mean(axis=0)) / np.linalg.norm(right - left)


def _factorise(views: np.ndarray) -> np.ndarray:
    """The shape (K, 3) up to a rotation and a reflection, from centred views (N, K, 2)."""
    u, s, v = np.linalg.svd(views.transpose(0, 2, 1).reshape(-1, views.shape[1]), full_matrices=False)
    x, y = (u * s)[:, :3].reshape(-1, 2, 3).transpose(1, 0, 2)
    # the symmetric matrix for which the two axes of every camera are orthogonal and equally long
    rows = np.concatenate([_products(x, x) - _products(y, y), _products(x, y)])
    a, b, c, d, e, f = np.linalg.eigh(rows.T @ rows)[1][:, 0]
    metric = np.array([[a, b, c], [b, d, e], [c, e, f]]) * np.sign(a + d + f)
    values, vectors = np.linalg.eigh(metric)
    return np.linalg.solve(vectors * np.sqrt(values), v[:3]).T


def _products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The factors (N, 6) of the elements of a symmetric matrix M in aᵀ M b."""
    (a0, a1, a2), (b0, b1, b2) = a.T, b.T
    return np.stack([a0 * b0, a0 * b1 + a1 * b0, a0 * b2 + a2 * b0, a1 * b1, a1 * b2 + a2 * b1, a2 * b2], axis=1)


def _upright(shape: np.ndarray) -> np.ndarray:
    """Turn a shape (K, 3): x across its plane of symmetry, y down, and the tip of the nose in front."""
    mirror = shape[PARTNERS].T @ np.linalg.pinv(shape.T)
    x = np.linalg.eigh((mirror + mirror.T) / 2)[1][:, 0]
    left, right, bridge, tip, base = (shape[point - POINTS[0]] for point in (*OUTER_EYES, 27, 30, 33))
    x = x * np.sign(x @ (right - left))
    down = base - bridge
    down = down - x * (x @ down)
    y = down / np.linalg.norm(down)
    z = np.cross(x, y)
    return shape @ np.stack([x, y, z * np.sign(z @ (tip - (bridge + base) / 2))], axis=1)


def _about_x(angle: float) -> np.ndarray:
    return np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])


def drawn_faces(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The points (N, 68, 2) of drawn people with any expression, and their yaw, pitch and roll (N, 3)."""
    rng, points = np.random.default_rng(seed), []
    poses = rng.uniform(-RANGES, RANGES, (count, 3))
    for yaw, pitch, roll in poses:
        head = Head(draw_expression(rng, draw_person(rng).face, "any"))
        points.append(ibug68(head, Pose(yaw, pitch, roll, scale=1.0, x=0.0, y=0.0)))
    return np.array(points), poses


def imm_poses(data: Path) -> dict[int, np.ndarray]:
    """Yaw, pitch and roll (n, 3) of IMM's photographs by condition; faces are detected and predicted."""
    samples = ImmDataset(DataFolder(data, is_sample=False).folder("imm"), IMM58).read()
    poses: dict[int, list[tuple]] = {condition: [] for condition in CONDITIONS}
    files = [file for file in samples.files if int(file[3]) in CONDITIONS]
    for file, faces in zip(files, Predictor.load().predict_batch([samples.root / file for file in files]), strict=True):
        largest: Face = max(faces, key=lambda face: face.box[2])
        poses[int(file[3])].append(largest.pose)
    return {condition: np.array(each) for condition, each in poses.items()}


def print_ratios(samples: Samples) -> None:
    """Print the quartiles of the aspect ratios of predicted points, by the ratios of the labels."""
    files = [samples.root / file for file in samples.files]
    predicted = [face.points for (face,) in Predictor.load().predict_batch(files, samples.boxes[:, None])]
    for name, ratio, limits in (
        ("eye", eye_aspect_ratios, (0, 0.12, 0.2, 0.3, 9)),
        ("mouth", mouth_aspect_ratio, (0, 0.05, 0.3, 0.6, 9)),
    ):
        truth, found = (np.array([ratio(points) for points in each]).ravel() for each in (samples.labels, predicted))
        for low, high in pairwise(limits):
            values = found[(truth >= low) & (truth < high)]
            quartiles = ", ".join(f"{value:.2f}" for value in np.percentile(values, [25, 50, 75]))
            print(f"{name} aspect ratio of the labels {low}–{high}: {len(values)}, predicted quartiles {quartiles}")


def main() -> None:
    """Print the shape and its checks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    data = parser.parse_args().data
    split = IbugDataset(DataFolder(data, is_sample=False).folder("ibug")).read_split()
    labels = split.training.labels
    print("\n".join(f"({x:.3f}, {y:.3f}, {z:.3f})," for x, y, z in mean_shape(labels[:, POINTS])))
    points, poses = drawn_faces(DRAWN)
    errors = np.array([head_pose(each) for each in points]) - poses
    mean, absolute = (" ".join(f"{value:.1f}" for value in each.mean(axis=0)) for each in (errors, np.abs(errors)))
    print(f"{DRAWN} drawn faces: mean error of yaw, pitch, roll {mean}, mean absolute error {absolute}")
    for condition, each in imm_poses(data).items():
        rows = [f"{angle.mean():.1f} ± {angle.std():.1f}" for angle in each.T]
        print(f"IMM {condition}, {CONDITIONS[condition]}, {len(each)} photographs: {', '.join(rows)}")
    print_ratios(split.validation)


if __name__ == "__main__":
    main()
