"""A network, its batches and its callbacks, and the training itself."""

import errno
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import keras
import tensorflow as tf

from kp_tf.artifacts.runs import reopen
from kp_tf.core.errors import KpError
from kp_tf.core.files import replacing, write_json
from kp_tf.input.augment import training_transform
from kp_tf.input.batches import NO_END, fixed_batches, training_batches
from kp_tf.models.build import build_network
from kp_tf.predict.cascade import BATCH_SIZE
from kp_tf.recipes import COOLDOWN_STRENGTH
from kp_tf.training import distributed
from kp_tf.training.callbacks import StopOnInterrupt, StopOnNonFinite
from kp_tf.training.checkpoint import Checkpoint, checkpoint_of
from kp_tf.training.config import TrainConfig
from kp_tf.training.faces import Loaded
from kp_tf.training.model import compiled, start_from_init, targets_of
from kp_tf.training.own_model import check_shapes, uncompiled
from kp_tf.training.progress import Progress


@dataclass(frozen=True)
class Fitting:
    """A network that is ready to be trained, with its batches and callbacks.

    Attributes:
        config: of the training.
        faces: what was read.
        strategy: of TensorFlow.
        path: the run directory; None if the training is new and this machine is not the chief.
        model: in float32, which is saved.
        trained: the same network in the precision of the training; `model` itself in float32 on one device.
        fitted: `trained`, compiled.
        batches_from: training batches from an epoch on.
        steps: in an epoch.
        checkpoint: of the run directory, which the chief alone writes to.
        interruption: whether Ctrl-C stopped the training.
    """

    config: TrainConfig
    faces: Loaded
    strategy: tf.distribute.Strategy
    path: Path | None
    model: keras.Model
    trained: keras.Model
    fitted: keras.Model
    batches_from: Callable[[int], tf.data.Dataset]
    steps: int
    checkpoint: Checkpoint | None
    interruption: StopOnInterrupt

    def of_chief(self) -> tuple[Path, Checkpoint]:
        """The run directory and its checkpoint, on the chief.

        Raises:
            RuntimeError: on another machine.
        """
        if self.path is None or self.checkpoint is None:
            raise RuntimeError("only the chief has a run directory")
        return self.path, self.checkpoint


def build(
    config: TrainConfig,
    faces: Loaded,
    strategy: tf.distribute.Strategy,
    make_directory: Callable[[str], Path],
    begun: Path | None = None,
    own: keras.Model | None = None,
) -> Fitting:
    """Build and compile the network, make its batches and the run directory.

    Args:
        config: of the training.
        faces: to train on.
        strategy: of TensorFlow.
        make_directory: makes the run directory, or returns that of a resumed run.
        begun: the run that is resumed; its checkpoint, if there is one, will be restored on every machine.
        own: a model of the user's to train, instead of the recipe's network.

    Raises:
        KpError: if `own` does not fit the faces.
    """
    info = faces.info
    recipe, num_points = info.recipe, len(info.scheme)
    if own:
        check_shapes(own, recipe, num_points)
        model = trained = own if recipe.loss == "own" else uncompiled(own)
    else:
        with strategy.scope():
            trained = build_network(recipe, num_points, config.seed, recipe.precision)
        is_plain = recipe.precision == "float32" and strategy.num_replicas_in_sync == 1
        model = trained if is_plain else build_network(recipe, num_points, config.seed)
    distributed.synchronize_batch_norm(trained, strategy)
    if recipe.init and not checkpoint_of(begun):
        start_from_init(trained, info, faces.training)
    batches_from = make_batches(config, faces, strategy)
    steps = distributed.num_steps(strategy, len(faces.training), recipe.batch_size, faces.training.shards)
    with strategy.scope():
        fitted = compiled(trained, recipe, info.scheme.eyes, steps)
    path, split = begun, faces.split  # to which every machine contributes
    if distributed.is_chief():
        path = make_directory(config.label)
        reopen(path)
        write_json(path / "config.json", {"format": 2, **config.to_json(), **info.to_json()})
        write_json(path / "split.json", split)
        _write_architecture(path / "architecture.txt", uncompiled(model))
    checkpoint = Checkpoint(path, trained, config.keep) if path else None
    interruption = StopOnInterrupt(lambda requested: bool(distributed.total(strategy, requested)))
    return Fitting(config, faces, strategy, path, model, trained, fitted, batches_from, steps, checkpoint, interruption)


