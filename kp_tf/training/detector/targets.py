"""What the detector's network should say of a picture: a heatmap of the faces' centres, and boxes and angles there."""

from typing import NamedTuple

import numpy as np

from kp_tf.core.centres import SIDE, STRIDE

TARGETS = 8  # of a cell: heat, its weight, the weight of the others, x, y, side, cosine, sine
MIN_DEVIATION, DEVIATION = 0.55, 0.055  # of a centre's Gaussian: at least in cells, and in units of the box's side
NEAR = 0.2  # heat from which a cell says the box and the angle


class Boxes(NamedTuple):
    """The faces of one picture, and the places that are neither known to be a face nor to be none.

    Attributes:
        faces: (N, 4) x and y of the box's centre in pixels from the picture's upper left corner, the side of the
            square box, and the angle in degrees, clockwise in the picture.
        ignored: (M, 3) centre and side likewise.
    """

    faces: np.ndarray
    ignored: np.ndarray


def render(boxes: Boxes, shape: tuple[int, int]) -> np.ndarray:
    """The targets of a picture.

    Args:
        boxes: with centres inside the picture.
        shape: (H, W) of the picture, multiples of STRIDE.

    Returns:
        (H / 8, W / 8, 8) float32: heat, its weight, the weight of the others, and x, y, side, cosine and sine as
        `detector_network` returns them.
    """
    height, width = shape[0] // STRIDE, shape[1] // STRIDE
    targets = np.zeros((height, width, TARGETS), np.float32)
    heat, known, near = (targets[..., k] for k in range(3))
    known[:] = 1
    x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
    for face in sorted(boxes.faces, key=lambda face: -face[2]):  # the small one is on top where centres are close
        centre, side = face[:2] / STRIDE, face[2] / STRIDE
        deviation = max(MIN_DEVIATION, DEVIATION * side)
        gaussian = np.exp(-((y[:, None] - centre[1]) ** 2 + (x - centre[0]) ** 2) / (2 * deviation**2))
        row, column = (min(int(value), end - 1) for value, end in zip(centre[::-1], (height, width), strict=True))
        gaussian[row, column] = 1
        here = (gaussian > heat) & (gaussian > NEAR)
        near[here] = gaussian[here]
        dx, dy = (np.broadcast_to(part, heat.shape)[here] for part in (centre[0] - x, (centre[1] - y)[:, None]))
        angle = np.radians(face[3])
        others = np.broadcast_to((np.log(face[2] / SIDE), np.cos(angle), np.sin(angle)), (len(dx), 3))
        targets[here, 3:] = np.column_stack([dx, dy, others])
        np.maximum(heat, gaussian, out=heat)
    for centre_x, centre_y, side in boxes.ignored / STRIDE:
        inside = (x - centre_x) ** 2 + (y[:, None] - centre_y) ** 2 < max(side / 2, 1) ** 2
        known[inside & (heat < NEAR)] = 0
    return targets
