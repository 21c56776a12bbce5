"""Training in the order it happens: read, build, fit, score, draw."""

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from numbers import Integral, Real
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import keras
import tensorflow as tf

from kp_tf.artifacts.runs import check_free, clear_leftovers, is_complete, locked, new_run, read_run, read_split
from kp_tf.backends.keras_backend import load_model
from kp_tf.backends.network import Network
from kp_tf.core.errors import KpError
from kp_tf.core.files import read_json
from kp_tf.recipes import Recipe
from kp_tf.training import distributed
from kp_tf.training.checkpoint import checkpoint_of
from kp_tf.training.config import TrainConfig, new_config, run_to_resume
from kp_tf.training.faces import Loaded, load
from kp_tf.training.fitting import build, fit
from kp_tf.training.options import Options
from kp_tf.training.own_model import check_options, check_resumed, with_own_model
from kp_tf.training.pictures import draw_run
from kp_tf.training.report import device_name, finish, write_metrics


class Submission(Protocol):
    """What is written of a completed run in the end; `apps.kaggle.Submission` is one."""

    def check(self, recipe: Recipe, data: Path) -> None:
        """Raise KpError if it could not be written, before anything is read or trained."""
        ...

    def write(self, run: Path, data: Path, network: Network | None = None) -> None:
        """Write it, with the run's network in float32 if that is loaded."""
        ...


def train(
    out: Path | None = None,
    overwrite: bool = False,
    resume: bool = False,
    devices: int | None = None,
    figures: bool = True,
    model: keras.Model | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    submission: Submission | None = None,
    **options: Any,
) -> Path | None:
    """Train one part of the course, or points of a user's own, and leave a run directory (see artifacts/runs.py).

    Args:
        out: the run directory; with `resume` the run to continue. None: the next free `runs/LABEL-001`.
        overwrite: let `out` replace an existing run.
        resume: continue `out`, or the newest unfinished run of the part and recipe, with its settings; with more
            `epochs` than it has, also a finished one.
        devices: see `distributed.strategy_of`.
        figures: draw the figures of the run.
        model: a model of the user's to train, instead of the recipe's network.
        callbacks: of Keras, in addition to those of every training.
        submission: what the chief writes of the completed run.
        **options: what to train and how, see `config.Options`.

    Returns:
        The run directory; None on a machine that is not the chief (see distributed.py).

    Raises:
        KpError: if an option or the data cannot be used: no run directory is made then. Or if a loss is not finite,
            a file cannot be written, or another machine is gone: the last finished epoch is kept.
        KeyboardInterrupt: after Ctrl-C, once the results so far have been scored and kept.
    """
    asked = Options(**options)
    _check_numbers(asked, devices)
    check_options(model, callbacks, asked, devices)
    distributed.machines()  # TF_CONFIG is checked before any face is read or drawn
    with distributed.lost_machines_named(), ExitStack() as held:
        job = _job_to_resume(asked, out, overwrite, held) if resume else _new_job(asked, out, overwrite, held, model)
        if job.begun and job.is_done:
            print(f"{job.begun}: all {job.config.recipe.epochs} epochs are done")
            if model is not None:
                model.set_weights(load_model(read_run(job.begun)).get_weights())
            if submission and distributed.is_chief():
                submission.write(job.begun, job.config.data)
            return job.begun
        if job.begun:
            check_resumed(job.config, model)
        return _run(job, devices if model is None else 1, figures, model, callbacks, submission)


class _Job(NamedTuple):
    """A training: its settings, what makes its run directory, the run that it resumes, and whether nothing is left."""

    config: TrainConfig
    make_directory: Callable[[str], Path]
    begun: Path | None = None
    is_done: bool = False


def _new_job(options: Options, out: Path | None, overwrite: bool, held: ExitStack, model: keras.Model | None) -> _Job:
    if out is not None and distributed.is_chief():
        check_free(out, overwrite)

    def make_directory(label: str) -> Path:
        run = new_run(label, out, overwrite)
        held.enter_context(locked(run))
        return run

    config = new_config(options)
    return _Job(config if model is None else with_own_model(config, model), make_directory)


