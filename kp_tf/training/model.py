"""The network of a training, compiled, and the weights it starts from."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from kp_tf.artifacts.find import find_model
from kp_tf.artifacts.info import ModelInfo
from kp_tf.backends.keras_backend import load_keras_network, load_model
from kp_tf.backends.network import Network
from kp_tf.core.errors import KpError
from kp_tf.core.geometry import scale_boxes, to_pixels, to_unit
from kp_tf.data.samples import Samples, points_to_upright
from kp_tf.input.augment import window
from kp_tf.input.batches import scale_pixels
from kp_tf.input.decode import stream_crops
from kp_tf.models.heatmap import with_variance
from kp_tf.models.losses import NME, HeatmapLoss, WingLoss
from kp_tf.predict.cascade import BATCH_SIZE, predict_all
from kp_tf.predict.samples import predict_samples
from kp_tf.recipes import TEACHER_DEVIATION, TEACHER_TOLERANCE, Recipe
from kp_tf.training.adam import optimizer_of
from kp_tf.training.distributed import for_strategy
from kp_tf.training.faces import Faces

LOSSES = {"heatmap": HeatmapLoss, "wing": WingLoss}
NUM_MATCHED = 256  # faces on which the points of one scheme are matched with those of another


def compiled(model: keras.Model, recipe: Recipe, eyes: tuple[int, int] | None, steps: int) -> keras.Model:
    """The model ready for `fit`: the same layers, with the variance as a further output if it has heatmaps.

    Args:
        model: from `build_network`, or the user's own.
        recipe: its loss and optimizer.
        eyes: of the scheme, for NME as a metric.
        steps: optimizer steps in an epoch.
    """
    model = for_strategy(with_variance(model) if recipe.loss == "heatmap" else model)
    if recipe.loss in LOSSES:
        metrics = [NME(eyes)] if eyes else []
        model.compile(optimizer_of(recipe, steps), LOSSES[recipe.loss](**recipe.loss_settings), metrics=metrics)
    elif recipe.loss != "own":
        model.compile(optimizer_of(recipe, steps), recipe.loss)
    # otherwise the first step creates the optimizer's variables, and is traced twice
    model.optimizer.build(model.trainable_variables)
    return model


def start_from_init(model: keras.Model, info: ModelInfo, faces: Faces) -> None:
    """Set the weights to those of the recipe's `init`, matching points of other names on some training faces."""
    recipe = info.recipe

    def windows() -> tuple[np.ndarray, np.ndarray]:
        extent = (recipe.crop_scale or 1.0) / recipe.stored_scale
        present = (~np.isnan(faces.points_norm[..., 0])).argmax(axis=0)  # a face that has the point, for each point
        chosen = np.union1d(np.arange(min(NUM_MATCHED, len(faces))), present)
        crops, points = faces.crops_of(chosen).astype("f4"), faces.points_norm[chosen].astype("f4")
        images, points_norm = window(tf.constant(crops), tf.constant(points), recipe.shape, extent)
        return scale_pixels(images).numpy(), points_norm.numpy()

    copy_weights(model, find_model(recipe.init), info.scheme.names, windows)


