"""Trainings that are cut off, and what is left of them."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from training_steps import TINY, at_epoch, history, prepare, read, weights

from kp_tf.artifacts.runs import newest_run
from kp_tf.cli import exit_status
from kp_tf.core.errors import KpError
from kp_tf.training.config import TrainConfig
from kp_tf.training.fitting import fit
from kp_tf.training.train import train

REPOSITORY = Path(__file__).parents[2]
STEPS = 2  # an epoch of IMM's four pictures in batches of two


def epochs_kept():
    return [row["epoch"] for row in history(Path("run"))]


def test_ctrl_c_keeps_what_was_reached_and_resume_goes_on(work, imm_data, capfd):
    run, options = Path("run"), {"part": 1, "data": str(imm_data), "batch_size": 2, "epochs": 3}
    with at_epoch(2, lambda: os.kill(os.getpid(), signal.SIGINT)):
        assert exit_status("kp_tf.training.train:train", out=run, **options) == 130
    out, error = capfd.readouterr()
    assert "Interrupted in epoch 2 after batch 1 of 2; --resume continues after epoch 1" in out
    assert error.endswith("interrupted\n")
    assert "Traceback" not in error
    metrics = read(run / "metrics.json")
    assert metrics["interrupted"] == {"epoch": 2, "batch": 1}
    assert (metrics["epochs"], metrics["optimizer_steps"]) == (1, STEPS + 1)
    assert epochs_kept() == [0]
    assert (run / "figures/losses.png").is_file()
    reached = weights(run)
    shutil.copytree(run, "runs/part1-course-001")
    assert newest_run(1) is None, "half a training is used only if it is named"

    train(resume=True, out=run, figures=False)
    metrics = read(run / "metrics.json")
    assert "interrupted" not in metrics
    assert (metrics["epochs"], metrics["optimizer_steps"]) == (3, 3 * STEPS)
    assert max(np.abs(one - other).max() for one, other in zip(weights(run), reached, strict=True)) > 1e-4


def test_a_loss_that_is_not_finite_and_data_that_vanishes_keep_the_last_checkpoint(work, untraced, imm):
    fitting = prepare(TrainConfig(replace(TINY, epochs=3), imm), Path("run"))

    def take_giant_steps():
        fitting.fitted.optimizer.learning_rate = 1e30

    with at_epoch(2, take_giant_steps), pytest.raises(KpError, match=r"^epoch 2, batch 2: the loss is (inf|nan)"):
        fit(fitting)
    assert epochs_kept() == [0]
    assert checkpoint_is_good()
    with (
        at_epoch(2, lambda: imm.rename(imm.with_name("away"))),
        pytest.raises(KpError, match=r"33-1m\.asf: cannot read .*33-1m\.jpg: no such file"),
    ):
        train(resume=True, out=Path("run"))
    assert epochs_kept() == [0, 1, 2]
    assert checkpoint_is_good()
    with pytest.raises(KpError, match="imm_face_db"):
        train(resume=True, out=Path("run"))
    assert checkpoint_is_good()


def checkpoint_is_good():
    with np.load("run/checkpoint.npz") as archive:
        return all(np.isfinite(archive[name]).all() for name in archive.files if name != "rows")


def command(imm, *more):
    arguments = ["--part", "1", "--data", imm, "--batch-size", "2", "--epochs", "60", "--out", "run", *more]
    return [sys.executable, REPOSITORY / "train.py", *map(str, arguments)]


@pytest.mark.slow
@pytest.mark.parametrize("deterministic", [True, False])
def test_killed_twenty_times_ends_as_if_never_interrupted(work, imm, deterministic):
    """At random moments of the start, of the training, which takes about as long, and of the end."""
    flags = ["--deterministic"] if deterministic else []
    begin = time.perf_counter()
    subprocess.run(command(imm, *flags), check=True, capture_output=True)
    seconds = time.perf_counter() - begin
    whole, losses = weights(Path("run")), history(Path("run"))
    shutil.rmtree("run")
    moments, kills, in_training = random.Random(0), 0, 0
    while kills < 20:
        log = open("log.txt", "wb")  # noqa: SIM115
        with log, subprocess.Popen(command(imm, *flags, resume_flag()), stdout=log, stderr=log) as process:
            try:
                process.wait(moments.uniform(0.3, 1.0) * seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                kills += 1
        assert process.returncode in (0, -signal.SIGKILL), Path("log.txt").read_text()
        for path in Path("run").glob("*.json"):
            json.loads(path.read_text())
        if Path("run/model.keras").exists():
            keras.saving.load_model("run/model.keras")
        if process.returncode == 0:  # the next kills meet a training that begins anew
            compare(whole, losses, deterministic)
            shutil.rmtree("run")
        in_training += Path("run/checkpoint.npz").exists() and not Path("run/metrics.json").exists()
    assert in_training > 5
    subprocess.run(command(imm, *flags, resume_flag()), check=True, capture_output=True)
    compare(whole, losses, deterministic)


def resume_flag():
    return "--resume" if Path("run/config.json").exists() else "--overwrite"


def compare(whole, losses, deterministic):
    for one, other in zip(whole, weights(Path("run")), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=0 if deterministic else 1e-4)
    for one, other in zip(losses, history(Path("run")), strict=True):
        assert one == pytest.approx(other, abs=0 if deterministic else 1e-5, rel=0)
