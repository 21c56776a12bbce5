import hashlib
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from kp_tf.core.errors import KpError
from kp_tf.core.geometry import to_unit
from kp_tf.core.keypoints import IBUG68, IMM58
from kp_tf.data.datasets import FOLDERS, TEST_XMLS, Data, read_labelled, read_test
from kp_tf.data.synthetic import sample
from kp_tf.data.synthetic.head import Face, Head, Pose
from kp_tf.data.synthetic.mesh import head_mesh, rasterise
from kp_tf.data.synthetic.painting import Light, Look, paint_head
from kp_tf.data.synthetic.sample import make_sample

GREEN, BLUE, RED = np.eye(3)[[1, 2, 0]]
TURNED = Pose(yaw=18, pitch=6, roll=9, scale=1.1, x=300, y=250)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A small sample: two people of IMM, ten faces of iBUG for training and four for the test."""
    folder = tmp_path_factory.mktemp("data") / "sample"
    make_sample(folder, seed=3, people=2, faces=10, progress=False)
    return folder


def fingerprints(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def painted(head, pose, **colours):
    """A picture (480, 640, 3) of a bald head in even light, all of it grey but for the colours named."""
    grey = np.full(3, 0.4)
    look = Look(
        skin=grey,
        hair=grey,
        style="shaven",
        thick=0,
        brow=1,
        iris=grey,
        lip=grey,
        ruddy=0,
        stubble=0,
        moustache=0,
        goatee=0,
        glasses=0,
        tint=0,
        shirt=grey,
        collar=200,
        curtain=0,
    )
    canvas = np.zeros((480, 640, 3), np.float32)
    even = Light(np.array([0, 0, 1.0]), key=0.5, ambient=0.5, colour=np.ones(3))
    paint_head(canvas, head, pose, replace(look, **colours), even, np.random.default_rng(0))
    return canvas


def extent(mask):
    """Left, top, right and bottom of a mask's pixels."""
    y, x = np.nonzero(mask)
    return np.array([x.min(), y.min(), x.max(), y.max()])


def test_sample_same_seed_gives_the_same_bytes(drawn, tmp_path):
    make_sample(tmp_path / "again", seed=3, people=2, faces=10, progress=False)
    assert fingerprints(tmp_path / "again") == fingerprints(drawn)


def test_sample_pictures_do_not_depend_on_the_sample_size(drawn, tmp_path):
    make_sample(tmp_path / "less", seed=3, people=1, faces=3, progress=False)
    whole, less = fingerprints(drawn), fingerprints(tmp_path / "less")
    pictures = [name for name in less if name.endswith((".jpg", ".png", ".asf"))]
    assert len(pictures) == 6 * 2 + 3 + 4
    assert all(less[name] == whole[name] for name in pictures)


def test_sample_drawn_by_several_processes_is_the_same(drawn, tmp_path, monkeypatch):
    monkeypatch.setattr(sample, "ALONE", 0)
    monkeypatch.setattr(sample.os, "cpu_count", lambda: 2)
    make_sample(tmp_path / "two", seed=3, people=2, faces=10, progress=False)
    assert fingerprints(tmp_path / "two") == fingerprints(drawn)


def test_sample_other_seed_gives_other_pictures(drawn, tmp_path):
    make_sample(tmp_path / "other", seed=4, people=1, faces=1, progress=False)
    old, new = fingerprints(drawn), fingerprints(tmp_path / "other")
    shared = [name for name in new if name in old]
    assert len(shared) == 8  # what is neither of IMM, whose names tell men from women, nor JPEG or PNG by number
    assert not any(old[name] == new[name] for name in shared)


def test_sample_imm_reads_as_the_real_set(drawn):
    faces = read_labelled(Data(drawn, sample=True), "imm", IMM58)
    assert len(faces) == 12
    assert [file[:4] for file in faces.files[:6]] == [f"01-{k}" for k in range(1, 7)]
    assert faces.points.shape == (12, 58, 2)
    assert (faces.points > 0).all()
    assert (faces.points < (640, 480)).all()
    for file in faces.files:
        with Image.open(faces.root / file) as picture:
            assert (picture.size, picture.mode, picture.format) == ((640, 480), "RGB", "JPEG")


