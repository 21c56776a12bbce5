"""The landmarks of samples, whose photographs `tf.data` decodes."""

from collections.abc import Iterator

import numpy as np

from kp_tf.artifacts.info import ModelInfo
from kp_tf.backends.network import Network
from kp_tf.core.errors import KpError
from kp_tf.data.samples import Samples, points_to_stored
from kp_tf.predict.cascade import run_cascade


def predict_samples(
    network: Network, samples: Samples, info: ModelInfo, framed: bool = False, flips: bool = False
) -> np.ndarray:
    """Predict the landmarks of every face in batches, while the next photographs are decoded.

    Args:
        network: from `backends.load_network`.
        samples: N faces with boxes; labels are not needed.
        info: the network's description.
        framed: the boxes are whole photographs; see `cascade.run_cascade`.
        flips: average each prediction with that of the mirrored crop.

    Returns:
        (N, K, 3): x and y in pixels of the photographs as stored, and the variance of the point's heatmap in units of
        the crop's side, NaN if the network has no heatmaps.

    Raises:
        KpError: if an image cannot be used, or flips are requested for points without flip partners.
    """
    from kp_tf.input.decode import stream_crops  # TensorFlow, which exported networks do not need

    if flips and info.scheme.flip_indices is None:
        raise KpError("--flips needs a network whose points have flip partners")
    orientations = samples.orientations()
    upright = samples.upright(orientations)

    def crop(faces: np.ndarray, windows: np.ndarray) -> Iterator[np.ndarray]:
        return stream_crops(upright.take(faces), windows, info.recipe.shape)

    sizes = np.array([orientation.size for orientation in orientations])
    outputs = run_cascade(network, info, crop, upright.boxes, sizes, framed, flips)
    points = points_to_stored(outputs[..., :2], orientations)
    return np.concatenate([points, outputs[..., 2:]], axis=-1)
