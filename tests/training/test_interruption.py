"""Trainings that are cut off, and what is left of them."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from kp_tf.artifacts.runs import load_run, newest_run
from kp_tf.backends.inference import load_model
from kp_tf.core.environment import exit_status
from kp_tf.core.errors import KpError
from kp_tf.training import train as training

REPOSITORY = Path(__file__).parents[2]
STEPS = 2  # an epoch of IMM's four pictures in batches of two


@pytest.fixture
def work(tmp_path, monkeypatch):
    """An empty working folder; no data is named."""
    monkeypatch.delenv("KP_TF_DATA", raising=False)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return Path.cwd()


@pytest.fixture
def undrawn(monkeypatch):
    for drawing in ("draw_training", "draw_validation"):  # tested elsewhere, and slow
        monkeypatch.setattr(training, drawing, lambda *_, **__: None)


def options(imm, epochs=3):
    return {"part": 1, "data": str(imm), "batch_size": 2, "epochs": epochs, "out": Path("run")}


def at_batch(monkeypatch, epoch, batch, do):
    """Do something at the start of a batch, both from 0."""
    begin = training.Checkpoint.on_epoch_begin

    def begin_epoch(self, number, logs=None):
        begin(self, number, logs)
        self.number = number

    def begin_batch(self, number, logs=None):
        if (self.number, number) == (epoch, batch):
            do()

    monkeypatch.setattr(training.Checkpoint, "on_epoch_begin", begin_epoch)
    monkeypatch.setattr(training.Checkpoint, "on_train_batch_begin", begin_batch, raising=False)


def read(name):
    return json.loads(Path("run", name).read_text())


def weights():
    return load_model(load_run(Path("run"))).get_weights()


def epochs_kept():
    return [line.split(",")[0] for line in Path("run/history.csv").read_text().splitlines()[1:]]


def test_ctrl_c_keeps_what_was_reached_and_resume_goes_on(work, imm, monkeypatch, capfd):
    with monkeypatch.context() as patched:
        at_batch(patched, 1, 0, lambda: os.kill(os.getpid(), signal.SIGINT))
        assert exit_status("kp_tf.training.train:train", **options(imm)) == 130
    out, error = capfd.readouterr()
    assert "Interrupted in epoch 2 after batch 1 of 2; --resume goes on after epoch 1" in out
    assert error.endswith("interrupted\n")
    assert "Traceback" not in error
    metrics = read("metrics.json")
    assert metrics["interrupted"] == {"epoch": 2, "batch": 1}
    assert (metrics["epochs"], metrics["optimizer_steps"]) == (1, STEPS + 1)
    assert epochs_kept() == ["0"]
    assert Path("run/figures/losses.png").is_file()
    reached = weights()
    shutil.copytree("run", "runs/part1-course-001")
    assert newest_run(1) is None, "half a training is taken only when it is named"

    for drawing in ("draw_training", "draw_validation"):
        monkeypatch.setattr(training, drawing, lambda *_, **__: None)
    training.train(resume=True, **options(imm) | {"part": None})
    metrics = read("metrics.json")
    assert "interrupted" not in metrics
    assert (metrics["epochs"], metrics["optimizer_steps"]) == (3, 3 * STEPS)
    resumed = weights()
    assert not Path("run/checkpoint.npz").exists()
    assert not Path("run/lock").exists()
    assert max(np.abs(one - other).max() for one, other in zip(resumed, reached, strict=True)) > 1e-4


def test_a_loss_that_is_not_finite_and_data_that_vanishes_keep_the_last_checkpoint(work, imm, monkeypatch, undrawn):
    fitted, compiled = [], training.compiled
    monkeypatch.setattr(training, "compiled", lambda *given: fitted.append(compiled(*given)) or fitted[-1])

    def spoil():
        fitted[-1].trainable_weights[-1].assign(np.full(2, np.nan))

    with monkeypatch.context() as patched:
        at_batch(patched, 1, 0, spoil)
        with pytest.raises(KpError, match=r"^epoch 2, batch 1: expected a finite loss, found nan"):
            training.train(**options(imm))
    assert epochs_kept() == ["0"]
    assert checkpoint_is_good()
    with monkeypatch.context() as patched:
        at_batch(patched, 1, 0, lambda: imm.rename(imm.with_name("away")))
        with pytest.raises(KpError, match=r"expected the JPEG or PNG image .*33-1m.jpg, found no such file"):
            training.train(resume=True, **options(imm))
    assert epochs_kept() == ["0", "1", "2"]
    assert checkpoint_is_good()
    with pytest.raises(KpError, match=r"imm_face_db: expected the IMM face database .*, found no \.asf file"):
        training.train(resume=True, **options(imm))
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
    whole, losses = weights(), epochs_and_losses()
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
        in_training += Path("run/checkpoint.npz").exists()
    assert in_training > 5
    subprocess.run(command(imm, *flags, resume_flag()), check=True, capture_output=True)
    compare(whole, losses, deterministic)


def resume_flag():
    return "--resume" if Path("run/config.json").exists() else "--overwrite"


def epochs_and_losses():
    rows = Path("run/history.csv").read_text().splitlines()[1:]
    return np.array([row.split(",")[:-1] for row in rows], float)


def compare(whole, losses, deterministic):
    for one, other in zip(whole, weights(), strict=True):
        if deterministic:
            np.testing.assert_array_equal(one, other)
        else:
            np.testing.assert_allclose(one, other, atol=1e-4)
    np.testing.assert_allclose(epochs_and_losses(), losses, atol=0 if deterministic else 1e-5)


def test_skip_bad_goes_on_without_and_counts(work, imm, undrawn, capsys):
    folder = imm / "imm_face_db"
    (folder / "31-1m.jpg").write_bytes((folder / "31-1m.jpg").read_bytes()[:1000])
    (folder / "33-1m.asf").write_text("58")
    with pytest.raises(KpError, match=r"33-1m\.asf: expected 58 lines"):
        training.train(**options(imm, epochs=1))
    training.train(**options(imm, epochs=1), skip_bad=True)
    assert read("metrics.json")["skipped_bad"] == 2
    sides = read("split.json")
    assert sides["training"] == ["31-3m.jpg", "32-1m.jpg", "32-3m.jpg"]
    assert sides["validation"] == ["33-3m.jpg", "34-1m.jpg", "34-3m.jpg"]
    said = capsys.readouterr().out
    assert "2 left out:\n" in said
    assert "31-1m.asf: expected the JPEG or PNG image" in said