def copy_weights(
    model: keras.Model,
    source: ModelInfo,
    names: Sequence[str],
    windows: Callable[[], tuple[np.ndarray, np.ndarray]],
) -> None:
    """Set a network's weights to those of another.

    If the points have other names, each starts as the point of `source` that is nearest to it on some faces: it takes
    that point's share of the last layer, which is that of heatmaps.

    Args:
        model: of the same layers, but maybe other points.
        source: the network to copy.
        names: of the model's points.
        windows: returns images (N, H, W, 1) in [-0.5, 0.5] of some faces and their points (N, K, 2) in the unit square
            of the images, NaN where one is missing; called if the names differ.

    Raises:
        KpError: if `source` has other layers, or other points and no heatmaps.
    """
    network = load_model(source)
    if network.input_shape != model.input_shape or _shapes(network) != _shapes(model):
        raise KpError(f"--init {source.path}: its layers are not those of the network to be trained")
    weights = {weight.path: np.asarray(keras.ops.convert_to_numpy(weight)) for weight in network.weights}
    if source.scheme.names != tuple(names):
        if not source.recipe.has_heatmaps:
            raise KpError(f"--init {source.path}: its points are not those of the network to be trained")
        images, points_norm = windows()
        batches = np.array_split(images, -(-len(images) // BATCH_SIZE))
        predicted = np.concatenate([network.predict_on_batch(batch) for batch in batches])
        distances = np.linalg.norm(points_norm[:, :, None] - predicted[:, None], axis=-1)
        nearest = np.nanmean(distances, axis=0).argmin(axis=1)  # of the (K, old K) means
        for path in ("scores/kernel", "scores/bias"):
            by_point = weights[path].reshape(*weights[path].shape[:-1], -1, predicted.shape[1])
            weights[path] = by_point[..., nearest].reshape(*weights[path].shape[:-1], -1)
    for weight in model.weights:
        weight.assign(weights[weight.path])


def _shapes(model: keras.Model) -> dict[str, tuple[int, ...]]:
    """The shapes of all weights but those of the last layer, whose size depends on the points."""
    return {weight.path: tuple(weight.shape) for weight in model.weights if not weight.path.startswith("scores/")}


def targets_of(recipe: Recipe, faces: Faces) -> tuple[np.ndarray, tuple[int, ...] | None]:
    """What a network learns on training faces (N), in the unit square of the stored crops, and its flip partners.

    Returns:
        The labels (N, K, 2) or, with a teacher, (N, 2 K, 2): its points after them, as `HeatmapLoss` takes them.
    """
    labels, flip_indices = faces.points_norm, faces.samples.scheme.flip_indices
    if not recipe.teacher:
        return labels, flip_indices
    both = flip_indices and (*flip_indices, *(labels.shape[1] + partner for partner in flip_indices))
    return np.concatenate([labels, teacher_points(recipe, faces)], axis=1), both


def teacher_points(recipe: Recipe, faces: Faces) -> np.ndarray:
    """The teacher's points (N, K, 2) on the training photographs, in the unit square of the stored crops.

    They move with the picture in augmentation, so the teacher need not see it again. They scatter less than labels
    made by hand, and learning from them adds no time to a step (after Hinton et al., Distilling the Knowledge in a
    Neural Network, 2015). Where the teacher is wrong, or not certain of itself, a point is NaN, see `_believed`. So are
    all points of the faces that another machine keeps.

    Raises:
        KpError: if the teacher has other points.
    """
    info, own = find_model(recipe.teacher), faces.own
    samples, windows = faces.samples.take(own), faces.windows[own]
    if info.scheme != samples.scheme:
        raise KpError(f"--teacher {recipe.teacher}: its points are not those of {samples.scheme.name}")
    network, flips = load_keras_network(info), samples.scheme.flip_indices is not None
    if windows.shape[1] == 5:  # where the faces are is known, so the last pass is enough
        points, variance = _in_rotated_windows(network, info, recipe, faces.upright.take(own), windows)
    else:
        outputs = predict_samples(network, samples, info, flips=flips)
        points, variance = points_to_upright(outputs[..., :2], samples.orientations()), outputs[..., 2]
    extent = (recipe.crop_scale or 1.0) / recipe.stored_scale
    believed = _believed(to_unit(points, windows) / extent, faces.points_norm[own] / extent, variance) * extent
    result = np.full(faces.points_norm.shape, np.nan, np.float32)
    result[own] = believed
    return result


def _in_rotated_windows(
    network: Network, info: ModelInfo, recipe: Recipe, upright: Samples, windows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """A network's points (N, K, 2), in pixels of the upright photographs, and variance (N, K) in its last windows."""
    scale = (info.recipe.crop_scale or 1.0) / recipe.stored_scale
    windows = scale_boxes(windows, scale)
    crops = stream_crops(upright, windows, info.recipe.shape)
    outputs = predict_all(network, crops, info)
    return to_pixels(outputs[..., :2], windows), outputs[..., 2]


def _believed(points: np.ndarray, labels: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """A teacher's points, NaN where they are not to be learned.

    Args:
        points: (N, K, 2) in units of the window's side.
        labels: (N, K, 2) likewise; NaN where there is none.
        variance: (N, K) of the heatmaps, in the square of that unit; NaN if there are none.

    Returns:
        (N, K, 2). A point is NaN if it is farther from its label than `TEACHER_TOLERANCE` or, without a label, if its
        heatmap is wider than `TEACHER_DEVIATION`; all points of a face are if they are as far in the mean.
    """
    distances = np.linalg.norm(points - labels, axis=-1)
    labelled = ~np.isnan(distances)
    means = np.where(labelled, distances, 0).sum(axis=1) / np.maximum(labelled.sum(axis=1), 1)
    doubted = np.where(labelled, distances > TEACHER_TOLERANCE, variance > TEACHER_DEVIATION**2)
    doubted |= (means > TEACHER_TOLERANCE)[:, None]
    return np.where(doubted[..., None], np.nan, points)
