import hashlib
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kp_tf.core.errors import KpError
from kp_tf.core.geometry import to_unit
from kp_tf.core.keypoints import IBUG68, IMM58
from kp_tf.data.dlib_xml import read_dlib_xml
from kp_tf.data.imm import read_imm
from kp_tf.data.layout import FOLDERS, TEST_XMLS, TRAIN_XML
from kp_tf.data.synthetic.head import Face, Head, Pose
from kp_tf.data.synthetic.landmarks import ibug68, imm58
from kp_tf.data.synthetic.painting import paint_head
from kp_tf.data.synthetic.people import Person
from kp_tf.data.synthetic.photographs import draw_ibug, draw_imm
from kp_tf.data.synthetic.render import render_head
from kp_tf.data.synthetic.sample import VERSION, cache_folder, draw_sample, sample_folder, sample_path

GREY, GREEN, BLUE, RED = np.full(3, 0.4), *np.eye(3)[[1, 2, 0]]
TURNED = Pose(yaw=18, pitch=6, roll=9, scale=1.1, x=300, y=250)
BALD = Person("m", Face(), *[GREY] * 4, hairline=(-250,) * 4, thickness=0, brow=1, beard=0, glasses=0, shirt=GREY)


@pytest.fixture(scope="module")
def imm(tmp_path_factory):
    """IMM's folder with two drawn people."""
    draw_sample(folder := tmp_path_factory.mktemp("imm") / "sample", "imm", count=2, seed=3, processes=1)
    return folder / FOLDERS["imm"]


@pytest.fixture(scope="module")
def ibug(tmp_path_factory):
    """iBUG's folder with ten synthetic faces for training and four for the test."""
    draw_sample(folder := tmp_path_factory.mktemp("ibug") / "sample", "ibug", count=10, seed=3, processes=1)
    return folder / FOLDERS["ibug"]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The package's cache folder, sent to an empty one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "kp_tf"


