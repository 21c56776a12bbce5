"""The label files that are written of `more_faces`: who is in them, and what a teacher takes out."""

from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
from helpers import INFO, SHAPE

from benchmarks.face_sets import FaceSet
from benchmarks.more_faces import for_training, joined, views, without_errors, write_labels
from kp_tf.core.geometry import to_unit
from kp_tf.core.keypoints import IBUG68
from kp_tf.data.formats import read_labels
from kp_tf.data.samples import Samples


def samples_of(files, root=Path("/data")):
    points = np.tile(20 + 40 * SHAPE, (len(files), 1, 1)) + np.arange(len(files))[:, None, None]
    return Samples(root, tuple(files), np.tile([20.0, 20, 40, 40], (len(files), 1)), points, IBUG68, tuple(files))


def test_few_frames_of_each_person_are_for_training_and_none_that_is_held_out():
    files = [f"{person}_{number:02d}.jpg" for person in "ab" for number in range(10)] + ["c_00.jpg"]
    units = np.array([file[0] for file in files])
    held_out = units == "b"
    frames = for_training(FaceSet("ytfaces", samples_of(files), held_out, units))
    assert frames.files == ("a_00.jpg", "a_03.jpg", "a_06.jpg", "a_09.jpg", "c_00.jpg")
    assert len(for_training(FaceSet("fgnet", samples_of(files), held_out, units))) == 11


def test_points_and_faces_that_a_sure_network_contradicts_are_left_out():
    samples = samples_of(["a.jpg", "b.jpg", "c.jpg"])
    labels, seen, scatter = np.zeros((3, 68, 2)), np.zeros((3, 68, 2)), np.zeros((3, 68))
    labels[0, :2] = 0.1
    scatter[0, 1] = 0.05  # here the network is not sure
    labels[1] = 0.1
    labels[2], scatter[2] = 0.1, 0.05
    kept = without_errors(samples, labels, seen, scatter)
    assert kept.files == ("a.jpg", "c.jpg")
    assert np.flatnonzero(np.isnan(kept.labels[..., 0])).tolist() == [0]


def test_files_name_their_photographs_wherever_they_lie_and_keep_tenths(tmp_path):
    one, other = samples_of(["x/1.png"], tmp_path / "a"), samples_of(["x/2.png"], tmp_path / "b")
    one.labels[0, 5] = np.nan
    write_labels(tmp_path / "out.xml", joined([one, other]))
    again = read_labels(tmp_path / "out.xml", IBUG68, allow_outside=True)
    assert [tmp_path / file for file in again.files] == [tmp_path / "a/x/1.png", tmp_path / "b/x/2.png"]
    np.testing.assert_allclose(again.labels[0], one.labels[0], atol=0.051)
    np.testing.assert_allclose(again.boxes, 20 + 20 * np.array([[0, 0, 1, 1]] * 2))


def test_a_network_that_is_right_scatters_little_and_one_that_sees_nothing_much(monkeypatch):
    samples, shown, mirrored = samples_of(["1.png", "2.png"]), [], cycle([False, True])

    def crops(samples, windows, shape):
        shown.append(windows)
        return np.zeros((len(samples), *shape, 1))

    def truth(network, crops):
        points = to_unit(samples.labels, shown[-1])
        if next(mirrored):
            points = points[:, IBUG68.flip_indices] * (-1, 1) + (1, 0)
        return np.concatenate([points, np.zeros((2, 68, 1))], axis=-1)

    monkeypatch.setattr("benchmarks.more_faces.stream_crops", crops)
    monkeypatch.setattr("benchmarks.more_faces.predict_all", truth)
    labels, seen, scatter = views(None, INFO, samples)
    assert [windows[0, 4] - shown[1][0, 4] for windows in shown] == pytest.approx([-15, 0, 15])
    np.testing.assert_allclose(seen, labels, atol=1e-6)
    assert scatter.max() < 1e-6
    monkeypatch.setattr("benchmarks.more_faces.predict_all", lambda network, crops: np.full((2, 68, 3), 0.3))
    assert views(None, INFO, samples)[2].min() > 0.05
