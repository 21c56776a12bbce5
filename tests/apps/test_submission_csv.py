"""The competition's CSV, written and read back."""

import re

import numpy as np
import pandas as pd
import pytest

from kp_tf.apps.submission_csv import read_submission, write_submission
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
    with pytest.raises(KpError, match=re.escape(f"points of shape (N, 68, 2), not {shape}")):
        write_submission(np.zeros(shape), tmp_path / "out.csv")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_write_refuses_value_that_is_not_finite(points, value, tmp_path):
    points[1, 5, 1] = value
    with pytest.raises(KpError, match=f"image 1, point 5, y is {value}"):
        write_submission(points, tmp_path / "out.csv")
    assert not list(tmp_path.iterdir())


def test_write_keeps_earlier_file_when_read_back_differs(points, written, monkeypatch):
    write, before = pd.DataFrame.to_csv, written.read_bytes()

    def write_others(table, *arguments, **options):
        return write(table.assign(Predicted=table.Predicted + 2e-4), *arguments, **options)

    monkeypatch.setattr(pd.DataFrame, "to_csv", write_others)
    with pytest.raises(KpError, match="did not read back as it was written, and was not kept"):
        write_submission(points, written)
    assert written.read_bytes() == before
    assert list(written.parent.iterdir()) == [written]


def test_write_names_place_that_cannot_be_written(points, tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(KpError, match=r"cannot write .*folder: Is a directory"):
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