def fingerprints(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def painted(head, pose, **colours):
    """A picture (480, 640, 3) of a bald head in even light, all of it grey but for the colours named."""
    canvas = np.zeros((480, 640, 3), np.float32)
    paint_head(canvas, head, pose, replace(BALD, **colours), np.array([0, 0, 0.6]), np.random.default_rng(0))
    return canvas


def covered(head, pose):
    """The pixels (480, 640) that a bald head covers."""
    pixels, mask = render_head(head, pose, BALD, (480, 640)), np.zeros((480, 640), bool)
    mask[pixels.row, pixels.column] = True
    return mask


def extent(mask):
    """Left, top, right and bottom of a mask's pixels."""
    y, x = np.nonzero(mask)
    return np.array([x.min(), y.min(), x.max(), y.max()])


def drawn_alone(folder, seed):
    """Four photographs drawn into an empty folder, with IMM's points, and the entries of the XML."""
    for name in ("sample", "sample_test"):
        (folder / name).mkdir()
    draw_imm(folder, seed, number=1, condition=1)
    draw_imm(folder, seed, number=2, condition=6)
    return [draw_ibug(folder, seed, test, number=1) for test in (False, True)]


def test_same_seed_gives_the_same_pictures_whatever_the_sample_size(imm, ibug, tmp_path):
    train, test = drawn_alone(tmp_path, seed=3)
    assert train in (ibug / TRAIN_XML).read_text()
    assert test in (ibug / TEST_XMLS[0]).read_text()
    alone = fingerprints(tmp_path)
    assert len(alone) == 6
    assert alone.items() <= (fingerprints(imm) | fingerprints(ibug)).items()


def test_another_seed_gives_other_pictures(imm, ibug, tmp_path):
    train, test = drawn_alone(tmp_path, seed=4)
    assert train not in (ibug / TRAIN_XML).read_text()
    assert test not in (ibug / TEST_XMLS[0]).read_text()
    assert not set(fingerprints(tmp_path).values()) & set((fingerprints(imm) | fingerprints(ibug)).values())


def test_several_processes_draw_the_same_bytes(ibug, tmp_path):
    draw_sample(tmp_path / "sample", "ibug", count=10, seed=3, test_only=True, processes=2)
    drawn = fingerprints(tmp_path / "sample" / FOLDERS["ibug"])
    assert len(drawn) == 4 + 1
    assert drawn.items() <= fingerprints(ibug).items()


def test_imm_reads_as_the_real_set(imm):
    faces = read_imm(imm)
    assert not faces.problems
    assert len(faces) == 12
    assert [file[:4] for file in faces.files[:6]] == [f"01-{k}" for k in range(1, 7)]
    assert faces.labels.shape == (12, 58, 2)
    assert (faces.labels > 0).all()
    assert (faces.labels < (640, 480)).all()
    for file in faces.files:
        with Image.open(faces.root / file) as picture:
            assert (picture.size, picture.mode, picture.format) == ((640, 480), "RGB", "JPEG")


def test_asf_has_the_columns_of_the_real_files(imm):
    path = next(imm.glob("01-1*.asf"))
    rows = [line.split() for line in path.read_text().splitlines() if line and line[0].isdigit()][1:59]
    assert [row[4] for row in rows] == [str(k) for k in range(58)]
    columns = {int(row[4]): (row[0], row[1], row[5], row[6]) for row in rows}
    assert columns[0] == ("0", "4", "0", "1")
    assert columns[12] == ("0", "4", "11", "12")
    assert columns[13] == ("1", "0", "20", "14")
    assert columns[20] == ("1", "0", "19", "13")
    assert columns[33] == ("3", "4", "32", "33")
    assert columns[47] == ("6", "4", "47", "48")
    assert path.read_text().endswith(f"{path.stem}.jpg\n")


def test_people_turn_and_smile_as_in_imm(imm):
    points = read_imm(imm).labels.reshape(2, 6, 58, 2)
    jaw = (points[..., 0, 0] + points[..., 12, 0]) / 2
    aside = (points[..., 52, 0] - jaw) / (points[..., 12, 0] - points[..., 0, 0])
    assert (aside[:, 2] < -0.1).all()
    assert (aside[:, 3] > 0.1).all()
    width = np.linalg.norm(points[..., 43, :] - points[..., 39, :], axis=-1)
    eyes = np.linalg.norm(points[..., 13, :] - points[..., 21, :], axis=-1)
    assert ((width / eyes)[:, 1] > 1.04 * (width / eyes)[:, 0]).all()


def test_ibug_reads_as_the_real_set(ibug):
    train, test = read_dlib_xml(ibug / TRAIN_XML, IBUG68), read_dlib_xml(ibug / TEST_XMLS[0], IBUG68, labelled=False)
    assert (len(train), len(test)) == (10, 4)
    assert "<part" not in (ibug / TEST_XMLS[0]).read_text()
    assert sum(file.endswith(".png") for file in test.files) == 1
    for faces in (train, test):
        assert not faces.problems
        assert (faces.boxes == np.rint(faces.boxes)).all()
        for file in faces.files:
            with Image.open(faces.root / file) as picture:
                assert picture.mode == "RGB"
                assert min(picture.size) >= 260
    inner = to_unit(train.labels, train.boxes)[:, 17:]
    assert np.abs(inner.mean((0, 1)) - (0.512, 0.507)).max() < 0.05
    assert 0.27 < np.sqrt(inner.var(axis=1).sum(axis=-1)).mean() < 0.33  # the real one is 0.298


def test_landmarks_are_the_corners_of_the_painted_mouth():
    head = Head(Face(smile=0.6, gap=9))
    for pose, points in ((TURNED, imm58(head, TURNED)[39:47]), (TURNED, ibug68(head, TURNED)[48:60])):
        picture = painted(head, pose, lip=GREEN)
        green = picture[..., 1] > picture[..., 0] + 0.08
        expected = np.concatenate([points.min(axis=0), points.max(axis=0)])
        assert np.abs(extent(green) - expected).max() < 3


@pytest.mark.parametrize("opened", [1.0, 0.5])
def test_landmarks_surround_the_painted_irises(opened):
    head = Head(Face(gaze=3, eyelids=(opened, opened)))
    picture = painted(head, TURNED, iris=BLUE)
    blue = picture[..., 2] > picture[..., 0] + 0.1
    middle = imm58(head, TURNED)[[13, 21]].mean(axis=0)[0]
    for eye, side in ((slice(13, 21), "right"), (slice(21, 29), "left")):
        here = blue & ((np.arange(640) > middle) == (side == "right"))
        points = imm58(head, TURNED)[eye]
        left, top, right, bottom = extent(here)
        assert top > points[:, 1].min() - 2.5
        assert bottom < points[:, 1].max() + 2.5
        assert points[:, 0].min() < left < right < points[:, 0].max()
        assert np.abs((left + right) / 2 - points[:, 0].mean()) < 8


def test_landmarks_are_the_upper_edge_of_the_painted_brows():
    head = Head(Face(brow=5))
    picture = painted(head, TURNED, hair=RED)
    red = picture[..., 0] > picture[..., 1] + 0.05
    for brow in (slice(29, 34), slice(34, 39)):
        points = imm58(head, TURNED)[brow]
        x = np.rint(points[1:4, 0]).astype(int)
        tops = [extent(red[:, [column]])[1] for column in x]
        assert np.abs(tops - points[1:4, 1]).max() < 3


def test_jaw_is_the_edge_of_a_frontal_head():
    head, pose = Head(Face()), Pose(0, 0, 0, 1.1, 300, 230)
    mask, points = covered(head, pose), imm58(head, pose)
    for x, y in points[[2, 3, 4, 8, 9, 10]]:
        assert np.abs(np.flatnonzero(mask[round(y)])[[0, -1]] - x).min() < 3
    assert np.abs(points[6, 1] - extent(mask)[3]) < 2


def test_jaw_follows_the_far_cheek_of_a_turned_head():
    head, pose = Head(Face()), Pose(35, 0, 0, 1.1, 300, 230)
    mask = covered(head, pose)
    for x, y in imm58(head, pose)[[9, 10, 11]]:
        assert np.abs(np.flatnonzero(mask[round(y)])[-1] - x) < 3


@pytest.mark.parametrize(("landmarks", "scheme"), [(imm58, IMM58), (ibug68, IBUG68)], ids=["imm58", "ibug68"])
def test_mirrored_pose_gives_mirrored_points(landmarks, scheme):
    head = Head(Face(smile=0.5, drop=12, brow=4))
    points, mirrored = (landmarks(head, Pose(yaw, 5, roll, 1, 0, 0)) for yaw, roll in ((20, 7), (-20, -7)))
    np.testing.assert_allclose(mirrored[list(scheme.flip_indices)] * (-1, 1), points, atol=1e-6)


def test_open_mouth_and_closed_eyes_move_their_points():
    rest, pose = Head(Face()), Pose(0, 0, 0, 1, 0, 0)
    gaping, asleep = Head(Face(drop=40)), Head(Face(eyelids=(0.0, 1.0)))
    assert (imm58(gaping, pose) - imm58(rest, pose))[[6, 45], 1].min() > 25
    lids = (ibug68(asleep, pose) - ibug68(rest, pose))[:, 1]
    assert lids[[37, 38]].min() > 8
    assert np.abs(lids[[43, 44]]).max() < 1e-9
    closed = ibug68(asleep, pose)
    assert np.abs(closed[[37, 38], 1] - closed[[41, 40], 1]).max() < 2


@pytest.mark.long
def test_whole_test_set_is_drawn_into_the_cache(cache):
    folder = sample_folder("ibug", test_only=True, progress=False)
    assert [path.name for path in cache.iterdir()] == [folder.name]
    assert len(read_dlib_xml(folder / FOLDERS["ibug"] / TEST_XMLS[0], IBUG68, labelled=False)) == 36


def test_cache_names_the_version_and_takes_what_is_drawn(cache):
    folder = sample_path("ibug", test_only=True)
    assert folder == cache / f"faces-v{VERSION}-ibug-test"
    draw_sample(folder, "ibug", count=1, test_only=True)
    first = fingerprints(cache)
    assert {name.split("/")[2] for name in first} == {TEST_XMLS[0], "sample_test"}
    assert sample_folder("ibug", test_only=True) == folder
    assert fingerprints(cache) == first


def test_whole_set_serves_where_the_test_set_is_asked_for(cache):
    whole = sample_path("ibug") / FOLDERS["ibug"]
    whole.mkdir(parents=True)
    assert sample_folder("ibug") == sample_folder("ibug", test_only=True) == whole.parent
    assert not list(whole.iterdir())


@pytest.mark.parametrize(
    ("platform", "variables", "folder"),
    [
        ("linux", {}, "home/.cache/kp_tf"),
        ("darwin", {}, "home/Library/Caches/kp_tf"),
        ("win32", {"LOCALAPPDATA": "local"}, "local/kp_tf"),
        ("linux", {"LOCALAPPDATA": "local"}, "home/.cache/kp_tf"),
        ("darwin", {"XDG_CACHE_HOME": "elsewhere"}, "elsewhere/kp_tf"),
    ],
)
def test_cache_folder_is_the_users(monkeypatch, platform, variables, folder):
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in (variables | {"HOME": "home"}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert cache_folder() == Path(folder)


def test_two_that_draw_the_same_sample_at_once_leave_one(tmp_path):
    def draw(_):
        draw_sample(tmp_path / "sample", "ibug", count=1, seed=3, test_only=True, processes=1)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(draw, range(2)))
    assert [path.name for path in tmp_path.iterdir()] == ["sample"]


def test_a_script_needs_no_main_guard(tmp_path):
    script = tmp_path / "script.py"
    lines = ["from pathlib import Path", "from kp_tf.data.synthetic.sample import draw_sample"]
    lines += ["print('once')", f"draw_sample(Path({str(tmp_path / 'sample')!r}), 'imm', count=1, processes=2)"]
    script.write_text("\n".join(lines))
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stdout) == (0, "once\n"), done.stderr
    assert len(list((tmp_path / "sample").rglob("*.jpg"))) == 6


