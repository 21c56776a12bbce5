"""A network that finds faces: a heatmap of their centres, with the side and the angle of each (Zhou et al., Objects as
Points, 2019).

It is convolutional throughout, so one set of weights takes pictures of every size. It uses `keras` alone.
"""

import math
from typing import Any

import keras

from kp_tf.core.centres import CHANNELS
from kp_tf.models.blocks import add_upsampled, conv_norm_relu, residual_block
from kp_tf.models.layers import layer_seeds

layers: Any = keras.layers  # annotated for all backends at once
ops: Any = keras.ops

WIDTHS, DEPTHS = (24, 32, 56, 96), (0, 1, 2, 2)  # of the stages at stride 4, 8, 16 and 32
RARE = 0.01  # probability of a face in any cell before training (Lin et al., Focal Loss, 2017)


def detector_network(seed: int = 0, shape: tuple[int | None, int | None] = (None, None)) -> keras.Model:
    """Build the network.

    Args:
        seed: determines the weights.
        shape: (H, W) of its input, multiples of 32; None for any.

    Returns:
        A model from grey pictures (B, H, W, 1) in [-0.5, 0.5] to (B, H / 8, W / 8, 6) for each cell: the logit of a
        face's centre in it; the centre's x and y from the cell's middle, in cells; the logarithm of the box's side
        over SIDE; and a vector whose direction is that of the face's angle, clockwise in the picture.
    """
    seeds = layer_seeds(seed)
    image = layers.Input((*shape, 1), name="image")
    x = conv_norm_relu(image, WIDTHS[0], 8, 4, seeds, name="stem")
    stages = []
    for stage, (width, depth) in enumerate(zip(WIDTHS, DEPTHS, strict=True), 1):
        for block in range(1, depth + 1):
            x = residual_block(x, width, 2 if block == 1 else 1, seeds, name=f"stage{stage}_block{block}")
        stages.append(x)
    for stage in range(len(WIDTHS) - 1, 1, -1):
        x = add_upsampled(x, stages[stage - 1], seeds, name=f"up{stage}")
    x = conv_norm_relu(x, WIDTHS[1], 3, 1, seeds, name="top")
    bias = [math.log(RARE / (1 - RARE))] + [0.0] * (CHANNELS - 1)
    start = keras.initializers.RandomNormal(stddev=0.01, seed=next(seeds))
    # float32 whatever the dtype policy: bfloat16 rounds a centre 2 cells away by up to 0.06 pixels and a side by 0.4 %
    cells = layers.Conv2D(CHANNELS, 1, kernel_initializer=start, dtype="float32", name="cells")
    outputs = cells(x)
    cells.bias.assign(bias)
    return keras.Model(image, outputs, name="detector")


@keras.saving.register_keras_serializable("kp_tf")
class DetectorLoss(keras.losses.Loss):
    """The penalty-reduced focal loss of the heatmap (Zhou et al., equation 1), the absolute errors of centre and side,
    and one minus the cosine of the angle's error; each is a mean over the faces.

    `model.compile` takes it for targets (B, h, w, 8) of `training.detector.targets.render`.
    """

    def __init__(self, centre: float = 0.5, side: float = 1.5, angle: float = 0.5, **settings: Any) -> None:
        """Weights of the parts beside the focal loss."""
        super().__init__(**settings)
        self.weights = {"centre": centre, "side": side, "angle": angle}

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """(B,): the loss of each picture; a batch's faces are counted together."""
        y_true, y_pred = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
        heat, known, near = (y_true[..., k] for k in range(3))
        centres = ops.cast(heat > 0.999, "float32")
        count = ops.maximum(ops.mean(ops.sum(centres, axis=(1, 2))), 1.0)
        logit = y_pred[..., 0]
        face, log_face, log_other = ops.sigmoid(logit), ops.log_sigmoid(logit), ops.log_sigmoid(-logit)
        focal = -centres * (1 - face) ** 2 * log_face - (1 - centres) * (1 - heat) ** 4 * face**2 * log_other
        total = ops.sum(known * focal, axis=(1, 2)) / count
        weight = near / ops.maximum(ops.mean(ops.sum(near, axis=(1, 2))), 1.0)
        error = ops.abs(y_pred[..., 1:4] - y_true[..., 3:6])
        parts = {
            "centre": error[..., 0] + error[..., 1],
            "side": error[..., 2],
            "angle": 1 - _cosine(y_pred[..., 4:6], y_true[..., 6:8]),
        }
        return total + sum(self.weights[name] * ops.sum(weight * part, axis=(1, 2)) for name, part in parts.items())

    def get_config(self) -> dict:
        return {**super().get_config(), **self.weights}


def _cosine(vectors: Any, truth: Any) -> Any:
    """The cosine (…) between vectors (…, 2) and unit vectors (…, 2)."""
    length = ops.sqrt(ops.sum(vectors**2, axis=-1) + 1e-4)  # its gradient is finite at 0
    return ops.sum(vectors * truth, axis=-1) / length
