"""The faces of a recipe as `tf.data` batches, for a `fit` of one's own."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from kp_tf.core.errors import KpError
from kp_tf.core.keypoints import Scheme
from kp_tf.data.samples import Samples
from kp_tf.input.augment import training_transform, unchanged_transform
from kp_tf.input.batches import epoch_by_epoch, fixed_batches, training_batches
from kp_tf.models.build import build_network
from kp_tf.recipes import Recipe
from kp_tf.training.config import new_config
from kp_tf.training.faces import Loaded, load
from kp_tf.training.options import Options, values_from_python
from kp_tf.training.report import device_name


def load_data(
    part: int | None = None,
    labels: str | Path | None = None,
    *,
    recipe: str | None = None,
    data: str | Path | None = None,
    **options: Any,
) -> "FaceData":
    """Read and decode the faces that `train` would train on.

    Args:
        part: see `train`.
        labels: see `train`.
        recipe: see `train`; it determines the shape of the images and the augmentation.
        data: see `train`.
        **options: val_labels, scheme_file, allow_outside and skip_bad, see `train`.

    Raises:
        KpError: if an argument, labels or photographs cannot be used.
    """
    asked = values_from_python(part=part, labels=labels, recipe=recipe, data=data, **options)
    return FaceData(load(new_config(Options(**asked)), device_name()))


@dataclass(frozen=True)
class FaceData:
    """Decoded faces for training and for validation, from `load_data`.

    Images are (B, H, W, 1) float32 in [-0.5, 0.5]. Points are (B, K, 2) float32, x and y in the unit square of the
    image: (0, 0) is the image's top left corner, (1, 1) its bottom right one. Points may lie outside it, and are NaN
    where they are missing.
    """

    _loaded: Loaded = field(repr=False)

    @property
    def recipe(self) -> Recipe:
        """The recipe's settings, such as `epochs`, `batch_size` and `learning_rate`."""
        return self._loaded.info.recipe

    @property
    def scheme(self) -> Scheme:
        """What the K points are: `names`, `flip_indices`, and `eyes` for `NME`; `len(scheme)` is K."""
        return self._loaded.info.scheme

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of the images."""
        return self.recipe.shape

    @property
    def training(self) -> Samples:
        """The faces for training: `files`, `boxes` (N, 4) and `points` (N, K, 2) in pixels of the photographs."""
        return self._loaded.training.samples

    @property
    def validation(self) -> Samples:
        """The faces for validation, likewise."""
        return self._loaded.validation.samples

    def build_network(self, seed: int = 0) -> keras.Model:
        """The recipe's network with new weights, from images to points, not compiled."""
        return build_network(self.recipe, len(self.scheme), seed)

    def training_batches(
        self, batch_size: int | None = None, *, augment: bool = True, seed: int = 0
    ) -> tf.data.Dataset:
        """Images and points for `fit`. Each iteration over the data set is the next epoch, in another order.

        Args:
            batch_size: at least 1; the last batch of an epoch may be smaller. Default: the recipe's.
            augment: change images and points as the recipe does.
            seed: of order and augmentation. The epochs are those of `train` with this seed, apart from the weaker
                augmentation at the end of some recipes.

        Raises:
            KpError: if the batch size is below 1.
        """
        faces, size = self._loaded.training, self._size(batch_size)
        transform = (
            training_transform(self.recipe, self.scheme.flip_indices) if augment else unchanged_transform(self.recipe)
        )
        return epoch_by_epoch(
            lambda epoch: training_batches(faces.crops, faces.points_norm, size, seed, transform, epoch, epoch + 1),
            steps=math.ceil(len(faces) / size),
        )

    def validation_batches(self, batch_size: int | None = None) -> tf.data.Dataset:
        """Images and points of `validation`, in its order and without augmentation.

        Args:
            batch_size: at least 1; the last batch may be smaller. Default: the recipe's.

        Raises:
            KpError: if the batch size is below 1.
        """
        faces = self._loaded.validation
        return fixed_batches(faces.crops, faces.points_norm, self._size(batch_size))

    def _size(self, asked: int | None) -> int:
        if asked is not None and asked < 1:
            raise KpError(f"batch_size must be at least 1, not {asked}")
        return asked or self.recipe.batch_size