def _job_to_resume(options: Options, out: Path | None, overwrite: bool, held: ExitStack) -> _Job:
    if options.part is None and options.labels is None and out is None:
        raise KpError("--resume needs --part, --labels or --out to tell which run to continue")
    if overwrite:
        raise KpError("--overwrite and --resume cannot be used together")
    run, config = run_to_resume(options, out)
    epochs, fewer = config.recipe.epochs, TrainConfig.from_json(run, read_json(run / "config.json")).recipe.epochs
    is_fresh = checkpoint_of(run) is None
    if is_complete(run):
        if epochs == fewer:
            return _Job(config, lambda label: run, run, is_done=True)
        if is_fresh:
            raise KpError(f"{run} has no checkpoint.npz, so it cannot be trained on; start a new run with --init {run}")
    more = f", for {epochs} epochs instead of {fewer}" if epochs > fewer else ""
    print(f"Resuming {run}{more}" + (", from the start: it has no checkpoint" if is_fresh else ""))
    if distributed.is_chief():
        held.enter_context(locked(run))
        clear_leftovers(run)
    return _Job(config, lambda label: run, run)


def _check_numbers(options: Options, devices: int | None) -> None:
    for name, value, least in (
        ("--epochs", options.epochs, 1),
        ("--batch-size", options.batch_size, 1),
        ("--devices", devices, 1),
        ("--seed", options.seed, 0),
    ):
        if value is not None and not isinstance(value, Integral):
            raise KpError(f"{name} must be a whole number, not {value!r}")
        if value is not None and value < least:
            raise KpError(f"{name} must be at least {least}, not {value}")
    rate = options.learning_rate
    if rate is not None and not (isinstance(rate, Real) and 0 < rate < 1):
        raise KpError(f"--learning-rate must be between 0 and 1, not {rate!r}")


def _run(
    job: _Job,
    devices: int | None,
    figures: bool,
    model: keras.Model | None,
    callbacks: Sequence[keras.callbacks.Callback],
    submission: Submission | None,
) -> Path | None:
    """Read, build, fit, score and draw. The chief alone writes."""
    config, device = job.config, device_name()  # before TensorFlow uses any
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    strategy = distributed.strategy_of(devices, config.recipe.batch_size)
    if submission and distributed.is_chief():
        submission.check(config.recipe, config.data)
    distributed.check_alike(strategy, [*_common_settings(config), _digest(checkpoint_of(job.begun))])
    faces = load(config, device, strategy)
    _check_unchanged(job, faces)
    fitting = build(config, faces, strategy, job.make_directory, job.begun, model)
    fit(fitting, callbacks)
    if not distributed.is_chief():
        if fitting.interruption.at not in (None, (config.recipe.epochs, fitting.steps)):
            raise KeyboardInterrupt
        return None
    run = finish(fitting)
    if figures:
        draw_run(run)
    write_metrics(run, fitting, device)
    if submission:
        submission.write(run.path, config.data, run.network)
    return run.path


def _check_unchanged(job: _Job, faces: Loaded) -> None:
    """Refuse to resume with other faces than the run began with."""
    if job.begun is None:
        return
    config = read_json(job.begun / "config.json")
    content = json.loads(json.dumps(faces.info.to_json())) if "format" in config else {}
    if content:
        content["recipe"]["epochs"] = config["recipe"]["epochs"]  # it may be trained for more
        if not config.get("mean_face"):  # earlier versions left it out of some runs
            content.pop("mean_face", None)
    changed = [name for name, value in content.items() if config.get(name) != value]
    if (job.begun / "split.json").is_file():
        begun = read_split(job.begun)
        sides = {"training": begun.training, "validation": begun.validation}
        changed += [name for name, files in sides.items() if list(files) != faces.split[name]]
        changed += [] if begun.digest in (None, faces.split["digest"]) else ["digest"]
    if changed:
        raise KpError(f"{job.begun}: the labels or photographs have changed since the run began; start a new run")


def _common_settings(config: TrainConfig) -> list:
    """What must be the same on all machines: everything but the paths, which may differ."""
    return [asdict(config.recipe), config.seed, config.deterministic, config.skip_bad, config.keep]


def _digest(checkpoint: Path | None) -> str:
    return hashlib.sha256(checkpoint.read_bytes()).hexdigest() if checkpoint else ""
