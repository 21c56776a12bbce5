import io
import json
import re
import socket
import sys
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pytest
from helpers import fetch, serving
from PIL import ExifTags, Image

from kp_tf import Predictor
from kp_tf.apps.demo.limits import Limits
from kp_tf.apps.demo.pages import STATIC
from kp_tf.apps.demo.server import HOST, demo
from kp_tf.core.errors import KpError
from kp_tf.core.image_files import SUFFIXES
from kp_tf.core.images import open_photograph
from kp_tf.core.keypoints import IBUG68
from kp_tf.data.dlib_xml import read_dlib_xml

PHOTO = Path(__file__).parents[2] / "docs" / "images" / "part2_strong_faces.jpg"
BOX = [40, 60, 180, 180]


@pytest.fixture(scope="module")
def ask():
    with serving({"compact": "compact"}) as address:

        def asked(path, content=None, headers=None, **query):
            return fetch(f"{address}{path}?{urlencode(query)}", content, headers)

        yield asked


def rotated():
    """The photograph stored on its side, with the EXIF orientation that turns it upright."""
    exif, content = Image.Exif(), io.BytesIO()
    exif[ExifTags.Base.Orientation] = 6
    with Image.open(PHOTO) as upright:
        upright.transpose(Image.Transpose.ROTATE_90).save(content, "PNG", exif=exif)
    return content.getvalue()


def predicted(ask, content=None, **query):
    content = PHOTO.read_bytes() if content is None else content
    answer = ask("/predict", content, **{"name": "a.jpg", "boxes": json.dumps([BOX]), **query})
    assert answer.status == 200, answer.content
    return answer.json()


def saved(ask, kind, prediction, faces=None, file="a/photo.png"):
    size = {name: prediction[name] for name in ("width", "height", "orientation")}
    photograph = {"file": file, **size, "faces": prediction["faces"] if faces is None else faces}
    asked = {"format": kind, "network": "compact", "photographs": [photograph]}
    return ask("/save", json.dumps(asked).encode())


def test_faces_equal_those_of_the_predictor(ask):
    prediction = predicted(ask)
    (face,) = Predictor.load().predict(open_photograph(PHOTO), [BOX])
    np.testing.assert_allclose(prediction["faces"][0]["points"], face.points, atol=0.005)
    assert prediction["names"] == list(IBUG68.names)
    assert prediction["groups"]["jaw"] == list(range(17))
    assert predicted(ask, boxes="[]")["faces"] == []


def test_a_rotated_photograph_is_shown_upright_and_saved_as_stored(ask, tmp_path):
    upright, prediction = predicted(ask), predicted(ask, rotated())
    assert (prediction["width"], prediction["height"], prediction["orientation"]) == (
        upright["width"],
        upright["height"],
        6,
    )
    np.testing.assert_allclose(prediction["faces"][0]["points"], upright["faces"][0]["points"], atol=0.1)
    (tmp_path / "photo.png").write_bytes(rotated())
    (photograph,) = json.loads(saved(ask, "json", prediction).content)["photographs"]
    with Image.open(io.BytesIO(rotated())) as file:
        assert (photograph["width"], photograph["height"], photograph["orientation"]) == (*file.size, 6)
    (stored,) = photograph["faces"]
    assert stored["pose"] == pytest.approx(prediction["faces"][0]["pose"], abs=0.11)
    assert stored["pose"] == pytest.approx(upright["faces"][0]["pose"], abs=1)
    (face,) = Predictor.load().predict(tmp_path / "photo.png", [stored["box"]])
    np.testing.assert_allclose(stored["points"], face.points, atol=0.02)
    # As the page does with the labels of an opened folder.
    photograph = {name: prediction[name] for name in ("width", "height", "orientation")} | {"faces": [stored]}
    again = ask("/upright", json.dumps(photograph).encode()).json()
    np.testing.assert_allclose(again[0]["points"], prediction["faces"][0]["points"], atol=0.011)
    np.testing.assert_allclose(again[0]["box"], prediction["faces"][0]["box"], atol=0.011)


def test_the_preview_is_an_upright_jpeg(ask):
    answer = ask("/preview", rotated(), name="a.png")
    with Image.open(io.BytesIO(answer.content)) as preview, Image.open(PHOTO) as photo:
        assert (preview.format, preview.size) == ("JPEG", photo.size)
        assert not preview.getexif()


def test_xml_is_read_back_without_missing_points(ask, tmp_path):
    prediction = predicted(ask)
    prediction["faces"][0]["points"][3] = None
    (tmp_path / "points.xml").write_bytes(saved(ask, "xml", prediction).content)
    samples = read_dlib_xml(tmp_path / "points.xml", IBUG68, partial=True)
    assert samples.files == ("a/photo.png",)
    assert np.flatnonzero(np.isnan(samples.points[0, :, 0])).tolist() == [3]
    points = np.array([point or (np.nan, np.nan) for point in prediction["faces"][0]["points"]])
    np.testing.assert_allclose(samples.points[0], points, atol=0.5)


