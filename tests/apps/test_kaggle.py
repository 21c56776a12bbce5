"""The competition's CSV, written and read back."""

import re
from pathlib import Path

import numpy as np
import pytest

from kp_tf.apps import kaggle as submission
from kp_tf.apps.kaggle import predict_kaggle, read_submission, write_submission
from kp_tf.core.errors import KpError


@pytest.fixture
def points():
    """(3, 68, 2) pixels, some outside the photograph."""
    return np.random.default_rng(0).uniform(-50, 2000, (3, 68, 2))


@pytest.fixture
def written(points, tmp_path):
    write_submission(points, tmp_path / "out.csv")
    return tmp_path / "out.csv"


def edit(path, line, text):
    """Replace one line, counted from 1."""
    lines = path.read_text().splitlines()
    lines[line - 1] = text
    path.write_text("\n".join(lines) + "\n")


def refused(path, *texts, faces=3):
    """read_submission raises an error that names the file and holds these texts."""
    with pytest.raises(KpError) as caught:
        read_submission(path, faces)
    for text in (str(path), *texts):
        assert text in str(caught.value)


def test_rows_of_the_whole_test_set(tmp_path):
    points = np.random.default_rng(0).uniform(0, 500, (1008, 68, 2)).astype(np.float32)
    assert write_submission(points, tmp_path / "out.csv") == 137_088
    lines = (tmp_path / "out.csv").read_bytes().split(b"\n")
    assert len(lines) == 137_088 + 2  # the header, and nothing after the last line end
    assert lines[0] == b"Id,Predicted"
    assert lines[-1] == b""
    assert lines[-2].startswith(b"137087,")


def test_order_is_x_before_y_image_by_image(tmp_path):
    points = np.arange(2 * 68 * 2, dtype=float).reshape(2, 68, 2) + 0.25
    write_submission(points, tmp_path / "out.csv")
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert lines[:4] == ["Id,Predicted", "0,0.2500", "1,1.2500", "2,2.2500"]
    assert lines[1 + 136] == "136,136.2500"


def test_read_gives_what_was_written(points, written):
    np.testing.assert_allclose(read_submission(written, 3), points, rtol=0, atol=0.501e-4)


@pytest.mark.parametrize("shape", [(3, 58, 2), (3, 136), (68, 2), (0, 68, 2), ()])
def test_write_refuses_shape(shape, tmp_path):
    with pytest.raises(KpError, match=re.escape(f"found {shape}")):
        write_submission(np.zeros(shape), tmp_path / "out.csv")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_write_refuses_value_that_is_not_finite(points, value, tmp_path):
    points[1, 5, 1] = value
    with pytest.raises(KpError, match=f"image 1, point 5, y: expected a finite number, found {value}"):
        write_submission(points, tmp_path / "out.csv")
    assert not list(tmp_path.iterdir())


def test_write_keeps_earlier_file_when_read_back_differs(points, written, monkeypatch):
    monkeypatch.setattr(submission, "read_submission", lambda path, faces: points + 2e-4)
    before = written.read_bytes()
    with pytest.raises(KpError, match="read back"):
        write_submission(points, written)
    assert written.read_bytes() == before
    assert list(written.parent.iterdir()) == [written]


def test_write_names_place_that_cannot_be_written(points, tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(KpError, match="folder: expected to write this file, found: "):
        write_submission(points, tmp_path / "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize(
    ("line", "text", "expected"),
    [
        (1, "id,Predicted", "line 1: expected Id,Predicted, found id,Predicted"),
        (3, "2,1.0", "line 3: expected its Id, counted from 0, found '2'"),
        (4, "2.0,1.0", "line 4: expected its Id, counted from 0, found '2.0'"),
        (8, '6,"1.0', "line 8: expected a finite number, found '\"1.0'"),
        (9, "7,nan", "line 9: expected a finite number, found 'nan'"),
        (10, "8,", "line 10: expected a finite number, found ''"),
        (11, "9,inf", "line 11: expected a finite number, found 'inf'"),
        (12, "10,1.0px", "line 12: expected a finite number, found '1.0px'"),
        (13, "", "line 13: expected its Id, counted from 0, found ''"),
        (14, "12,1,2", "in line 14, saw 3"),
    ],
)
def test_read_names_line(written, line, text, expected):
    edit(written, line, text)
    refused(written, expected)


def test_read_counts_rows(written):
    refused(written, "line 409", "expected 544 rows", "(4 images)", "found 408", faces=4)
    refused(written, "expected 272 rows", "found 408", faces=2)


def test_read_names_file_that_is_missing_or_empty(tmp_path):
    refused(tmp_path / "none.csv", "No such file")
    (tmp_path / "empty.csv").touch()
    refused(tmp_path / "empty.csv", "No columns")


@pytest.fixture
def predicted(ibug, tmp_path, monkeypatch):
    """Predictions that say which face they are of, without a network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(submission, "load_network", lambda run, precision: None)
    monkeypatch.setattr(
        submission,
        "predict_records",
        lambda network, records, run, flips: records.boxes[:, None, :2] + np.arange(136).reshape(68, 2) / 8,
    )
    return {"data": str(ibug), "run": "compact"}


def test_parts_join_to_the_whole(predicted):
    whole = predict_kaggle(**predicted).read_bytes()
    for part in ("2/3", "1/3", "3/3"):
        with pytest.raises(KpError, match=r"--merge: expected"):
            predict_kaggle(**predicted, merge=True, out=Path("joined.csv"))
        assert not Path("joined.csv").exists()
        predict_kaggle(**predicted, shard=part, out=Path("joined.csv"))
    joined = predict_kaggle(**predicted, merge=True, out=Path("joined.csv"))
    assert joined.read_bytes() == whole


def test_merge_refuses_parts_of_something_else(predicted):
    for part in ("1/2", "2/2"):
        predict_kaggle(**predicted, shard=part)
    with pytest.raises(
        KpError, match=r"submission.1-of-2.npz: expected a part of this network and these photographs"
    ):
        predict_kaggle(**{**predicted, "run": "large"}, merge=True)
    predict_kaggle(**predicted, shard="1/3")
    with pytest.raises(KpError, match="found parts of 2 and of 3"):
        predict_kaggle(**predicted, merge=True)
    assert not Path("submission.csv").exists()


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "1/0", "-1/2", "a/b", "1/2/3"])
def test_shard_that_is_none_is_refused(text):
    with pytest.raises(KpError, match="expected I/N with I from 1 to N"):
        predict_kaggle(shard=text)


def test_no_submission_where_a_photograph_is_bad(ibug, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    photograph = ibug / "ibug_300W_large_face_landmark_dataset" / "helen" / "022x.jpg"
    photograph.write_bytes(photograph.read_bytes()[:900])
    with pytest.raises(KpError, match=r"image 3 \(helen/022x.jpg\): expected the JPEG or PNG image"):
        predict_kaggle(data=str(ibug), run="compact")
    assert not list(tmp_path.glob("*.csv"))