def test_sample_asf_has_the_columns_of_the_real_files(drawn):
    path = next((drawn / FOLDERS["imm"]).glob("01-1*.asf"))
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


def test_sample_people_turn_and_smile_as_in_imm(drawn):
    points = read_labelled(Data(drawn, sample=True), "imm", IMM58).points.reshape(2, 6, 58, 2)
    jaw = (points[..., 0, 0] + points[..., 12, 0]) / 2
    aside = (points[..., 52, 0] - jaw) / (points[..., 12, 0] - points[..., 0, 0])
    assert (aside[:, 2] < -0.1).all()
    assert (aside[:, 3] > 0.1).all()
    width = np.linalg.norm(points[..., 43, :] - points[..., 39, :], axis=-1)
    eyes = np.linalg.norm(points[..., 13, :] - points[..., 21, :], axis=-1)
    assert ((width / eyes)[:, 1] > 1.04 * (width / eyes)[:, 0]).all()


def test_sample_ibug_reads_as_the_real_set(drawn):
    data = Data(drawn, sample=True)
    train, test = read_labelled(data, "ibug", IBUG68), read_test(data)
    assert (len(train), len(test)) == (10, 4)
    assert "<part" not in (drawn / FOLDERS["ibug"] / TEST_XMLS[0]).read_text()
    assert sum(file.endswith(".png") for file in test.files) == 1
    for faces in (train, test):
        assert (faces.boxes == np.rint(faces.boxes)).all()
        for file in faces.files:
            with Image.open(faces.root / file) as picture:
                assert picture.mode == "RGB"
                assert min(picture.size) >= 260
    inner = to_unit(train.points, train.boxes)[:, 17:]
    assert np.abs(inner.mean((0, 1)) - (0.512, 0.507)).max() < 0.05
    assert 0.27 < np.sqrt(inner.var(axis=1).sum(axis=-1)).mean() < 0.33  # the real one is 0.298


def test_landmarks_are_the_corners_of_the_painted_mouth():
    head = Head(Face(smile=0.6, gap=9))
    for pose, points in ((TURNED, head.imm58(TURNED)[39:47]), (TURNED, head.ibug68(TURNED)[48:60])):
        picture = painted(head, pose, lip=GREEN)
        mask = picture[..., 1] > picture[..., 0] + 0.08
        found = extent(mask)
        expected = np.concatenate([points.min(axis=0), points.max(axis=0)])
        assert np.abs(found - expected).max() < 3


@pytest.mark.parametrize("opened", [1.0, 0.5])
def test_landmarks_surround_the_painted_irises(opened):
    head = Head(Face(gaze=3, open=(opened, opened)))
    picture = painted(head, TURNED, iris=BLUE)
    blue = picture[..., 2] > picture[..., 0] + 0.1
    middle = head.imm58(TURNED)[[13, 21]].mean(axis=0)[0]
    for eye, side in ((slice(13, 21), "right"), (slice(21, 29), "left")):
        here = blue & ((np.arange(640) > middle) == (side == "right"))
        points = head.imm58(TURNED)[eye]
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
        points = head.imm58(TURNED)[brow]
        x = np.rint(points[1:4, 0]).astype(int)
        tops = [extent(red[:, [column]])[1] for column in x]
        assert np.abs(tops - points[1:4, 1]).max() < 3


def test_jaw_is_the_edge_of_a_head_that_looks_straight_ahead():
    head, pose = Head(Face()), Pose(0, 0, 0, 1.1, 300, 230)
    inside = rasterise(head_mesh(head, "shaven", 0), pose, (480, 640))
    points = head.imm58(pose)
    for k in (2, 3, 4, 8, 9, 10):
        x, y = points[k] - (inside.left, inside.top)
        edges = np.flatnonzero(inside.inside[round(y)])
        assert np.abs(edges[[0, -1]] - x).min() < 3
    assert np.abs(points[6, 1] - inside.top - np.flatnonzero(inside.inside.any(axis=1))[-1]) < 2


