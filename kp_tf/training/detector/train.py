"""Training of the detector: canvases, the network, checkpoints, and the faces found after some epochs."""

import json
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from kp_tf.artifacts.weights import load_weights, save_weights
from kp_tf.backends.keras_backend import as_cells
from kp_tf.backends.litert_file import write_litert
from kp_tf.core.centres import STRIDE
from kp_tf.core.errors import KpError
from kp_tf.core.files import read_json, replacing, write_json
from kp_tf.input.batches import scale_pixels
from kp_tf.models.detector import DetectorLoss, detector_network
from kp_tf.models.layers import folded
from kp_tf.predict.detectors.builtin import SIDES, find_centres
from kp_tf.training.adam import AdamW
from kp_tf.training.callbacks import StopOnInterrupt
from kp_tf.training.checkpoint import Checkpoint
from kp_tf.training.detector import scores
from kp_tf.training.detector.batches import Batch, batches, draw_batch
from kp_tf.training.detector.mosaics import Source
from kp_tf.training.detector.pictures import Picture, load, read_list
from kp_tf.training.detector.targets import TARGETS
from kp_tf.training.detector.warp import Similarity

SIDE = 320  # pixels of a canvas
WEIGHT_DECAY = 1e-4
WARMUP = 300  # steps
NUM_VALIDATION = 8  # batches of canvases for the validation loss
COUNT_EVERY = 5  # epochs
VALIDATION_SEED = 2**31  # no training's


def train(
    pictures: Path,
    out: Path,
    epochs: int,
    steps: int,
    batch: int,
    rate: float,
    seed: int,
    processes: int,
    init: Path | None = None,
) -> Path:
    """Train, or go on from the last epoch that OUT has.

    Args:
        pictures: JSON, see `pictures.read_list`.
        out: the run directory.
        epochs: of the whole training.
        steps: batches of an epoch.
        batch: canvases of a batch.
        rate: the highest learning rate.
        seed: of the network and the canvases.
        processes: that draw canvases.
        init: directory of the training whose weights this one starts from.

    Returns:
        OUT, which has the network as `detector.npz` and `detector.tflite`.

    Raises:
        KpError: if the pictures cannot be used, or OUT holds a training with other settings.
    """
    settings = {"epochs": epochs, "steps": steps, "batch": batch, "rate": rate, "seed": seed, "pictures": str(pictures)}
    settings |= {"init": str(init)} if init else {}
    entries = read_list(pictures)["validation"]
    _make_directory(out, settings)
    model = detector_network(seed)
    if init:
        load_weights(init / "detector.npz", model)
    model.compile(_optimizer(rate, epochs * steps), DetectorLoss())
    model.optimizer.build(model.trainable_variables)
    checkpoint = Checkpoint(out, model)
    first = checkpoint.restore(model)
    by_set = _by_set(entries)
    interruption = StopOnInterrupt()
    drawn = partial(batches, pictures, seed, first * steps, batch, SIDE, processes)
    with interruption:
        model.fit(
            _dataset(drawn, batch),
            steps_per_epoch=steps,
            initial_epoch=first,
            epochs=epochs,
            validation_data=_validation([picture for each in by_set.values() for picture in each], batch),
            callbacks=[interruption, checkpoint, CountFaces(by_set, out / "found.txt", epochs)],
            verbose=1 if sys.stdout.isatty() else 2,  # pyright: ignore[reportArgumentType]
            shuffle=False,  # the canvases are drawn at random
        )
    _write(model, settings, out)
    return out


