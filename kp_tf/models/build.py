"""A recipe's network with new weights."""

import keras

from kp_tf.models.cnn import cnn
from kp_tf.models.heatmap import heatmap_network
from kp_tf.models.resnet18 import resnet18
from kp_tf.recipes import Recipe

_BUILDERS = {"cnn": cnn, "resnet18": resnet18, "heatmap": heatmap_network}


def build_network(recipe: Recipe, num_points: int, seed: int, precision: str = "float32") -> keras.Model:
    """Build the recipe's network.

    Args:
        recipe: names the network, its settings and its input.
        num_points: K.
        seed: determines the weights.
        precision: Keras' dtype policy to compute in.

    Returns:
        A model from (B, H, W, 1) in [-0.5, 0.5] to (B, K, 2) in the unit square of the crop.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        return _BUILDERS[recipe.network](recipe.shape, num_points, seed=seed, **recipe.settings)
    finally:
        keras.config.set_dtype_policy(before)
