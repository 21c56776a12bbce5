"""A recipe and records to a run, in the order it happens."""

import hashlib
import json
import os
import platform
import sys
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from datetime import UTC, datetime
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from kp_tf.artifacts.runs import Run, check_free, clear_leftovers, is_complete, locked, new_run
from kp_tf.artifacts.weights import choose_run
from kp_tf.backends.engines import Network
from kp_tf.backends.inference import for_prediction, load_network, predict_outputs, predict_records, start_from
from kp_tf.core.errors import SHOWN, KpError, raise_all
from kp_tf.core.files import read_json, replacing, write_json
from kp_tf.core.geometry import Framing, crop_windows, half_needed, to_pixels, to_unit
from kp_tf.core.keypoints import SCHEMES, describe
from kp_tf.data.datasets import Data, read_labelled, read_own, split, with_face_boxes
from kp_tf.data.samples import Records
from kp_tf.evaluate import metrics
from kp_tf.evaluate.report import (
    condition_errors,
    draw_test,
    draw_training,
    draw_validation,
    heading,
    test_examples,
)
from kp_tf.input.augment import DRAWS, window
from kp_tf.input.pipeline import BATCH, decode, fixed_batches, scale_pixels, training_batches
from kp_tf.predict.confidence import calibrate, errors_in_crops
from kp_tf.recipes import ROOM, Recipe
from kp_tf.training.callbacks import Finite, Interruption
from kp_tf.training.checkpoint import CHECKPOINT, Checkpoint
from kp_tf.training.config import label_of, new_config, run_to_resume
from kp_tf.training.distributed import check_alike, lost_named, machines, shared, strategy_of, synchronize, total
from kp_tf.training.networks import build, compiled, transform

CALM = 0.5  # of the augmentation, in the last epochs of recipes that have such
SOME = 256  # faces that tell which points of one scheme are near which of another
LOSSES = {
    "mse": "mean squared error (unit square)",
    "mae": "mean absolute error (unit square)",
    "heatmap": "wing loss and spread of the heatmaps",
}


