"""Things that are no faces, from labels to points in whole photographs, as docs/own_points.md does it."""

import json
import subprocess
import sys

import numpy as np
import pytest
from leaves import LEAF, draw_leaf, write_sets

from kp_tf.data.formats import read_labels

EPOCHS = 60
NUM_TEST = 40


def kp_tf(*arguments):
    done = subprocess.run([sys.executable, "-m", "kp_tf", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_leaves_lie_in_their_photographs_with_all_their_points():
    for number in range(20):
        picture, points, (left, top, width, height) = draw_leaf(0, number)
        assert (points >= -0.5).all()
        assert (points < np.array(picture.size) - 0.5).all()
        np.testing.assert_array_equal(points >= (left, top), True)
        np.testing.assert_array_equal(points <= (left + width, top + height), True)


def test_labels_of_leaves_are_read_back(tmp_path):
    written = write_sets(tmp_path, 2, 3)
    read = read_labels(tmp_path / "test" / "leaves.xml", LEAF)
    assert read.files == written.files
    np.testing.assert_array_equal(read.labels, written.points)


@pytest.mark.long
def test_leaves_are_trained_on_exported_and_found_in_whole_photographs(tmp_path):
    test = write_sets(tmp_path, test=NUM_TEST)
    labels = "--labels", tmp_path / "training" / "leaves.xml", "--scheme", tmp_path / "leaf.json"
    kp_tf("train", *labels, "--init", "compact", "--epochs", EPOCHS, "--out", tmp_path / "run")
    scores = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert scores["val_mean_error_px"] < 0.5 * scores["mean_shape_error_px"]
    network = tmp_path / "leaf.tflite"
    kp_tf("export", "--run", tmp_path / "run", "--to", "litert", "--out", network)
    found = json.loads(kp_tf("predict", tmp_path / "test", "--run", network, "--detector", "network"))
    leaves = [photograph["faces"] for photograph in found["photographs"]]
    first = np.array([some[0]["points"] if some else np.full((len(LEAF), 2), np.nan) for some in leaves], float)
    base, tip = (test.points[:, k] for k in LEAF.eyes)
    errors = np.linalg.norm(first - test.points, axis=-1).mean(axis=1) / np.linalg.norm(tip - base, axis=-1)
    assert np.mean(errors < 0.15) > 0.8, "of the distance from the base to the tip"
    assert np.mean([len(some) > 1 for some in leaves]) < 0.2, "nothing else is taken for a leaf"