def test_pts_needs_all_points(ask):
    prediction = predicted(ask)
    rows = saved(ask, "pts", prediction).content.decode().splitlines()
    assert rows[1] == "n_points: 68"
    np.testing.assert_allclose(
        [float(v) for v in rows[3].split()], np.add(prediction["faces"][0]["points"][0], 1), atol=0.01
    )
    prediction["faces"][0]["points"][3] = None
    answer = saved(ask, "pts", prediction)
    assert answer.status == 422
    assert answer.json()["error"].endswith("point 03 is missing")


@pytest.mark.parametrize(
    ("query", "content", "said"),
    [
        ({"name": "notes.jpg"}, b"a text", "cannot read notes.jpg: not an image file"),
        ({"name": "a.jpg"}, b"", "cannot read a.jpg: the file is empty"),
        ({"name": "a.jpg"}, PHOTO.read_bytes()[:5000], "cannot read a.jpg: the image is damaged"),
        ({"network": "/etc/passwd"}, b"x", "unknown network '/etc/passwd': choose one of compact"),
        ({"boxes": "[[0, 0, 1]]"}, PHOTO.read_bytes(), "invalid request"),
        ({"boxes": "[[0, 0, 0, 5]]"}, PHOTO.read_bytes(), "a box needs positive width and height"),
        ({"strange": "1"}, b"x", "invalid request"),
    ],
)
def test_what_cannot_be_used_is_one_clear_line(ask, query, content, said):
    answer = ask("/predict", content, **{"name": "a.jpg", **query})
    assert answer.status == 422
    assert said in answer.json()["error"]


@pytest.mark.parametrize("change", [{"points": [[1, 2]]}, {"box": [1, 2]}, {"points": None}])
def test_faces_of_other_shapes_are_refused(ask, change):
    prediction = predicted(ask)
    answer = saved(ask, "json", prediction, [prediction["faces"][0] | change])
    assert answer.status == 422
    assert "invalid request" in answer.json()["error"]


@pytest.mark.parametrize(
    ("change", "face", "said"),
    [
        ({"orientation": 9}, {}, "invalid request"),
        ({"width": float("inf")}, {}, "invalid request"),
        ({"file": "a\0.jpg"}, {}, "XML cannot hold this name; rename the file"),
        ({"file": "a\ud800.jpg"}, {}, "invalid request"),
        ({}, {"box": [float("nan"), 0, 10, 10]}, "invalid request"),
        ({}, {"points": [[float("inf"), 0]] * 68}, "invalid request"),
    ],
)
def test_values_that_no_file_can_hold_are_refused(ask, change, face, said):
    prediction = predicted(ask) | change
    answer = saved(ask, "xml", prediction, [prediction["faces"][0] | face], change.get("file", "photo.png"))
    assert answer.status == 422
    assert said in answer.json()["error"]


@pytest.mark.parametrize("path", ["/service.py", "/../service.py", "/networks", "/_predictor", "/__init__", "/about"])
def test_other_paths_are_not_served(ask, path):
    assert ask(path).status == 404
    assert ask(path, b"{}").status == 404


def test_a_name_that_leaves_the_folder_is_refused(ask):
    answer = saved(ask, "xml", predicted(ask), file="../../up.jpg")
    assert answer.status == 422
    assert "folder" in answer.json()["error"]


def test_uploads_are_limited():
    with serving({"compact": "compact"}, limits=Limits(upload=1_000_000)) as address:
        assert fetch(f"{address}/settings").json()["upload_limit"] == 1_000_000
        answer = fetch(f"{address}/predict?name=a.jpg", b"x" * 1_000_001)
    assert answer.status == 422
    assert answer.json()["error"] == "the upload is larger than the limit of 1 MB"


def test_another_name_for_this_machine_is_refused(ask):
    assert ask("/", headers={"host": "127.0.0.1:8000"}).status == 200
    assert ask("/", headers={"host": "example.org"}).status == 400


def test_nothing_is_fetched_from_outside(ask):
    page = ask("/")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    files = [path for path in STATIC.rglob("*") if path.is_file()]
    assert {"index.html", "main.js", "page.css"} <= {path.name for path in files}
    for path in files:
        name, answer = path.name, ask(f"/{path.relative_to(STATIC).as_posix()}")
        assert answer.headers["content-security-policy"] == page.headers["content-security-policy"], name
        text = re.sub(r"http://(www.w3.org/2000/svg|127.0.0.1:8001)", "", answer.content.decode())  # a name, and a link
        assert not re.search("https?:", text), name
        assert "//" not in text.replace("// ", ""), name


def test_the_command_says_what_is_wrong(monkeypatch):
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(KpError, match=f"cannot listen on port {port}: .*; choose another with --port"):
            demo(port=port, browser=False)
    with pytest.raises(KpError, match="no-such-run"):
        demo(["no-such-run"], browser=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)  # as if it were not installed
    with pytest.raises(KpError, match="pip install starlette uvicorn"):
        demo(browser=False)


def test_the_page_knows_the_names_of_all_photographs():
    script = (STATIC / "files.js").read_text()
    pattern = re.compile(re.search(r"PHOTOGRAPH = /(.*)/i;", script)[1], re.IGNORECASE)
    assert [suffix for suffix in SUFFIXES if not pattern.search(f"a{suffix}")] == []
    assert not pattern.search("a.mp4")
