import sys

import numpy as np
import pytest
from helpers import picture

from kp_tf.core.errors import KpError
from kp_tf.core.geometry import overlaps
from kp_tf.predict.detector import dlib_faces


def test_a_missing_detector_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(KpError, match=r"pip install dlib-bin\); otherwise pass a box"):
        dlib_faces(picture(20, 20))


def test_dlib_finds_a_face_at_any_size(drawn_face):
    pytest.importorskip("dlib", reason="the extra detect is not installed")
    image, box = drawn_face
    (found,) = dlib_faces(image)
    assert overlaps(found[None], np.array(box)) > 0.5
    (small,) = dlib_faces(image.resize((130, 130)))
    assert overlaps(2 * small[None], np.array(box)) > 0.5


def test_noise_holds_no_face():
    pytest.importorskip("dlib", reason="the extra detect is not installed")
    assert dlib_faces(picture(100, 80)).shape == (0, 4)
