"""A recipe's network, built and compiled, and its augmentation."""

from collections.abc import Sequence

import keras

from kp_tf.core.keypoints import Scheme
from kp_tf.input.augment import Augmentation, augment, flip
from kp_tf.input.pipeline import Transform
from kp_tf.models.cnn import cnn
from kp_tf.models.heatmap import heatmap_network, with_spread
from kp_tf.models.losses import heatmap_loss, nme
from kp_tf.models.resnet18 import resnet18
from kp_tf.recipes import Recipe
from kp_tf.training.keras20585 import bridged

NETWORKS = {"cnn": cnn, "resnet18": resnet18, "heatmap": heatmap_network}


def build(recipe: Recipe, points: int, seed: int, precision: str = "float32") -> keras.Model:
    """The recipe's network for K points with new weights; it computes in the precision (Keras' dtype policy)."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        return NETWORKS[recipe.network](recipe.shape, points, seed=seed, **recipe.settings)
    finally:
        keras.config.set_dtype_policy(before)


def compiled(model: keras.Model, recipe: Recipe, scheme: Scheme, steps: int) -> keras.Model:
    """The model ready to fit with `steps` optimizer steps an epoch: the same layers, maybe with more outputs."""
    if recipe.loss != "heatmap":
        model = bridged(model)
        model.compile(_optimizer(recipe, steps), recipe.loss)
    else:
        model = bridged(with_spread(model))
        loss = heatmap_loss(**recipe.loss_settings)
        model.compile(_optimizer(recipe, steps), loss, metrics=[nme(scheme.eyes)] if scheme.eyes else [])
    model.optimizer.build(model.trainable_variables)  # else the first step makes its variables, and is traced twice
    return model


def _optimizer(recipe: Recipe, steps: int) -> keras.optimizers.Optimizer:
    if recipe.weight_decay is None:
        return keras.optimizers.Adam(recipe.learning_rate, epsilon=1e-8)  # PyTorch's epsilon
    warmup = min(recipe.warmup_epochs, recipe.epochs - 1) * steps
    rate = keras.optimizers.schedules.CosineDecay(
        recipe.learning_rate / 100 if warmup else recipe.learning_rate,
        recipe.epochs * steps - warmup,
        alpha=0.005,
        warmup_target=recipe.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay, global_clipnorm=5.0)
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    return optimizer


def transform(recipe: Recipe, mirror: Sequence[int] | None, strength: float = 1.0) -> Transform:
    """The recipe's augmentation of a training batch: from the crops that are kept to the network's input.

    Points without mirror partners are not flipped; `strength` is of all but flips.
    """
    settings = {name: strength * value for name, value in recipe.augmentation.items()}
    settings["flip"] = recipe.augmentation.get("flip", 0.0) if mirror else 0.0
    if recipe.stored_shape is None:
        share = settings["flip"]
        return lambda images, points, draws: flip(images, points, draws[:, 0] < share, mirror)
    extent = recipe.crop_scale / recipe.stored_scale
    return lambda images, points, draws: augment(
        images, points, draws, Augmentation(**settings), mirror, recipe.shape, extent
    )