@pytest.mark.skipif(os.name != "posix", reason="signals of a process group")
@pytest.mark.parametrize("processes", [1, 2])
def test_interrupted_drawing_leaves_nothing(tmp_path, processes):
    code = "import signal, sys; from pathlib import Path; from kp_tf.data.synthetic.sample import draw_sample\n"
    code += "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background job ignores it
    code += "draw_sample(Path(sys.argv[1]), 'imm', processes=int(sys.argv[2]))"
    command = [sys.executable, "-c", code, str(tmp_path / "sample"), str(processes)]
    with subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and len(list(tmp_path.rglob("*.jpg"))) < 3:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
    assert process.returncode == -signal.SIGINT
    assert not list(tmp_path.iterdir())


def test_killed_drawing_leaves_no_process(tmp_path):
    code = "import sys; from pathlib import Path; from kp_tf.data.synthetic.sample import draw_sample\n"
    code += "draw_sample(Path(sys.argv[1]), 'imm', processes=2)"
    command = [sys.executable, "-c", code, str(tmp_path / "sample")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and len(list(tmp_path.rglob("*.jpg"))) < 3:
            time.sleep(0.05)
        process.terminate()
        process.communicate(timeout=30)  # waits for all that have its stdout
    assert process.returncode == -signal.SIGTERM


def test_drawing_leaves_a_folder_of_something_else_alone(tmp_path):
    (tmp_path / "sample").mkdir()
    (tmp_path / "sample" / "thesis.txt").write_text("mine")
    with pytest.raises(KpError, match=r"sample: there is something else in its place"):
        draw_sample(tmp_path / "sample", "imm", count=1)
    assert (tmp_path / "sample" / "thesis.txt").read_text() == "mine"


def test_unwritable_place_is_the_projects_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(KpError, match=r"cannot draw faces into .*sample: .*; set XDG_CACHE_HOME"):
        draw_sample(tmp_path / "file" / "sample", "imm", count=1)
