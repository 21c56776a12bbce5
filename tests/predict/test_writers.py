import json

import numpy as np
import pytest

from kp_tf.core.errors import KpError
from kp_tf.core.face import Face
from kp_tf.core.keypoints import IBUG68, Scheme
from kp_tf.core.orientation import Orientation
from kp_tf.data.dlib_xml import read_dlib_xml
from kp_tf.data.synthetic.head import Face as DrawnFace
from kp_tf.data.synthetic.head import Head, Pose
from kp_tf.data.synthetic.landmarks import ibug68
from kp_tf.predict.writers import Result, as_csv, as_faces_csv, as_json, as_pts, face_to_json, name_in, write_xml

TWO = Scheme("two", ("left", "right"), (("eyes", (0, 1)),), flip_indices=(1, 0))
POINTS = np.array([[1.234, 2], [30.5, 4.006]])
FACE = Face(np.array([10.0, 20, 30.25, 40]), POINTS, np.array([0.98765, np.nan]), TWO)
RESULTS = [Result("a.jpg", Orientation((300, 200), 6), [FACE, FACE]), Result("b é.jpg", Orientation((30, 20)), [])]


def test_json_by_hand():
    written = as_json(RESULTS, TWO, "compact")
    assert written.endswith("}\n")
    face = {"box": [10.0, 20.0, 30.25, 40.0], "points": [[1.23, 2.0], [30.5, 4.01]], "confidence": [0.988, None]}
    assert json.loads(written) == {
        "network": "compact",
        "names": ["left", "right"],
        "groups": {"eyes": [0, 1]},
        "mirror": [1, 0],
        "photographs": [
            # the size as stored, as the points are
            {"file": "a.jpg", "width": 200, "height": 300, "orientation": 6, "faces": [face, face]},
            {"file": "b é.jpg", "width": 30, "height": 20, "orientation": 1, "faces": []},
        ],
    }


def test_json_of_the_68_points_has_pose_and_aspect_ratios():
    points = ibug68(Head(DrawnFace(eyelids=(0.2, 1.0))), Pose(20, 5, 10, 1.0, 0, 0))
    face = Face(FACE.box, points, np.ones(68), IBUG68)
    written = face_to_json(face)
    assert written["pose"] == {name: pytest.approx(value, abs=0.06) for name, value in face.pose._asdict().items()}
    assert written["eye_aspect_ratio"] == pytest.approx(face.eye_aspect_ratio, abs=6e-4)
    assert written["mouth_aspect_ratio"] == pytest.approx(face.mouth_aspect_ratio, abs=6e-4)
    points[[36, 60]] = np.nan
    written = json.loads(json.dumps(face_to_json(face), allow_nan=False))
    assert (written["pose"], written["eye_aspect_ratio"][0], written["mouth_aspect_ratio"]) == (None, None, None)
    assert written["eye_aspect_ratio"][1] > 0.2


def test_csv_of_faces():
    points = ibug68(Head(DrawnFace()), Pose(0, 0, 10, 1.0, 0, 0))
    points[36] = np.nan
    face = Face(FACE.box, points, np.full(68, 0.9), IBUG68)
    head, *rows = as_faces_csv([*RESULTS, Result("c.jpg", Orientation((30, 20)), [face])]).splitlines()
    eye, mouth = face.eye_aspect_ratio[1], face.mouth_aspect_ratio
    assert head.split(",")[:8] == ["file", "face", "left", "top", "width", "height", "confidence", "yaw"]
    assert rows == [
        "a.jpg,1,10.00,20.00,30.25,40.00,,,,,,,",
        "a.jpg,2,10.00,20.00,30.25,40.00,,,,,,,",
        f"c.jpg,1,10.00,20.00,30.25,40.00,0.900,,,,,{eye:.3f},{mouth:.3f}",
    ]
    assert {text.count(",") for text in (head, *rows)} == {12}


def test_json_has_null_for_a_missing_point():
    face = Face(FACE.box, np.array([[1.0, 2], [np.nan, np.nan]]), FACE.confidence, TWO)
    (written,) = json.loads(as_json([Result("a.jpg", Orientation((9, 9)), [face])], TWO, "compact"))["photographs"][0][
        "faces"
    ]
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
    size = Orientation((300, 200))
    write_xml(tmp_path / "points.xml", [Result(files[0], size, [FACE]), Result(files[1], size, [])], TWO)
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