def train(
    part: int | None = None,
    data: str | None = None,
    out: Path | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    seed: int | None = None,
    overwrite: bool = False,
    recipe: str | None = None,
    labels: Path | None = None,
    val_labels: Path | None = None,
    scheme: Path | None = None,
    init: str | None = None,
    teacher: str | None = None,
    learning_rate: float | None = None,
    precision: str | None = None,
    deterministic: bool = False,
    skip_bad: bool = False,
    devices: int | None = None,
    resume: bool = False,
) -> Path | None:
    """Train one part, or a user's own points, and leave a run directory behind (see runs.py).

    Args:
        part: 1 nose, 2 IMM's 58 points, 3 iBUG's 68 points; None with `labels`.
        data: see `readers.datasets.find_data`.
        out: see `runs.new_run`; with `resume` the run to go on with.
        epochs: the total instead of the recipe's, at least 1; `batch_size` likewise.
        seed: of weights, order and augmentation, at least 0; 0 unless given.
        overwrite: see `runs.new_run`.
        recipe: the recipe's name; `course` unless given, with `labels` `strong`.
        labels: dlib's XML with any points; the photographs lie beside it.
        val_labels: the same for validation; without it a tenth of the photographs.
        scheme: JSON for `schemes.parse_scheme`; without it all points that the labels name, and no flips.
        init: a run or weights (see `weights.choose_run`) to start from: its network, with a new last layer
            where the points differ.
        teacher: a run or weights of the same points, whose points on the training's photographs count half.
        learning_rate: instead of the recipe's, above 0.
        precision: see `precision.resolve`; instead of the recipe's. A run that goes on takes `auto` as it began.
        deterministic: the same weights to the last bit when the same command is given again on this machine.
        skip_bad: leave out entries and photographs that cannot be used, instead of ending with an error.
        devices: see `devices.strategy_of`.
        resume: go on with `out`, else with the newest unfinished run of the part and recipe, by its settings.

    Returns:
        The run directory; None on a machine that is not the chief (see devices.py).

    Raises:
        KpError: if an argument, the data or a file of it is bad: no run directory is made then. Or if a loss is
            not finite, a file cannot be written, or another machine is gone: the last finished epoch is kept.
        KeyboardInterrupt: after Ctrl-C, when what was reached is judged and kept (see guards.py).
    """
    given = {"data": data, "epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate, "seed": seed}
    given |= {"init": init, "teacher": teacher, "precision": precision}
    given |= {"deterministic": deterministic or None, "skip_bad": skip_bad or None}
    given |= {"labels": labels, "val_labels": val_labels, "scheme_file": scheme}
    for name, value, least in (
        ("--epochs", epochs, 1),
        ("--batch-size", batch_size, 1),
        ("--devices", devices, 1),
        ("--seed", seed, 0),
    ):
        if value is not None and value < least:
            raise KpError(f"{name}: expected a number of at least {least}, found {value}")
    if learning_rate is not None and not 0 < learning_rate < 1:
        raise KpError(f"--learning-rate: expected a number between 0 and 1, found {learning_rate}")
    is_chief = machines()[1] == 0
    chosen, recipe = recipe, recipe or ("strong" if labels else "course")
    if resume:
        if part is None and labels is None and out is None:
            raise KpError("--resume: expected --part, --labels or --out to say which run, found none of them")
        if overwrite:
            raise KpError("--overwrite: expected no --overwrite with --resume, found both")
        run, config = run_to_resume(part, recipe, out, {"part": part, "recipe": chosen, **given})
        if is_complete(run):
            print(f"{run}: all {config['epochs']} epochs are done")
            return run
        print(f"Going on with {run}")
        with lost_named(), locked(run) if is_chief else nullcontext():
            if is_chief:
                clear_leftovers(run)
            return _train(config, lambda label: run, devices, begun=run)
    if out is not None and is_chief:
        check_free(out, overwrite)
    with lost_named(), ExitStack() as held:

        def directory(label: str) -> Path:
            run = new_run(label, out, overwrite)
            held.enter_context(locked(run))
            return run

        return _train(new_config(part, recipe, given), directory, devices)


def _train(
    config: dict, directory: Callable[[str], Path], devices: int | None = None, begun: Path | None = None
) -> Path | None:
    """Train by a run's settings, from the checkpoint of the one that was begun; `directory` makes the chief's."""
    source = Data(Path(config["data"]), config["sample"])
    if config.get("deterministic"):
        tf.config.experimental.enable_op_determinism()
    device = device_name()  # before any is used
    strategy = strategy_of(devices, config["batch_size"])
    parts, (together, number) = strategy.num_replicas_in_sync, machines()
    is_chief = number == 0

    before = config
    skipped = [] if config.get("skip_bad") else None
    training, validation, config = _read(config, source, skipped)
    about = Run(Path(), config, {})
    settings, points, framing = about.recipe, training.scheme, about.framing
    if is_chief:
        print(
            f"{heading(config)}: {len(training)} training and {len(validation)} validation images of "
            f"{source.root}, on {device}"
        )
    seen = (settings.shape, settings.crop_scale)
    stored = (settings.stored_shape, settings.stored_scale) if settings.stored_shape else seen
    training, train_crops, train_units = _prepare(training, training.boxes, *stored, skipped)
    boxes = validation.boxes if framing is None else framing.first(validation.boxes)
    validation, val_crops, val_units = _prepare(validation, boxes, *seen, skipped)
    examples = test_examples(source) if settings.dataset == "ibug" else None
    if examples:  # a bad one is found now, not when it is drawn after the training
        windows = crop_windows(examples.boxes, settings.crop_scale)
        examples = examples.take(_usable(examples, windows, settings.shape, skipped)[0])
    if skipped:
        print("\n".join([f"{len(skipped)} left out:", *skipped[:SHOWN], *["…"][: len(skipped) // (SHOWN + 1)]]))
    files = {"training": list(training.files), "validation": list(validation.files)}
    if begun:
        _check_unchanged(begun, before, config, files)
    if together > 1:
        check_alike(strategy, [_without_places(before), files, _digest(begun)])

    model = build(settings, len(points), config["seed"])
    with strategy.scope():
        trained = build(settings, len(points), config["seed"], settings.precision)
    if parts > 1:
        synchronize(trained)
    if settings.init and not (begun and (begun / CHECKPOINT).exists()):
        extent = settings.crop_scale / settings.stored_scale
        shown = (~np.isnan(train_units[..., 0])).argmax(axis=0)  # a face with each point
        some = np.union1d(np.arange(min(SOME, len(training))), shown)
        some = window(train_crops[some].astype("f4"), train_units[some].astype("f4"), settings.shape, extent)
        start_from(trained, settings.init, points, scale_pixels(some[0]).numpy(), some[1].numpy())
    taught, mirror = train_units, points.mirror
    if settings.teacher:
        taught = np.concatenate([train_units, _taught(settings, training, stored)], axis=1)
        mirror = mirror and (*mirror, *(len(points) + partner for partner in mirror))
    if min(len(training), len(validation)) < parts:
        raise KpError(f"--devices {parts}: expected as many faces for training and for validation, found fewer")
    val_batch = settings.batch_size * max(1, BATCH // settings.batch_size)
    steps, val_steps = (
        -(-(len(side) // parts * parts) // size)
        for side, size in ((training, settings.batch_size), (validation, val_batch))
    )
    with strategy.scope():
        fitted = compiled(trained, settings, points, steps)
    run = begun
    if is_chief:
        run = directory(label_of(settings.part, settings.name) + ("-sample" if source.sample else ""))
        write_json(run / "config.json", config)
        write_json(run / "split.json", files)
        _write_architecture(run / "architecture.txt", model)

    checkpoint, first = run and Checkpoint(run, trained), 0
    if run:
        with strategy.scope():  # the optimizer's variables too are each device's own
            first = checkpoint.restore(fitted)
    calm = round((1 - settings.calm) * settings.epochs)  # from this epoch on

    def batches_from(epoch: int, mine: range | None = None) -> tf.data.Dataset:
        def some(strength: float, *epochs: int) -> tf.data.Dataset:
            moved = transform(settings, mirror, strength)
            faces = train_crops, taught, settings.batch_size, config["seed"], moved, DRAWS
            return training_batches(*faces, *epochs, parts=parts, mine=mine)

        return some(1.0, epoch, calm).concatenate(some(CALM, max(epoch, calm)))

    finite = Finite(lambda epoch, batch: next(iter(batches_from(epoch).skip(batch))))
    with Interruption(lambda asked: total(strategy, asked) > 0) as interruption:
        fitted.fit(
            shared(strategy, lambda mine: batches_from(first, mine)),
            steps_per_epoch=steps,
            initial_epoch=first,
            epochs=settings.epochs,
            validation_data=shared(
                strategy, lambda mine: fixed_batches(val_crops, val_units, val_batch, parts, mine)
            ),
            validation_steps=val_steps,
            shuffle=False,  # the batches are
            callbacks=[
                finite,
                interruption,
                *([checkpoint, keras.callbacks.TensorBoard(run / "logs")] if is_chief else []),
            ],
            verbose=(1 if sys.stdout.isatty() else 2) if is_chief else 0,
        )
    if not is_chief:
        if interruption.at not in (None, (settings.epochs, steps)):
            raise KeyboardInterrupt
        return None
    cut = interruption.at if len(checkpoint.rows) < settings.epochs else None
    model.set_weights(trained.get_weights())  # whatever it was trained in, it is kept and judged in float32
    with replacing(run / "model.keras") as temporary:
        model.save(temporary)

    images, shown = next(iter(batches_from(first)))
    batch = images, shown[:, : len(points)]  # without a teacher's
    rows = [*checkpoint.rows, *checkpoint.unfinished]
    network, pictures, head = for_prediction(model, about), run / "figures", heading(config)
    pictures.mkdir(exist_ok=True)
    report = _judge(run, about, network, (training, validation), rows)
    history = {name: [row[name] for row in rows] for name in ("loss", "val_loss")}
    draw_training(pictures, head, batch, history, LOSSES[settings.loss], model)
    if examples:
        draw_test(pictures, head, examples, network, about)
    conditions = {
        "device": device,
        "devices": parts,
        "machines": together,
        "precision": settings.precision,
        "versions": _versions(),
        "completed": datetime.now(UTC).isoformat(),
    }
    if cut:
        conditions["interrupted"] = {"epoch": cut[0], "batch": cut[1]}
    if skipped is not None:
        conditions["skipped_bad"] = len(skipped)
    report |= {"epochs": len(checkpoint.rows), "optimizer_steps": int(fitted.optimizer.iterations.numpy())}
    write_json(run / "metrics.json", {**report, **conditions})
    _say(run, report)
    if cut:
        print(
            f"Interrupted in epoch {cut[0]} after batch {cut[1]} of {steps}; "
            f"--resume goes on after epoch {len(checkpoint.rows)}"
        )
        raise KeyboardInterrupt
    checkpoint.remove()
    return run


def _judge(run: Path, about: Run, network: Network, sides: tuple[Records, Records], rows: list[dict]) -> dict:
    """Score the trained network `for_prediction` on the validation's side beside the mean shape; draw that side."""
    (training, validation), settings, framing = sides, about.recipe, about.framing
    outputs = predict_outputs(network, validation, about, framed=framing is not None)
    predicted = outputs[..., :2]
    average = _mean_shape(training, validation, settings.crop_scale, framing)
    report = {
        "part": settings.part,
        "recipe": settings.name,
        "dataset": "sample" if about.config["sample"] else settings.dataset,
        "training_images": len(training),
        "validation_images": len(validation),
        **_scores(predicted, average, validation),
        "seconds_per_epoch": [row["seconds"] for row in rows],
    }
    if settings.network == "heatmap":
        boxes = framing.around(predicted, validation.boxes) if framing else validation.boxes
        apart = errors_in_crops(predicted, validation.points, boxes, settings.crop_scale)
        report["calibration"] = calibrate(outputs[..., 2], apart)
    is_imm = settings.dataset == "imm"
    if is_imm:
        errors = metrics.face_errors(predicted, validation.points)
        report["val_mean_error_px_by_condition"] = condition_errors(validation, errors)
    draw_validation(run / "figures", heading(about.config), validation, predicted, average, by_condition=is_imm)
    return report


def _check_unchanged(run: Path, before: dict, config: dict, files: dict) -> None:
    """Refuse to go on with faces that are not those the run began with."""
    split = run / "split.json"
    if json.loads(json.dumps(config)) != before or (split.is_file() and read_json(split) != files):
        raise KpError(f"{run}: expected the data as the run began, found labels that have changed since")


def _without_places(config: dict) -> dict:
    """The settings without the paths of data, which may differ from machine to machine."""
    places = ("data", "labels", "val_labels", "scheme_file")
    return {name: value for name, value in config.items() if name not in places}


def _digest(begun: Path | None) -> str:
    """Of the checkpoint that a run goes on from; empty where there is none."""
    path = begun and begun / CHECKPOINT
    return hashlib.sha256(path.read_bytes()).hexdigest() if path and path.is_file() else ""


def _read(config: dict, source: Data, skipped: list[str] | None) -> tuple[Records, Records, dict]:
    """The faces for training, with boxes, and for validation; and the settings with what the faces decide."""
    if config["dataset"] == "labels":
        training, validation = read_own(config, skipped)
    else:
        records = read_labelled(source, config["dataset"], SCHEMES[config["scheme"]], skipped)
        training, validation = (records.take(side) for side in split(records, config["dataset"]))
    recipe = Run(Path(), config, {}).recipe
    if recipe.looks > 1:
        photographs, name = training.boxes, "face"
        if config["dataset"] == "imm":
            training, name = with_face_boxes(training), "framing"
        framing = Framing.of(photographs, training.boxes, training.points)
        config = config | {name: {"box": framing.box.tolist(), "points": framing.points.tolist()}}
    if recipe.crop_scale is None:
        # points may lie well inside the box, which shows how large the whole thing is
        scale = round(ROOM * max(1.0, half_needed(training.points, training.boxes)), 3)
        stored = round(scale * recipe.stored_shape[0] / recipe.shape[0], 3)
        config = config | {"crop_scale": scale, "stored_scale": stored}
    return training, validation, config | {"scheme": describe(training.scheme)}


def _prepare(
    records: Records, boxes: np.ndarray, shape: tuple[int, int], scale: float, skipped: list[str] | None
) -> tuple[Records, np.ndarray, np.ndarray]:
    """What can be used: records, crops (N, H, W, 1) uint8 of `scale` boxes, points (N, K, 2) in the unit square."""
    windows = crop_windows(boxes, scale)
    index, crops = _usable(records, windows, shape, skipped)
    return records.take(index), crops, to_unit(records.points, windows)[index]


def _usable(
    records: Records, windows: np.ndarray, shape: tuple[int, int], skipped: list[str] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the records whose images can be used, and their crops; the others are named in `skipped`."""
    bad = None if skipped is None else {}
    crops = decode(records, windows, shape, bad)
    if bad:
        raise_all(list(bad.values()), "images that cannot be used", skipped if len(crops) else None)
    return np.delete(np.arange(len(records)), np.array(list(bad or ()), int)), crops


def _taught(settings: Recipe, training: Records, stored: tuple) -> np.ndarray:
    """The teacher's points (N, K, 2) on the training's photographs, in the unit square of the stored crops.

    They move with the picture in augmentation, so that the teacher need not see it again: its points are less
    scattered than the marks, and learning from them costs nothing (after Hinton et al., Distilling the Knowledge
    in a Neural Network, 2015).
    """
    run = choose_run(settings.teacher)
    if run.scheme != training.scheme:
        raise KpError(f"teacher {settings.teacher}: expected one with {training.scheme.name}, found other points")
    predicted = predict_records(load_network(run), training, run, flips=training.scheme.mirror is not None)
    return to_unit(predicted, crop_windows(training.boxes, stored[1]))


def _mean_shape(training: Records, validation: Records, crop_scale: float, framing: Framing | None) -> np.ndarray:
    """Always answering the mean shape of the training's windows: (N, K, 2) for the validation's."""
    if framing is not None:
        return validation.boxes[:, None, :2] - 0.5 + framing.points * validation.boxes[:, None, 2:3]
    shape = metrics.mean_shape(to_unit(training.points, crop_windows(training.boxes, crop_scale)))
    windows = crop_windows(validation.boxes, crop_scale)
    return to_pixels(np.repeat(shape[None], len(validation), axis=0), windows)


def _scores(predicted: np.ndarray, average: np.ndarray, records: Records) -> dict[str, float]:
    """The network's errors on the validation faces beside those of always answering the mean shape."""
    truth, eyes = records.points, records.scheme.eyes
    scores = {
        "val_mae_px": metrics.mean_absolute_error(predicted, truth),
        "val_mean_error_px": np.nanmean(metrics.face_errors(predicted, truth)),
        "mean_shape_error_px": np.nanmean(metrics.face_errors(average, truth)),
    }
    if len(records.scheme) > 1:  # a single point moved onto the truth has no error
        scores["val_aligned_error_px"] = np.nanmean(metrics.aligned_error(predicted, truth))
        scores["mean_shape_aligned_error_px"] = np.nanmean(metrics.aligned_error(average, truth))
    if eyes and not np.isnan(metrics.eye_distances(truth, eyes)).all():
        scores["val_nme"] = np.nanmean(metrics.nme(predicted, truth, eyes))
        scores["mean_shape_nme"] = np.nanmean(metrics.nme(average, truth, eyes))
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


def device_name() -> str:
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


def _versions() -> dict[str, str]:
    versions = {"tensorflow": tf.__version__, "keras": keras.__version__, "numpy": np.__version__}
    return {"python": platform.python_version(), **versions}


def _write_architecture(path: Path, model: keras.Model) -> None:
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        model.summary(line_length=100, print_fn=lambda line: file.write(line + "\n"))