class CountFaces(keras.callbacks.Callback):
    """After some epochs, counts the labelled faces that the network finds, prints and keeps the counts."""

    model: keras.Model  # while it trains

    def __init__(self, by_set: dict[str, list[Picture]], log: Path, epochs: int) -> None:
        """`log` is the file that the counts are added to; `epochs` are those of the whole training."""
        super().__init__()
        self._by_set, self._log, self._epochs = by_set, log, epochs

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if (epoch + 1) % COUNT_EVERY and epoch + 1 < self._epochs:
            return
        networks = (as_cells(self.model),) * len(SIDES)
        find = partial(find_centres, networks, threshold=min(scores.THRESHOLDS))
        lines = [f"epoch {epoch + 1}", *scores.lines(scores.count_by_set(find, self._by_set))]
        with self._log.open("a", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        print(*lines, sep="\n", flush=True)


def _write(model: keras.Model, settings: dict, out: Path) -> None:
    """Write the files that `backends.detector` loads."""
    about = {"detector": settings | {key: Path(settings[key]).name for key in ("pictures", "init") if key in settings}}
    save_weights(out / "detector.npz", model, about)
    with replacing(out / "detector.tflite") as temporary:
        write_litert(folded(model), about, "int8", temporary, batch=1)


def _make_directory(out: Path, settings: dict) -> None:
    """Make the run directory, or check that it belongs to the same training."""
    config = out / "config.json"
    if config.is_file() and read_json(config) != settings:
        raise KpError(f"{out} holds a training with other settings: {json.dumps(read_json(config))}")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise KpError(f"cannot make {out}: {error.strerror or error}") from None
    write_json(config, settings)


def _optimizer(rate: float, steps: int) -> keras.optimizers.Optimizer:
    warmup = min(WARMUP, steps // 10)
    schedule = keras.optimizers.schedules.CosineDecay(
        rate / 100, steps - warmup, alpha=0.005, warmup_target=rate, warmup_steps=warmup
    )
    optimizer = AdamW(
        schedule,  # pyright: ignore[reportArgumentType] Keras' annotation leaves out schedules
        weight_decay=WEIGHT_DECAY,
        global_clipnorm=5.0,
    )
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    return optimizer


def _dataset(drawn: partial, size: int) -> tf.data.Dataset:
    cells = SIDE // STRIDE
    signature = (
        tf.TensorSpec((size, SIDE, SIDE, 1), tf.uint8),
        tf.TensorSpec((size, cells, cells, TARGETS), tf.float32),
    )
    dataset = tf.data.Dataset.from_generator(drawn, output_signature=signature)
    return dataset.map(lambda canvases, targets: (scale_pixels(canvases), targets)).prefetch(2)


def _validation(some: list[Picture], size: int) -> Batch | None:
    """Canvases of validation pictures; none if there are none."""
    if not any(len(picture.boxes.faces) == 1 for picture in some):
        return None
    source = Source.of(some)
    drawn = [draw_batch(source, VALIDATION_SEED, number, size, SIDE) for number in range(NUM_VALIDATION)]
    canvases, targets = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
    return canvases.astype(np.float32) / 255 - 0.5, targets


def _by_set(entries: list[dict]) -> dict[str, list[Picture]]:
    """At most PER_SET pictures of each set, as they are."""
    by_set: dict[str, list[dict]] = {}
    for entry in entries:
        by_set.setdefault(entry.get("set", "pictures"), []).append(entry)
    spaced = {name: np.linspace(0, len(each) - 1, min(scores.PER_SET, len(each))) for name, each in by_set.items()}
    found = {
        name: load([by_set[name][k] for k in places.round().astype(int)], shrink=False)
        for name, places in spaced.items()
    }
    single = [picture for each in found.values() for picture in each if len(picture.boxes.faces) == 1]
    rng = np.random.default_rng(0)
    chosen = rng.permutation(len(single))[: scores.PER_SET]
    return {**found, "turned": [_turned(single[k], rng.uniform(-180, 180)) for k in chosen]}


def _turned(picture: Picture, angle: float) -> Picture:
    """A picture turned about its face, on a square."""
    side = max(picture.grey.shape)
    similarity = Similarity(1.0, angle, False, picture.boxes.faces[0, :2], np.full(2, side / 2))
    turned = similarity.warp(Image.fromarray(picture.grey), (side, side))
    return replace(picture, grey=np.asarray(turned), boxes=similarity.boxes(picture.boxes))
