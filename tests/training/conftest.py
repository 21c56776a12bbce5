"""Fixtures of several files on training."""

from dataclasses import replace
from pathlib import Path

import keras
import pytest
from helpers import write_imm, write_run
from training_steps import OWN, THREE, TINY, complete, prepare, stopped_at_epoch

from kp_tf.artifacts.info import ModelInfo
from kp_tf.training.config import TrainConfig
from kp_tf.training.fitting import build, fit


@pytest.fixture
def work(tmp_path, monkeypatch):
    """An empty working folder; no data is named, and no faces have been drawn."""
    monkeypatch.delenv("KP_TF_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return Path.cwd()


@pytest.fixture
def untraced(monkeypatch):
    """`train` runs eagerly, which takes less time than tracing, for so few batches."""

    def build_eager(*args):
        fitting = build(*args)
        fitting.fitted.run_eagerly = True
        return fitting

    monkeypatch.setattr("kp_tf.training.train.build", build_eager)


@pytest.fixture(scope="session")
def imm_data(tmp_path_factory):
    """A data folder of IMM that no test changes."""
    return write_imm(tmp_path_factory.mktemp("imm") / "faces")


@pytest.fixture(scope="session")
def tiny_run(imm_data, tmp_path_factory):
    """A completed run of two epochs with the recipe `TINY`."""
    return complete(TrainConfig(TINY, imm_data), tmp_path_factory.mktemp("tiny") / "run")


@pytest.fixture(scope="session")
def begun_run(imm_data, tmp_path_factory):
    """The same run, stopped at the start of its second epoch."""
    fitting = prepare(TrainConfig(TINY, imm_data), tmp_path_factory.mktemp("begun") / "run")
    with stopped_at_epoch(2):
        fit(fitting)
    return fitting.path


@pytest.fixture(scope="session")
def strong_reactions(tmp_path_factory):
    """A run with three points, not trained, whose points depend strongly on what the network sees."""
    info = ModelInfo(Path(), replace(OWN, crop_scale=1.5, stored_scale=2.25), THREE)
    path = write_run(tmp_path_factory.mktemp("own") / "run", info)
    model = keras.saving.load_model(path / "model.keras")
    kernel = model.get_layer("scores").kernel
    kernel.assign(30 * kernel)
    model.save(path / "model.keras")
    return path
