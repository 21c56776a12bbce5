import io
import json
import socket
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import numpy as np
import pytest
from helpers import serving
from PIL import ExifTags, Image

from kp_tf import Predictor
from kp_tf.apps.demo import server as demo
from kp_tf.core.errors import KpError
from kp_tf.core.keypoints import IBUG68
from kp_tf.data.dlib_xml import read_dlib_xml

PHOTO = Path(__file__).parents[2] / "docs" / "images" / "part2_strong_faces.jpg"
BOX = [40, 60, 180, 180]


class Answer:
    """What a server says: text, JSON, or the error's text."""

    def __init__(self, response):
        self.status, self.headers, self.content = response.status, response.headers, response.read()

    def json(self):
        return json.loads(self.content)


@pytest.fixture(scope="module")
def ask():
    with serving({"compact": "compact"}) as address:

        def asked(path, content=None, headers=None, **query):
            request = Request(f"{address}{path}?{urlencode(query)}", content, headers or {})
            try:
                with urlopen(request, timeout=60) as response:
                    return Answer(response)
            except HTTPError as error:
                with error:
                    return Answer(error)

        yield asked


def turned():
    """The photograph lying on its side, with EXIF that says so."""
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


def saved(ask, kind, found, faces=None, file="a/photo.png"):
    size = {name: found[name] for name in ("width", "height", "orientation")}
    photograph = {"file": file, **size, "faces": found["faces"] if faces is None else faces}
    asked = {"format": kind, "network": "compact", "photographs": [photograph]}
    return ask("/save", json.dumps(asked).encode())


def test_faces_are_those_of_predict(ask):
    found = predicted(ask)
    (face,) = Predictor.load().predict(PHOTO, [BOX])
    np.testing.assert_allclose(found["faces"][0]["points"], face.points, atol=0.005)
    assert found["names"] == list(IBUG68.names)
    assert found["groups"]["jaw"] == list(range(17))
    assert predicted(ask, boxes="[]")["faces"] == []


def test_a_turned_photograph_is_seen_upright_and_saved_as_stored(ask, tmp_path):
    upright, found = predicted(ask), predicted(ask, turned())
    assert (found["width"], found["height"], found["orientation"]) == (upright["width"], upright["height"], 6)
    np.testing.assert_allclose(found["faces"][0]["points"], upright["faces"][0]["points"], atol=0.1)
    (tmp_path / "photo.png").write_bytes(turned())
    stored = json.loads(saved(ask, "json", found).content)["photographs"][0]["faces"][0]
    (face,) = Predictor.load().predict(tmp_path / "photo.png", [stored["box"]])
    np.testing.assert_allclose(stored["points"], face.points, atol=0.02)
    # as the page opens marks again
    photograph = {name: found[name] for name in ("width", "height", "orientation")} | {"faces": [stored]}
    again = ask("/upright", json.dumps(photograph).encode()).json()
    np.testing.assert_allclose(again[0]["points"], found["faces"][0]["points"], atol=0.011)
    np.testing.assert_allclose(again[0]["box"], found["faces"][0]["box"], atol=0.011)


def test_what_browsers_do_not_show_comes_upright(ask):
    with Image.open(io.BytesIO(ask("/show", turned(), name="a.png").content)) as shown, Image.open(PHOTO) as photo:
        assert (shown.format, shown.size) == ("JPEG", photo.size)
        assert not shown.getexif()


def test_xml_is_read_back_without_what_cannot_be_seen(ask, tmp_path):
    found = predicted(ask)
    found["faces"][0]["points"][3] = None
    (tmp_path / "points.xml").write_bytes(saved(ask, "xml", found).content)
    records = read_dlib_xml(tmp_path / "points.xml", IBUG68, partial=True)
    assert records.files == ("a/photo.png",)
    assert np.flatnonzero(np.isnan(records.points[0, :, 0])).tolist() == [3]
    points = np.array([point or (np.nan, np.nan) for point in found["faces"][0]["points"]])
    np.testing.assert_allclose(records.points[0], points, atol=0.5)


def test_pts_is_of_a_whole_face(ask):
    found = predicted(ask)
    rows = saved(ask, "pts", found).content.decode().splitlines()
    assert rows[1] == "n_points: 68"
    np.testing.assert_allclose(
        [float(v) for v in rows[3].split()], np.add(found["faces"][0]["points"][0], 1), atol=0.01
    )
    found["faces"][0]["points"][3] = None
    answer = saved(ask, "pts", found)
    assert answer.status == 422
    assert answer.json()["error"].endswith("found point 03 missing")


@pytest.mark.parametrize(
    ("query", "content", "said"),
    [
        ({"name": "notes.jpg"}, b"a text", "notes.jpg: expected a photograph, found a file that is no picture"),
        ({"name": "a.jpg"}, b"", "a.jpg: expected a photograph, found an empty file"),
        ({"name": "a.jpg"}, PHOTO.read_bytes()[:5000], "a.jpg: expected a photograph, found a damaged one"),
        ({"network": "/etc/passwd"}, b"x", "network: expected one of compact, found '/etc/passwd'"),
        ({"boxes": "[[0, 0, 1]]"}, PHOTO.read_bytes(), "expected a request as the page makes it"),
        ({"boxes": "[[0, 0, 0, 5]]"}, PHOTO.read_bytes(), "expected a box of positive width and height"),
        ({"strange": "1"}, b"x", "expected a request as the page makes it"),
    ],
)
def test_what_cannot_be_used_is_one_clear_line(ask, query, content, said):
    answer = ask("/predict", content, **{"name": "a.jpg", **query})
    assert answer.status == 422
    assert said in answer.json()["error"]


@pytest.mark.parametrize("change", [{"points": [[1, 2]]}, {"box": [1, 2]}, {"points": None}])
def test_faces_of_other_shapes_are_refused(ask, change):
    found = predicted(ask)
    answer = saved(ask, "json", found, [found["faces"][0] | change])
    assert answer.status == 422
    assert "expected a request as the page makes it" in answer.json()["error"]


def test_a_name_that_leaves_the_folder_is_refused(ask):
    answer = saved(ask, "xml", predicted(ask), file="../../up.jpg")
    assert answer.status == 422
    assert "folder" in answer.json()["error"]


def test_uploads_are_limited(ask, monkeypatch):
    monkeypatch.setattr(demo, "UPLOAD", 1_000_000)
    answer = ask("/predict", b"x" * 1_000_001, name="a.jpg")
    assert answer.status == 422
    assert answer.json()["error"] == "expected at most 1 MB, found more"


def test_another_name_for_this_machine_is_refused(ask):
    assert ask("/", headers={"host": "127.0.0.1:8000"}).status == 200
    assert ask("/", headers={"host": "example.org"}).status == 400


def test_nothing_is_fetched_from_outside(ask):
    page = ask("/")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for name in demo.TYPES:
        text = ask(f"/{name}").content.decode().replace("http://www.w3.org/2000/svg", "")  # a name, not an address
        assert "http" not in text, name
        assert "//" not in text.replace("// ", ""), name


def test_the_command_says_what_is_wrong(monkeypatch):
    with socket.create_server((demo.HOST, 0)) as taken, pytest.raises(KpError, match="expected a free port"):
        demo.demo(port=taken.getsockname()[1], browser=False)
    with pytest.raises(KpError, match="no-such-run"):
        demo.demo(["no-such-run"], browser=False)
    monkeypatch.setattr(demo, "find_spec", lambda name: None)
    with pytest.raises(KpError, match="pip install starlette uvicorn"):
        demo.demo(browser=False)