def make_batches(
    config: TrainConfig, faces: Loaded, strategy: tf.distribute.Strategy
) -> Callable[[int], tf.data.Dataset]:
    """Training batches from an epoch on; the last epochs of some recipes have weaker augmentation."""
    recipe, training = faces.info.recipe, faces.training
    targets, flip_indices = targets_of(recipe, training)
    cooldown = recipe.cooldown_epoch

    def batches(strength: float, first: int, until: int) -> tf.data.Dataset:
        return training_batches(
            training.crops,
            targets,
            recipe.batch_size,
            config.seed,
            training_transform(recipe, flip_indices, strength),
            first,
            until,
            divide=distributed.divided(strategy, training.shards),
        )

    def batches_from(epoch: int) -> tf.data.Dataset:
        if not recipe.cooldown_fraction:
            return batches(1.0, epoch, NO_END)
        return batches(1.0, epoch, cooldown).concatenate(batches(COOLDOWN_STRENGTH, max(epoch, cooldown), NO_END))

    return batches_from


def fit(fitting: Fitting, extra_callbacks: Sequence[keras.callbacks.Callback] = ()) -> None:
    """Train from the last checkpoint, if there is one, to the last epoch, or until Ctrl-C."""
    recipe, validation, strategy = fitting.faces.info.recipe, fitting.faces.validation, fitting.strategy
    val_batch = recipe.batch_size * max(1, BATCH_SIZE // recipe.batch_size)
    is_chief, first, callbacks = distributed.is_chief(), 0, []
    if fitting.checkpoint:
        with strategy.scope():  # each device has its own variables of the optimizer too
            first = fitting.checkpoint.restore(fitting.fitted)
    if is_chief:
        path, checkpoint = fitting.of_chief()
        callbacks = [checkpoint, keras.callbacks.TensorBoard(str(path / "logs"))]
        if fitting.config.labels:
            callbacks.append(Progress(path, fitting.trained, validation))
    if fitting.fitted.optimizer.use_ema:  # validation sees the averages, and `fit` leaves them in the end
        callbacks.append(keras.callbacks.SwapEMAWeights())
    check = StopOnNonFinite(lambda epoch, batch: next(iter(fitting.batches_from(epoch).skip(batch))))

    def validation_batches() -> tf.data.Dataset:
        return fixed_batches(
            validation.crops,
            validation.points_norm,
            val_batch,
            divide=distributed.divided(strategy, validation.shards),
        )

    with fitting.interruption, full_disk_named(fitting.path):
        fitting.fitted.fit(
            distributed.distribute(strategy, lambda: fitting.batches_from(first)),
            steps_per_epoch=fitting.steps,
            initial_epoch=first,
            epochs=recipe.epochs,
            validation_data=distributed.distribute(strategy, validation_batches),
            validation_steps=distributed.num_steps(strategy, len(validation), val_batch, validation.shards),
            shuffle=False,  # training_batches has shuffled already
            callbacks=[check, fitting.interruption, *callbacks, *extra_callbacks],
            verbose=(1 if sys.stdout.isatty() else 2) if is_chief else 0,
        )


@contextmanager
def full_disk_named(run: Path | None) -> Iterator[None]:
    """Turn the error of TensorBoard's writer on a full disk into a KpError."""
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:  # or there is too little memory
        if os.strerror(errno.ENOSPC) not in str(error):
            raise
        raise KpError(f"cannot write {run}: {os.strerror(errno.ENOSPC)}") from None


def _write_architecture(path: Path, model: keras.Model) -> None:
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        model.summary(line_length=100, print_fn=lambda line: file.write(line + "\n"))
