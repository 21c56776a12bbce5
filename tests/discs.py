"""A network that finds discs (helpers.draw_discs) itself: its points are their four sides."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from helpers import RECIPE

from kp_tf.artifacts.info import ModelInfo
from kp_tf.core.keypoints import Scheme
from kp_tf.core.mean_face import MeanFace

_SIDES = np.array([(-1, 0), (1, 0), (0, -1), (0, 1)])  # of a disc, from its centre in radii
DISC_SIDES_INFO = ModelInfo(
    Path("discs"),
    replace(RECIPE, num_passes=1, crop_scale=1.4),
    Scheme("disc", ("left", "right", "top", "bottom"), ()),
    mean_face=MeanFace(np.array([0.0, 0, 1, 1]), 0.5 + _SIDES / 2),
    metrics={"max_deviation": 0.1},
)


def disc_sides(crops):
    """The sides of the disc in each crop (32, 32); the more of it is cut off, the larger the variance."""
    places, outputs = (np.stack(np.meshgrid(range(32), range(32)), axis=-1) + 0.5) / 32, []
    for crop in crops[..., 0] + 0.5:
        weight = crop / max(crop.sum(), 1e-9)
        centre = (weight[..., None] * places).sum(axis=(0, 1))
        radius = np.sqrt(2 * (weight[..., None] * (places - centre) ** 2).sum())
        cut = np.concatenate([crop[0], crop[-1], crop[:, 0], crop[:, -1]]).mean()
        variance = 1e-4 + 0.1 * cut + (0.1 if crop.mean() < 0.1 else 0)
        outputs.append(np.column_stack([centre + radius * _SIDES, np.full(4, variance)]))
    return np.array(outputs, np.float32)
