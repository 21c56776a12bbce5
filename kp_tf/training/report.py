"""The end of a training: the network saved and scored, metrics.json, and what is printed."""

import os
import platform
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from kp_tf.artifacts.runs import hardly_better
from kp_tf.backends.keras_backend import for_prediction
from kp_tf.core.files import replacing, write_json
from kp_tf.core.hardware import cpu_model
from kp_tf.training import distributed
from kp_tf.training.fitting import Fitting
from kp_tf.training.own_model import uncompiled
from kp_tf.training.pictures import EndedTraining
from kp_tf.training.scores import score

NUM_DRAWN = 12  # training pictures


def finish(fitting: Fitting) -> EndedTraining:
    """Save the network and score it."""
    faces, (path, checkpoint) = fitting.faces, fitting.of_chief()
    fitting.model.set_weights(checkpoint.kept_weights())  # kept and scored in float32 whatever it was trained in
    with replacing(path / "model.keras") as temporary:
        uncompiled(fitting.model).save(temporary)
    network = for_prediction(fitting.model, faces.info)
    return EndedTraining(
        path=path,
        title=fitting.config.title,
        info=replace(faces.info, path=path),
        model=fitting.model,
        network=network,
        history=[*checkpoint.rows, *checkpoint.unfinished],
        kept_epoch=checkpoint.kept,
        first_images=lambda: first_images(fitting),
        validation=faces.validation.samples,
        scores=score(network, faces.info, faces.training, faces.validation, faces.added),
        test=faces.test,
    )


def first_images(fitting: Fitting) -> tuple[np.ndarray, np.ndarray]:
    """The first `NUM_DRAWN` images that were trained on, or all if there are fewer, and their points."""
    count = min(NUM_DRAWN, len(fitting.faces.training))
    images, points = next(iter(fitting.batches_from(0).unbatch().take(count).batch(count)))
    return images.numpy(), points.numpy()


def write_metrics(run: EndedTraining, fitting: Fitting, device: str) -> None:
    """Write metrics.json, which marks the run as complete or interrupted, and print the scores.

    Raises:
        KeyboardInterrupt: if the training was interrupted.
    """
    recipe, faces, (_, checkpoint) = run.info.recipe, fitting.faces, fitting.of_chief()
    stopped = fitting.interruption.at if len(checkpoint.rows) < recipe.epochs else None
    report = {
        "part": recipe.part,
        "recipe": recipe.name,
        "dataset": "sample" if run.info.is_sample else recipe.dataset,
        "training_images": len(faces.training),
        "validation_images": len(faces.validation),
        **run.scores.report,
        "seconds_per_epoch": [row["seconds"] for row in run.history],
        "epochs": len(checkpoint.rows),
        "kept_epoch": checkpoint.kept,
        "optimizer_steps": int(fitting.fitted.optimizer.iterations.numpy()),
        "device": device,
        "devices": fitting.strategy.num_replicas_in_sync,
        "machines": distributed.machines()[0],
        "precision": recipe.precision,
        "versions": _versions(),
        "completed": datetime.now(UTC).isoformat(),
    }
    if stopped:
        report["interrupted"] = {"epoch": stopped[0], "batch": stopped[1]}
    if fitting.config.skip_bad:
        report["skipped_bad"] = len(faces.skipped)
    write_json(run.path / "metrics.json", report)
    _print_scores(run.path, report)
    if stopped:
        print(
            f"Interrupted in epoch {stopped[0]} after batch {stopped[1]} of {fitting.steps}; "
            f"--resume continues after epoch {len(checkpoint.rows)}"
        )
        raise KeyboardInterrupt


def _print_scores(run: Path, report: dict) -> None:
    line = (
        f"Validation: mean error {report['val_mean_error_px']:.2f} px "
        f"(mean shape: {report['mean_shape_error_px']:.2f} px)"
    )
    if "val_nme" in report:
        nme, mean_shape = 100 * report["val_nme"], 100 * report["mean_shape_nme"]
        unit = "size" if report["dataset"] == "labels" else "inter-ocular distance"
        line += f", NME {nme:.2f} % of the {unit} (mean shape: {mean_shape:.2f} %)"
    if hardly_better(report):
        line += "\nThe network is hardly better than the mean shape: label more photographs, or train for more epochs"
    for name, scores in report.get("added_validation", {}).items():
        line += f"\n{name}: {_row(scores)}"
    figures = f", its figures in {run / 'figures'}" if (run / "figures").is_dir() else ""
    if reason := report.get("uncalibrated"):
        line += f"\nThe confidence is not calibrated: {reason}"
    kept, epochs = report["kept_epoch"], report["epochs"]
    if kept < epochs:
        line += f"\nThe weights are those of epoch {kept} of {epochs}, which has the lowest validation loss"
    print(f"{line}\nThe run is in {run}{figures}")


def _row(scores: dict) -> str:
    """The scores of further validation faces in words."""
    row = f"{scores['faces']} faces, mean error {scores['mean_error_px']:.2f} px"
    if "nme" in scores:
        row += f", NME {100 * scores['nme']:.2f} %, over 10 % {100 * scores['over_10']:.1f} % of the faces"
    if "confidence" in scores:
        row += f", mean confidence {100 * scores['confidence']:.0f} %, points near {100 * scores['near']:.0f} %"
    return row


def device_name() -> str:
    """Name the device that TensorFlow will place the training on, and let a GPU's memory grow as needed."""
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    if gpus:
        names = [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus]
        return f"GPU {', '.join(names)}"
    return f"CPU {cpu_model()}, {os.cpu_count()} cores"


def _versions() -> dict[str, str]:
    versions = {"tensorflow": tf.__version__, "keras": keras.__version__, "numpy": np.__version__}
    return {"python": platform.python_version(), **versions}
