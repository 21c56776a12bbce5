"""The network, its batches and the training itself, without scores."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from training_steps import (
    OWN,
    THREE,
    TINY,
    history,
    prepare,
    read,
    stopped_at_epoch,
    weights,
    write_own_labels,
    write_scheme,
)

from kp_tf.artifacts.info import ModelInfo
from kp_tf.artifacts.runs import read_run
from kp_tf.backends.keras_backend import load_model
from kp_tf.core.errors import KpError
from kp_tf.data.samples import Samples
from kp_tf.recipes import COOLDOWN_STRENGTH, RECIPES, Augmentation
from kp_tf.training.config import TrainConfig
from kp_tf.training.faces import Faces, Loaded, load
from kp_tf.training.fitting import build, fit, full_disk_named, make_batches


def drawn_faces(recipe, count=4):
    """Grey crops and random points, without files."""
    points = np.random.default_rng(0).uniform(0.2, 0.8, (count, len(THREE), 2))
    samples = Samples(Path(), ("",) * count, np.zeros((count, 4)), points, THREE, ("",) * count)
    crops = np.full((count, *recipe.stored_shape, 1), 100, np.uint8)
    faces = Faces(samples, samples, crops, points, np.zeros((count, 4)))
    return Loaded(ModelInfo(Path(), recipe, THREE), faces, faces, None, [])


def grey_levels(recipe, first, epochs):
    """The change of brightness of each picture, epoch by epoch, in steps of pixel values: (epochs, 4)."""
    loaded = drawn_faces(recipe)
    batches = make_batches(TrainConfig(recipe, Path()), loaded, tf.distribute.get_strategy())(first)
    pixels = [(images.numpy()[:, 8, 8, 0] + 0.5) * 255 - 100 for images, _ in batches.take(2 * epochs)]
    return np.concatenate(pixels).reshape(epochs, 4)


def test_the_last_epochs_have_weaker_augmentation():
    recipe = replace(OWN, epochs=4, batch_size=2, augmentation=Augmentation(brightness=0.1))
    full = grey_levels(recipe, 0, 4)
    assert (np.abs(full) > 0.1).all()
    weakened = grey_levels(replace(recipe, cooldown_fraction=0.5), 0, 4)
    np.testing.assert_allclose(weakened[:2], full[:2], atol=1e-3)
    np.testing.assert_allclose(weakened[2:], full[2:] * COOLDOWN_STRENGTH, atol=1e-3)
    resumed = grey_levels(replace(recipe, cooldown_fraction=0.5), 1, 3)
    np.testing.assert_allclose(resumed, weakened[1:], atol=1e-3)


def test_a_teachers_points_move_with_the_photographs(strong_reactions, tmp_path, monkeypatch):
    for limit in ("TOLERANCE", "DEVIATION"):  # it has never been trained
        monkeypatch.setattr(f"kp_tf.training.model.TEACHER_{limit}", np.inf)
    labels, scheme = write_own_labels(tmp_path / "own"), write_scheme(tmp_path / "scheme.json")
    # the stored crops are the windows themselves
    same = {"stored_shape": (16, 16), "crop_scale": 1.5, "stored_scale": 1.5, "batch_size": 18}
    recipe = replace(OWN, teacher=str(strong_reactions), **same)
    config = TrainConfig(recipe, labels.parent, labels=labels, scheme_file=scheme)
    faces = load(config, "CPU")
    images = faces.training.crops.astype(np.float32) / 255 - 0.5
    network = load_model(read_run(strong_reactions))
    mirrored = network.predict_on_batch(images[:, :, ::-1])[:, ::-1] * (-1, 1) + (1, 0)
    teacher = (network.predict_on_batch(images) + mirrored) / 2
    expected = np.concatenate([faces.training.points_norm, teacher], axis=1)
    assert teacher.std(axis=0).min() > 0.02
    flipped = replace(faces.info, recipe=replace(recipe, augmentation=Augmentation(flip=1.0)))
    batches = make_batches(config, replace(faces, info=flipped), tf.distribute.get_strategy())(0)
    points = next(iter(batches))[1].numpy()[:, [2, 1, 0, 5, 4, 3]] * (-1, 1) + (1, 0)
    order = [np.abs(teacher - face[3:]).sum(axis=(1, 2)).argmin() for face in points]
    assert sorted(order) == list(range(18))
    np.testing.assert_allclose(points, expected[order], atol=1e-4)


def test_averaged_weights_are_validated_and_kept_and_survive_a_resume(tmp_path):
    labels = write_own_labels(tmp_path / "own")
    recipe = replace(OWN, averaging=0.9, epochs=2, batch_size=18, precision="mixed_bfloat16")
    config = TrainConfig(recipe, labels.parent, labels=labels, keep="last")
    faces = load(config, "CPU")

    def prepared(name, begun=None):
        path = tmp_path / name
        path.mkdir(exist_ok=True)
        fitting = build(config, faces, tf.distribute.get_strategy(), lambda label: path, begun)
        fitting.fitted.run_eagerly = True
        return fitting

    fit(whole := prepared("whole"))
    averages = [variable for variable in whole.fitted.optimizer.variables if variable.path.endswith("average")]
    for weight, average in zip(whole.fitted.trainable_weights, averages, strict=True):
        assert average.dtype == "float32"
        np.testing.assert_array_equal(weight.numpy(), average.numpy())
    with stopped_at_epoch(2):
        fit(prepared("begun"))
    fit(again := prepared("begun", tmp_path / "begun"))
    assert history(tmp_path / "begun") == history(tmp_path / "whole")
    for one, other in zip(again.trained.get_weights(), whole.trained.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_new_run_says_what_will_be_trained(imm_data, tmp_path):
    prepare(TrainConfig(RECIPES["course", 2], imm_data, seed=3), tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "architecture.txt",
        "config.json",
        "split.json",
    ]
    config = read(tmp_path / "run/config.json")
    assert (config["format"], config["seed"], config["data"]) == (2, 3, str(imm_data))
    assert (config["recipe"]["name"], config["recipe"]["part"], config["scheme"]) == ("course", 2, "imm58")
    assert "184,052" in (tmp_path / "run/architecture.txt").read_text(encoding="utf-8")


def test_a_course_training_starts_from_the_weights_of_a_run(imm_data, tiny_run, tmp_path):
    fitting = prepare(TrainConfig(replace(TINY, init=str(tiny_run)), imm_data, seed=7), tmp_path / "run")
    for one, other in zip(fitting.trained.get_weights(), weights(tiny_run), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_same_seed_gives_the_same_history(imm_data, tiny_run, tmp_path):
    before, histories = history(tiny_run), []
    for seed in (0, 1):
        fitting = prepare(TrainConfig(TINY, imm_data, seed=seed), tmp_path / str(seed))
        fit(fitting)
        histories.append(history(fitting.path))
    assert [row["epoch"] for row in before] == [0, 1]
    for one, other in zip(before, histories[0], strict=True):
        assert one == pytest.approx(other, abs=1e-5)
    assert abs(before[-1]["loss"] - histories[1][-1]["loss"]) > 1e-5


def test_a_disk_that_is_full_for_tensorboard_is_one_message():
    def fail(message):
        raise tf.errors.ResourceExhaustedError(None, None, message)

    with (
        pytest.raises(KpError, match=r"^cannot write runs/001: No space left on device$"),
        full_disk_named(Path("runs/001")),
    ):
        fail("runs/001/logs/train/events; No space left on device\n\tFailed to flush 1 events")
    with pytest.raises(tf.errors.ResourceExhaustedError), full_disk_named(Path("runs/001")):
        fail("OOM when allocating tensor")
