"""What every backend provides, and the checks that exported files share."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np

from kp_tf.artifacts.info import ModelInfo
from kp_tf.core.errors import KpError
from kp_tf.core.files import check_regular

Network: TypeAlias = Callable[[np.ndarray], np.ndarray]
"""(B, H, W, 1) float32 in [-0.5, 0.5] to (B, K, 3): x and y in the unit square, and their variance in units of the
crop's side, NaN if the network has no heatmaps."""

Cells: TypeAlias = Callable[[np.ndarray], np.ndarray]
"""From grey pictures (B, H, W, 1) in [-0.5, 0.5], whose sides are multiples of 32, to cells (B, H / 8, W / 8, 6), see
`models.detector.detector_network`."""

MAX_FILE_BYTES = 500_000_000
INSTALL = "pip install ai-edge-litert onnxruntime"


def pad_variance(outputs: np.ndarray) -> np.ndarray:
    """Outputs (B, K, 2 or 3) to (B, K, 3), with NaN for a variance that the network does not have."""
    if outputs.shape[-1] == 3:
        return outputs
    return np.concatenate([outputs, np.full((*outputs.shape[:-1], 1), np.nan, np.float32)], axis=-1)


def check_file(path: Path) -> None:
    """Refuse an exported file that is missing or far too large. Raises KpError."""
    check_regular(path)
    if path.stat().st_size > MAX_FILE_BYTES:
        raise KpError(f"cannot read {path}: it has more than {MAX_FILE_BYTES:,} bytes")


def not_exported(path: Path, reason: object) -> KpError:
    """The error for a file that `export` did not write."""
    return KpError(f"{path}: expected a network that `python -m kp_tf export` wrote, found: {reason}")


Tensors: TypeAlias = Sequence[tuple[Sequence[int], bool]]
"""The inputs or outputs of a model: the shape of each, and whether it is of float32."""


def check_tensors(info: ModelInfo, inputs: Tensors, outputs: Tensors) -> None:
    """Refuse a model without exactly one input and one output of float32 whose shapes, without the batch's, match its
    settings. Raises KpError."""
    expected = (*info.recipe.shape, 1), (len(info.scheme), 3 if info.recipe.has_heatmaps else 2)
    for name, tensors, shape in zip(("inputs", "outputs"), (inputs, outputs), expected, strict=True):
        if [(tuple(found[1:]), is_float) for found, is_float in tensors] != [(shape, True)]:
            found = ", ".join(f"{list(found)}{'' if is_float else ' (not float32)'}" for found, is_float in tensors)
            raise not_exported(info.path, f"{name} {found or 'none'}, not one of [batch, {str(list(shape))[1:]}")
