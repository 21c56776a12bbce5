"""A recipe and records to a run, in the order it happens."""

import os
import platform
import sys
import time
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from kp_tf import metrics
from kp_tf.augment import DRAWS
from kp_tf.errors import KpError
from kp_tf.files import replacing, write_json
from kp_tf.geometry import crop_windows, to_pixels, to_unit
from kp_tf.networks import build, compiled, transform
from kp_tf.pipeline import decode, fixed_batches, training_batches
from kp_tf.readers.datasets import Data, find_data, read_labelled, split
from kp_tf.readers.records import Records
from kp_tf.recipes import RECIPES, Recipe
from kp_tf.report import condition_errors, draw_test, draw_training, draw_validation, heading, test_examples
from kp_tf.runs import check_free, new_run
from kp_tf.schemes import SCHEMES

LOSSES = {
    "mse": "mean squared error (unit square)",
    "mae": "mean absolute error (unit square)",
    "heatmap": "wing loss and spread of the heatmaps",
}


def train(
    part: int,
    data: str | None = None,
    out: Path | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    seed: int = 0,
    overwrite: bool = False,
    recipe: str = "course",
) -> Path:
    """Train one part and leave a run directory behind (see runs.py).

    Args:
        part: 1 nose, 2 IMM's 58 points, 3 iBUG's 68 points.
        data: see `readers.datasets.find_data`.
        out: see `runs.new_run`.
        epochs: instead of the recipe's, at least 1; `batch_size` likewise.
        seed: of weights, order and augmentation, at least 0.
        overwrite: see `runs.new_run`.
        recipe: the recipe's name.

    Returns:
        The run directory.

    Raises:
        KpError: if an argument, the data or a file of it is bad. No run directory is made then.
    """
    for name, value, least in (("--epochs", epochs, 1), ("--batch-size", batch_size, 1), ("--seed", seed, 0)):
        if value is not None and value < least:
            raise KpError(f"{name}: expected a number of at least {least}, found {value}")
    if out is not None:
        check_free(out, overwrite)
    if (recipe, part) not in RECIPES:
        raise KpError(f"--recipe {recipe}: expected a recipe that part {part} has, found {recipe} for part 3 alone")
    given = {"epochs": epochs, "batch_size": batch_size}
    settings = replace(RECIPES[recipe, part], **{name: value for name, value in given.items() if value})
    source = find_data(data, settings.dataset)

    records = read_labelled(source, settings.dataset, SCHEMES[settings.scheme])
    training, validation = (records.take(side) for side in split(records, settings.dataset))
    device = _device()
    print(
        f"Part {part}, recipe {recipe}: {len(training)} training and {len(validation)} validation images of "
        f"{source.root}{' (drawn sample)' if source.sample else ''}, on {device}"
    )
    stored = (settings.stored_shape, settings.stored_scale) if settings.stored_shape else None
    seen = (settings.shape, settings.crop_scale)
    train_crops, train_units = _prepare(training, *(stored or seen))
    val_crops, val_units = _prepare(validation, *seen)
    examples = test_examples(source) if settings.dataset == "ibug" else None
    if examples:  # a bad one is found now, not when it is drawn after the training
        decode(examples, crop_windows(examples.boxes, settings.crop_scale), settings.shape)
    batches = training_batches(train_crops, train_units, settings.batch_size, seed, transform(settings), DRAWS)
    val_batches = fixed_batches(val_crops, val_units, settings.batch_size)

    run = new_run(f"part{part}-{recipe}{'-sample' if source.sample else ''}", out, overwrite)
    write_json(run / "config.json", _config(settings, source, seed))
    write_json(run / "split.json", {"training": training.files, "validation": validation.files})
    model = build(settings, seed)
    _write_architecture(run / "architecture.txt", model)

    trained = build(settings, seed, settings.precision)
    steps = -(-len(training) // settings.batch_size)
    times = _EpochTimes()
    logs = [keras.callbacks.CSVLogger(run / "history.csv"), keras.callbacks.TensorBoard(run / "logs")]
    history = compiled(trained, settings, steps).fit(
        batches,
        steps_per_epoch=steps,
        epochs=settings.epochs,
        validation_data=val_batches,
        shuffle=False,  # the batches are
        callbacks=[times, *logs],
        verbose=1 if sys.stdout.isatty() else 2,
    )
    model.set_weights(trained.get_weights())  # whatever it was trained in, it is kept and judged in float32
    with replacing(run / "model.keras") as temporary:
        model.save(temporary)

    windows = crop_windows(validation.boxes, settings.crop_scale)
    predicted = to_pixels(model.predict(val_batches, verbose=0), windows)
    mean_shape = metrics.mean_shape(to_unit(training.points, crop_windows(training.boxes, settings.crop_scale)))
    average = to_pixels(np.repeat(mean_shape[None], len(validation), axis=0), windows)
    report = {
        "part": part,
        "recipe": recipe,
        "dataset": "sample" if source.sample else settings.dataset,
        "training_images": len(training),
        "validation_images": len(validation),
        "epochs": settings.epochs,
        "optimizer_steps": steps * settings.epochs,
        **_scores(predicted, average, validation),
        "seconds_per_epoch": [round(seconds, 2) for seconds in times.seconds],
        "device": device,
        "versions": _versions(),
    }
    is_imm = settings.dataset == "imm"
    if is_imm:
        errors = metrics.face_errors(predicted, validation.points)
        report["val_mean_error_px_by_condition"] = condition_errors(validation, errors)

    pictures, head = run / "figures", heading(part, recipe, source.sample)
    pictures.mkdir()
    draw_training(pictures, head, next(iter(batches)), history.history, LOSSES[settings.loss], model)
    draw_validation(pictures, head, validation, predicted, average, by_condition=is_imm)
    if examples:
        draw_test(pictures, head, examples, model, settings.crop_scale)
    write_json(run / "metrics.json", {**report, "completed": datetime.now(UTC).isoformat()})
    _say(run, report)
    return run


def _prepare(records: Records, shape: tuple[int, int], scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Crops (N, H, W, 1) uint8 of `scale` boxes, and points (N, K, 2) in their unit square."""
    windows = crop_windows(records.boxes, scale)
    return decode(records, windows, shape), to_unit(records.points, windows)


def _scores(predicted: np.ndarray, average: np.ndarray, records: Records) -> dict[str, float]:
    """The network's errors on the validation faces beside those of always answering the mean shape."""
    truth, eyes = records.points, records.scheme.eyes
    scores = {
        "val_mae_px": metrics.mean_absolute_error(predicted, truth),
        "val_mean_error_px": metrics.face_errors(predicted, truth).mean(),
        "mean_shape_error_px": metrics.face_errors(average, truth).mean(),
    }
    if len(records.scheme) > 1:  # a single point moved onto the truth has no error
        scores["val_aligned_error_px"] = metrics.aligned_error(predicted, truth).mean()
        scores["mean_shape_aligned_error_px"] = metrics.aligned_error(average, truth).mean()
    if eyes:
        scores["val_nme"] = metrics.nme(predicted, truth, eyes).mean()
        scores["mean_shape_nme"] = metrics.nme(average, truth, eyes).mean()
    return {name: round(float(value), 6) for name, value in scores.items()}


def _say(run: Path, report: dict) -> None:
    print(
        f"Validation: mean error {report['val_mean_error_px']:.2f} px "
        f"(always answering the mean shape: {report['mean_shape_error_px']:.2f} px)",
        end="",
    )
    if "val_nme" in report:
        nme, mean_shape = 100 * report["val_nme"], 100 * report["mean_shape_nme"]
        print(f", NME {nme:.2f} % of the inter-ocular distance (mean shape: {mean_shape:.2f} %)", end="")
    print(f"\nEverything is in {run}, pictures in {run / 'figures'}")


class _EpochTimes(keras.callbacks.Callback):
    """Seconds of each epoch, its validation included."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.seconds.append(time.perf_counter() - self._start)


def _device() -> str:
    """Name the device that TensorFlow will place the training on; a GPU's memory then grows as needed."""
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    if gpus:
        names = [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus]
        return f"GPU {', '.join(names)}"
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"CPU {names[0] if names else platform.machine()}, {os.cpu_count()} cores"


def _config(recipe: Recipe, source: Data, seed: int) -> dict:
    settings = {"recipe" if name == "name" else name: value for name, value in asdict(recipe).items()}
    return {**settings, "seed": seed, "data": str(source.root), "sample": source.sample}


def _versions() -> dict[str, str]:
    versions = {"tensorflow": tf.__version__, "keras": keras.__version__, "numpy": np.__version__}
    return {"python": platform.python_version(), **versions}


def _write_architecture(path: Path, model: keras.Model) -> None:
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        model.summary(line_length=100, print_fn=lambda line: file.write(line + "\n"))
