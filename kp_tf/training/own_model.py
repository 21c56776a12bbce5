"""Training a Keras model of the user's instead of the recipe's network."""

from collections.abc import Sequence
from dataclasses import replace

import keras

from kp_tf.core.errors import KpError
from kp_tf.recipes import Recipe
from kp_tf.training import distributed
from kp_tf.training.config import TrainConfig
from kp_tf.training.options import Options

_WING = ("w", "epsilon", "pixels")  # of the settings of the heatmap loss


def check_options(model: object, callbacks: Sequence, options: Options, devices: int | None) -> None:
    """Refuse what is no model, what are no callbacks, and options that concern the recipe's own network.

    Raises:
        KpError: naming the first argument that cannot be used.
    """
    for callback in callbacks:
        if not isinstance(callback, keras.callbacks.Callback):
            raise KpError(f"callbacks: expected objects of keras.callbacks, found {callback!r}")
    if model is None:
        return
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise KpError(f"model: expected a functional or sequential Keras model with an Input, found {model!r}")
    if (devices or 1) > 1 or distributed.machines()[0] > 1:
        raise KpError("model: a model of your own can be trained on one device only")
    named = {name: getattr(options, name) for name in ("init", "teacher", "precision")}
    if model.compiled:
        named["learning_rate"] = options.learning_rate
    for name, value in named.items():
        if value is not None:
            kind = "compiled " if name == "learning_rate" else ""
            raise KpError(f"{name} and a {kind}model of your own cannot be used together")


def with_own_model(config: TrainConfig, model: keras.Model) -> TrainConfig:
    """The settings of a new training of the user's model: the recipe's data, augmentation and schedule.

    The loss is the recipe's or, instead of that of heatmaps, its wing loss; a compiled model keeps its own.

    Raises:
        KpError: if the recipe cannot do without heatmaps.
    """
    recipe = config.recipe
    if recipe.takes_whole_photographs and recipe.num_passes > 1:
        raise KpError(
            f"model: the recipe {recipe.name} of part {recipe.part} finds the face by heatmaps, which a model of your "
            "own does not have; use the recipe course"
        )
    loss = "own" if model.compiled else {"heatmap": "wing"}.get(recipe.loss, recipe.loss)
    settings = {name: recipe.loss_settings[name] for name in _WING} if loss == "wing" else {}
    changes = {"network": "own", "settings": {}, "init": None, "teacher": None, "precision": "float32"}
    return replace(config, recipe=replace(recipe, **changes, loss=loss, loss_settings=settings))


def check_resumed(config: TrainConfig, model: keras.Model | None) -> None:
    """Refuse to resume a run without the model that it trains, or with another one.

    Raises:
        KpError: if one of them has a model of the user's and the other has not, or the model is not compiled.
    """
    is_own = config.recipe.network == "own"
    if model is None and is_own:
        raise KpError("the run trains a model of your own; pass it again as model to kp_tf.train")
    if model is not None and not is_own:
        raise KpError("model: the run trains the recipe's network; leave the model out to continue it")
    if model is not None and config.recipe.loss == "own" and not model.compiled:
        raise KpError("model: the run began with a compiled model; compile this one in the same way")


def check_shapes(model: keras.Model, recipe: Recipe, num_points: int) -> None:
    """Refuse a model that does not go from the recipe's pictures to the points.

    Raises:
        KpError: with the shapes that are needed.
    """
    needed = (None, *recipe.shape, 1), (None, num_points, 2)
    if (model.input_shape, model.output_shape) != needed:
        raise KpError(
            f"model: it goes from {model.input_shape} to {model.output_shape}; this training needs a model from "
            f"{needed[0]} to {needed[1]}"
        )


def uncompiled(model: keras.Model) -> keras.Model:
    """The same layers and weights in a model without loss and optimizer, which may need code that others lack."""
    return keras.Model(model.inputs, model.outputs, name=model.name)
