"""Which files of the arguments are predicted, and what is said of the others."""

import errno
import os

import pytest
from helpers import picture
from PIL import Image

from kp_tf.core.errors import KpError
from kp_tf.core.image_files import SUFFIXES
from kp_tf.predict.sources import CLIPS, find_sources


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with photographs of all kinds of names, clips, and other files; it is the working directory."""
    monkeypatch.chdir(tmp_path)
    os.makedirs("p/sub/deep")
    os.makedirs("p/drawn")
    os.makedirs("p/.hidden")
    image = picture(16, 12)
    for name, format in (
        ("p/one.jpg", "JPEG"),
        ("p/two.jfif", "JPEG"),
        ("p/three.jp2", "JPEG2000"),
        ("p/four.tga", "TGA"),
        ("p/no suffix", "PNG"),
        ("p/wrong.txt", "GIF"),
        ("p/picture.mp4", "JPEG"),
        ("p/sub/deep/five.PNG", "PNG"),
        ("p/drawn/one.jpg", "JPEG"),
        ("p/.hidden/one.jpg", "JPEG"),
    ):
        image.save(name, format)
    (tmp_path / "p" / "._one.jpg").write_bytes(b"\0\5\26\7\0\2\0\0Mac OS X")
    for name in ("a.txt", "b.txt", "BMW.txt", "c.pdf", "README", "clip.MOV", "sub/clip.mp4", "damaged.jpg"):
        (tmp_path / "p" / name).write_text("BM is no bitmap" if name == "BMW.txt" else "x")
    return "p"


def names(paths):
    return [path.as_posix() for path in paths]


def test_a_folder_is_searched_by_content_and_what_is_left_out_is_counted(folder):
    sources = find_sources([folder])
    assert sorted(names(sources.photographs)) == [
        *("p/damaged.jpg", "p/four.tga", "p/no suffix", "p/one.jpg", "p/picture.mp4"),
        *("p/sub/deep/five.PNG", "p/three.jp2", "p/two.jfif", "p/wrong.txt"),
    ]
    assert names(sources.clips) == ["p/clip.MOV", "p/sub/clip.mp4"]
    assert sources.skipped_line() == "skipped: 3 .txt, 1 file without a suffix, 1 .pdf, 1 file in drawn"
    assert sources.problems == []


def test_clips_that_cannot_be_predicted_are_counted_in_folders_and_refused_by_name(folder):
    sources = find_sources([folder], "clips need --out DIR")
    assert sources.clips == []
    assert "2 clips (clips need --out DIR)" in sources.skipped_line()
    with pytest.raises(KpError, match=r"p/clip\.MOV: clips need --out DIR"):
        find_sources(["p/clip.MOV"], "clips need --out DIR")
    assert names(find_sources(["p/picture.mp4"], "clips need --out DIR").photographs) == ["p/picture.mp4"]


def test_named_files_and_patterns_are_taken_once_as_they_are(folder):
    assert names(find_sources(["p/two.jfif", "p/a.txt", "missing.jpg", "p/*.jfif"]).photographs) == [
        *("p/two.jfif", "p/a.txt", "missing.jpg"),
    ]
    assert names(find_sources(["p/s*"]).photographs) == ["p/sub/deep/five.PNG"], "a folder that a pattern matches"
    assert names(find_sources(["p/drawn"]).photographs) == ["p/drawn/one.jpg"], "a folder that is named"
    Image.new("L", (4, 4)).save("a[1].png")
    assert names(find_sources(["a[1].png"]).photographs) == ["a[1].png"], "a file, not a pattern"
    assert names(find_sources(["x" * 300]).photographs) == ["x" * 300], "it is named when it is read"


def test_a_folder_with_nothing_does_not_stop_the_others(folder):
    os.makedirs("empty")
    os.makedirs("texts")
    os.rename("p/a.txt", "texts/a.txt")
    sources = find_sources(["empty", "p/one.jpg", "texts"])
    assert names(sources.photographs) == ["p/one.jpg"]
    problem = "there are no photographs or clips in the folder"
    assert sources.problems == [f"{problem} empty", f"{problem} texts (skipped: 1 .txt)"]
    with pytest.raises(KpError, match="2 folders cannot be used"):
        find_sources(["empty", "texts"])


def test_linked_folders_are_searched_once(folder, tmp_path):
    os.makedirs("linked/sub")
    os.symlink(tmp_path / "p" / "sub", "linked/link")
    os.symlink(tmp_path / "linked", "linked/sub/circle")
    assert names(find_sources(["linked"]).photographs) == ["linked/link/deep/five.PNG"]


def test_a_folder_that_cannot_be_read_is_named(folder, monkeypatch):
    scandir = os.scandir

    def forbidding(path):
        if str(path).endswith("sub"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", forbidding)
    assert find_sources([folder]).problems == ["cannot read the folder p/sub: Permission denied"]


def test_a_suffix_is_of_a_photograph_or_of_a_clip():
    assert not SUFFIXES & CLIPS
