import json

import numpy as np
import pytest

from kp_tf.core.errors import KpError
from kp_tf.core.face import Face
from kp_tf.core.keypoints import Scheme
from kp_tf.data.dlib_xml import read_dlib_xml
from kp_tf.predict.writers import as_csv, as_json, as_pts, name_in, write_xml

TWO = Scheme("two", ("left", "right"), (("eyes", (0, 1)),), flip_indices=(1, 0))
POINTS = np.array([[1.234, 2], [30.5, 4.006]])
FACE = Face(np.array([10.0, 20, 30.25, 40]), POINTS, np.array([0.98765, np.nan]), TWO)
RESULTS = [("a.jpg", [FACE, FACE]), ("b é.jpg", [])]


def test_json_by_hand():
    written = as_json(RESULTS, TWO, "compact")
    assert written.endswith("}\n")
    face = {"box": [10.0, 20.0, 30.25, 40.0], "points": [[1.23, 2.0], [30.5, 4.01]], "confidence": [0.988, None]}
    assert json.loads(written) == {
        "network": "compact",
        "names": ["left", "right"],
        "groups": {"eyes": [0, 1]},
        "mirror": [1, 0],
        "photographs": [{"file": "a.jpg", "faces": [face, face]}, {"file": "b é.jpg", "faces": []}],
    }


def test_json_has_null_for_a_missing_point():
    face = Face(FACE.box, np.array([[1.0, 2], [np.nan, np.nan]]), FACE.confidence, TWO)
    (written,) = json.loads(as_json([("a.jpg", [face])], TWO, "compact"))["photographs"][0]["faces"]
    assert written["points"] == [[1, 2], None]


def test_csv_by_hand():
    assert as_csv(RESULTS, TWO).splitlines() == [
        "file,face,point,x,y,confidence",
        "a.jpg,1,left,1.23,2.00,0.988",
        "a.jpg,1,right,30.50,4.01,",
        "a.jpg,2,left,1.23,2.00,0.988",
        "a.jpg,2,right,30.50,4.01,",
    ]


def test_pts_counts_from_1():
    assert as_pts(FACE) == "version: 1\nn_points: 2\n{\n2.23 3.00\n31.50 5.01\n}\n"


def test_pts_refuses_a_missing_point():
    face = Face(FACE.box, np.array([[1.0, 2], [np.nan, np.nan]]), FACE.confidence, TWO)
    with pytest.raises(KpError, match="needs every point of the face, but point right is missing"):
        as_pts(face)


def test_xml_is_what_readers_take(tmp_path):
    (tmp_path / "sub").mkdir()
    files = [str(tmp_path / "sub" / "a.jpg"), str(tmp_path / "b.jpg")]
    write_xml(tmp_path / "points.xml", [(files[0], [FACE]), (files[1], [])], TWO)
    samples = read_dlib_xml(tmp_path / "points.xml", TWO, partial=True)
    assert samples.files == ("sub/a.jpg",), "b.jpg has no face"
    np.testing.assert_array_equal(samples.boxes, [[10, 20, 30, 40]])
    np.testing.assert_array_equal(samples.points, [[[1, 2], [30, 4]]])
    dlib = pytest.importorskip("dlib", reason="the extra detect is not installed")
    images = dlib.image_dataset_metadata.load_image_dataset_metadata(str(tmp_path / "points.xml")).images
    assert [image.filename for image in images] == ["sub/a.jpg", "b.jpg"]
    assert [len(image.boxes) for image in images] == [1, 0]
    assert (images[0].boxes[0].parts["left"].x, images[0].boxes[0].parts["left"].y) == (1, 2)


def test_xml_refuses_photographs_outside_its_folder(tmp_path):
    (tmp_path / "sub").mkdir()
    with pytest.raises(KpError, match=r"--format xml: .*a\.jpg is not in the folder of the XML, .*sub, or below it"):
        name_in(tmp_path / "sub", str(tmp_path / "a.jpg"))
