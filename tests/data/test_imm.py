"""IMM's files to samples."""

import numpy as np
import pytest
from helpers import write_asf

from kp_tf.core.errors import KpError
from kp_tf.data.imm import read_imm


@pytest.fixture
def folder(imm):
    return imm / "imm_face_db"


def test_points_in_pixels(folder):
    units = np.full((58, 2), 0.25)
    units[7] = (0.5, 1.0)
    write_asf(folder / "31-1m.asf", units, extra="\t0.00\t0.00\t0.00")  # three columns more, as in 41 real files
    samples = read_imm(folder)
    assert len(samples) == 8
    assert samples.files[0] == "31-1m.jpg"
    assert samples.boxes[0].tolist() == [0, 0, 160, 120]
    # u = 0.25 of 160 pixels is the edge between pixels 39 and 40
    np.testing.assert_allclose(samples.labels[0, 0], (39.5, 29.5))
    np.testing.assert_allclose(samples.labels[0, 7], (79.5, 119.5))


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda lines: lines[:40], "32-3m.asf: expected 58 lines of points, found 32"),
        (lambda lines: [line.replace("58", "57") if line == "58" else line for line in lines], "points, 58, found"),
        (lambda lines: [], "32-3m.asf: expected the number of points, 58, found an empty file"),
        (lambda lines: [*lines[:10], "0 4 a 0.5 2 0 1", *lines[11:]], "32-3m.asf, line 11: expected numbers"),
        (lambda lines: [*lines[:10], "0 4", *lines[11:]], "32-3m.asf, line 11: expected numbers"),
        (lambda lines: [*lines[:10], "0 4 nan 0.5 2 0 1", *lines[11:]], "32-3m.asf, line 11: expected finite"),
        (lambda lines: [*lines[:10], "0 4 1000 0.5 2 0 1", *lines[11:]], "x and y near the photograph, found 1000"),
        (lambda lines: lines[:-1], "32-3m.asf: the last line does not name the photograph"),
        (lambda lines: [*lines[:-1], "../31-1m.jpg"], "expected a name such as 01-1m.jpg, found '../31-1m.jpg'"),
        (lambda lines: [*lines[:-1], "32-4m.jpg"], "32-4m.jpg: no such file"),
    ],
)
def test_a_bad_asf_is_named(folder, spoil, expected):
    path = folder / "32-3m.asf"
    path.write_text("\n".join(spoil(path.read_text().splitlines())))
    with pytest.raises(KpError) as caught:
        read_imm(folder).checked()
    assert str(path) in str(caught.value)
    assert expected in str(caught.value)


def test_bad_files_are_left_out_and_named(folder):
    (folder / "31-1m.asf").write_text("58")
    (folder / "32-1m.jpg").write_bytes(b"no image")
    samples = read_imm(folder)
    assert samples.files == ("31-3m.jpg", "32-3m.jpg", "33-1m.jpg", "33-3m.jpg", "34-1m.jpg", "34-3m.jpg")
    assert samples.entries[:2] == ("31-3m.asf", "32-3m.asf")
    assert samples.boxes.shape == (6, 4)
    assert samples.labels.shape == (6, 58, 2)
    assert samples.problems == (
        f"{folder}/31-1m.asf: expected 58 lines of points, found 0",
        f"{folder}/32-1m.asf: cannot read {folder}/32-1m.jpg: not an image file",
    )
    with pytest.raises(KpError, match=r"^2 entries of .* cannot be used:\n  .*31-1m.asf.*\n  .*32-1m.jpg"):
        samples.checked()


def test_a_folder_without_a_good_file_is_refused(folder, tmp_path):
    for path in folder.glob("*.jpg"):
        path.write_bytes(b"no image")
    with pytest.raises(KpError, match=r"8 files of .* cannot be used"):
        read_imm(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(KpError, match=r"found no \.asf file"):
        read_imm(tmp_path / "empty")


def test_a_photograph_that_is_a_link_out_of_the_folder_is_refused(folder, tmp_path):
    (folder / "32-3m.jpg").rename(tmp_path / "secret.jpg")
    (folder / "32-3m.jpg").symlink_to(tmp_path / "secret.jpg")
    with pytest.raises(KpError, match=r"32-3m.asf: expected an image inside .*, found a path that leaves it"):
        read_imm(folder).checked()


def test_a_folder_that_cannot_be_listed_is_named(folder):
    with pytest.raises(KpError, match=r"cannot read the folder .*none: No such file or directory"):
        read_imm(folder / "none")
    with pytest.raises(KpError, match=r"cannot read the folder .*31-1m\.jpg: Not a directory"):
        read_imm(folder / "31-1m.jpg")