def test_jaw_follows_the_far_cheek_of_a_turned_head():
    head, pose = Head(Face()), Pose(35, 0, 0, 1.1, 300, 230)
    inside = rasterise(head_mesh(head, "shaven", 0), pose, (480, 640))
    for x, y in head.imm58(pose)[[9, 10, 11]] - (inside.left, inside.top):
        assert np.abs(np.flatnonzero(inside.inside[round(y)])[-1] - x) < 3


@pytest.mark.parametrize("scheme", [IMM58, IBUG68], ids=lambda scheme: scheme.name)
def test_mirrored_pose_gives_mirrored_points(scheme):
    head = Head(Face(smile=0.5, drop=12, frown=4))
    one, other = Pose(20, 5, 7, 1, 0, 0), Pose(-20, 5, -7, 1, 0, 0)
    points, mirrored = ({58: h.imm58, 68: h.ibug68}[len(scheme)](pose) for h, pose in ((head, one), (head, other)))
    np.testing.assert_allclose(mirrored[list(scheme.mirror)] * (-1, 1), points, atol=1e-6)


def test_open_mouth_and_closed_eyes_move_their_points():
    rest, pose = Head(Face()), Pose(0, 0, 0, 1, 0, 0)
    gaping, asleep = Head(Face(drop=40)), Head(Face(open=(0.0, 1.0)))
    assert (gaping.imm58(pose) - rest.imm58(pose))[[6, 45], 1].min() > 25
    lids = (asleep.ibug68(pose) - rest.ibug68(pose))[:, 1]
    assert lids[[37, 38]].min() > 8
    assert np.abs(lids[[43, 44]]).max() < 1e-9
    closed = asleep.ibug68(pose)
    assert np.abs(closed[[37, 38], 1] - closed[[41, 40], 1]).max() < 2


def test_sample_interrupted_leaves_no_folder(tmp_path, monkeypatch):
    draw, drawn = sample._draw, []

    def interrupted(*arguments):
        if len(drawn) == 3:
            raise KeyboardInterrupt
        drawn.append(draw(*arguments))
        return drawn[-1]

    monkeypatch.setattr(sample, "_draw", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make_sample(tmp_path / "sample", people=1, faces=1, progress=False)
    assert len(drawn) == 3
    assert not list(tmp_path.iterdir())


def test_sample_that_is_there_is_not_drawn_again(drawn, tmp_path, monkeypatch):
    folder = tmp_path / "sample"
    shutil.copytree(drawn, folder)
    monkeypatch.setattr(sample, "_draw", None)
    make_sample(folder, seed=3, people=2, faces=10, progress=False)
    assert fingerprints(folder) == fingerprints(drawn)


def test_sample_of_another_version_is_replaced(drawn, tmp_path, monkeypatch):
    folder = tmp_path / "sample"
    shutil.copytree(drawn, folder)
    monkeypatch.setattr(sample, "VERSION", sample.VERSION + 1)
    make_sample(folder, seed=3, people=1, faces=1, progress=False)
    assert len(list((folder / FOLDERS["imm"]).glob("*.asf"))) == 6
    assert [path.name for path in tmp_path.iterdir()] == ["sample"]


def test_sample_leaves_a_folder_of_something_else_alone(tmp_path):
    (tmp_path / "sample").mkdir()
    (tmp_path / "sample" / "thesis.txt").write_text("mine")
    with pytest.raises(KpError, match=r"sample: expected no folder, or a sample of drawn faces"):
        make_sample(tmp_path / "sample", people=1, faces=1, progress=False)
    assert (tmp_path / "sample" / "thesis.txt").read_text() == "mine"


def test_sample_unwritable_place_is_the_projects_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(KpError, match=r"expected to write this folder"):
        make_sample(tmp_path / "file" / "sample", people=1, faces=1, progress=False)
