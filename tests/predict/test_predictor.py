import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from helpers import picture
from PIL import ExifTags, Image

from kp_tf.artifacts.runs import Run
from kp_tf.backends.inference import for_prediction, predict_outputs, predict_records
from kp_tf.core.errors import KpError
from kp_tf.core.keypoints import IBUG68
from kp_tf.data.dlib_xml import read_dlib_xml
from kp_tf.data.samples import Records
from kp_tf.predict import command as predicting
from kp_tf.predict import detector as detect
from kp_tf.predict.cascade import outputs_of
from kp_tf.predict.confidence import UNCALIBRATED, calibrate, confidence_of
from kp_tf.predict.predictor import BATCH, Face, Predictor
from kp_tf.recipes import COMPACT
from kp_tf.training.networks import build

RECIPE = replace(COMPACT, shape=(32, 32), settings={"widths": (8, 8), "depths": (1, 1)})
SHAPE = np.random.default_rng(0).uniform(0.1, 0.9, (68, 2))
CONFIG = {"recipe" if key == "name" else key: value for key, value in asdict(RECIPE).items()}
CONFIG |= {"sample": False, "face": {"box": [0, 0, 1, 1], "points": SHAPE.tolist()}}
BOX = (30, 20, 60, 64)


@pytest.fixture(scope="module")
def tiny():
    """A run with two looks, and its network, which was never trained."""
    run = Run(Path("tiny"), CONFIG, {})
    return run, for_prediction(build(RECIPE, 68, seed=0), run)


@pytest.fixture
def predictor(tiny):
    """Finds no faces by itself."""
    run, network = tiny
    return Predictor(run, network, lambda picture: np.zeros((0, 4)))


def test_points_are_those_of_records(tiny, predictor, tmp_path):
    run, network = tiny
    boxes = np.array([BOX, (10, 60, 90, 90), (-20, -30, 100, 100)], float)
    files = tuple(f"{k}.png" for k in range(3))
    for k, file in enumerate(files):
        picture(150, 200, k).save(tmp_path / file)
    records = Records(tmp_path, files, boxes, None, IBUG68, files)
    expected = predict_outputs(network, records, run)
    for k, file in enumerate(files):
        (face,) = predictor.predict(tmp_path / file, boxes[k])
        assert isinstance(face, Face)
        np.testing.assert_array_equal(face.box, boxes[k])
        # within 0.2 pixels of the network's crop
        pixel = RECIPE.crop_scale * boxes[k, 2:].max() / 32
        assert np.abs(face.points - expected[k, :, :2]).max() < 0.2 * pixel
        np.testing.assert_allclose(face.confidence, confidence_of(expected[k, :, 2]), atol=0.01)


def test_every_kind_of_source_gives_the_same_face(predictor, tmp_path):
    image = picture(150, 200)
    image.save(tmp_path / "a.png")
    (first,) = predictor.predict(tmp_path / "a.png", [BOX])
    for source in (str(tmp_path / "a.png"), image, np.asarray(image)):
        (face,) = predictor.predict(source, [BOX])
        np.testing.assert_array_equal(face.points, first.points)


def test_a_turned_photograph_gives_the_turned_points(predictor, tmp_path):
    upright = picture(150, 200)
    (expected,) = predictor.predict(upright, [BOX])
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "a.png", exif=exif)
    # as stored, the upright (x, y) of 150 pixels' width lies at (y, 149 - x)
    left, top, width, height = BOX
    (face,) = predictor.predict(tmp_path / "a.png", [[top, 150 - left - width, height, width]])
    turned = np.stack([expected.points[:, 1], 149 - expected.points[:, 0]], axis=1)
    np.testing.assert_allclose(face.points, turned, atol=1e-4)


def test_batches_are_as_singles_in_order_and_not_read_ahead_of_need(predictor):
    images = [picture(150, 200, k) for k in range(5)]
    boxes = [[BOX], [], [BOX, (40, 50, 70, 70)], [BOX], [(0, 0, 150, 200)]]
    singles = [predictor.predict(image, box) for image, box in zip(images, boxes, strict=True)]
    together = list(predictor.predict_batch(images, boxes))
    assert [len(faces) for faces in together] == [1, 0, 2, 1, 1]
    for one, other in zip(singles, together, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_allclose(a.points, b.points, atol=1e-3)

    taken = []

    def endless():
        while True:
            taken.append(1)
            yield images[0]

    answers = predictor.predict_batch(endless(), iter(lambda: [BOX], None))
    next(answers)
    assert len(taken) <= BATCH + os.cpu_count() + 2


def test_the_network_sees_real_batches(tiny):
    seen = []

    def network(images):
        seen.append(len(images))
        return np.full((len(images), 68, 3), 0.5, np.float32)

    run = Run(Path("tiny"), {**CONFIG, "looks": 1}, {})
    list(Predictor(run, network).predict_batch([picture(150, 200)] * 40, [[BOX]] * 40))
    assert seen == [BATCH, 40 - BATCH]


def test_found_faces_are_looked_at(tiny, predictor):
    run, _ = tiny
    finder = Predictor(run, predictor._network, lambda picture: np.array([BOX], float))
    image = picture(150, 200)
    (found,), (given,) = finder.predict(image), predictor.predict(image, [BOX])
    np.testing.assert_array_equal(found.points, given.points)
    assert predictor.predict(image) == [], "no face is an answer"


def test_doubtful_finds_are_left_out_and_given_boxes_never():
    def network(images):  # the right half of the picture is white, and looks like a face
        variance = np.where(images.mean(axis=(1, 2, 3)) > 0, 1e-4, 1e-2).astype(np.float32)
        return np.stack(
            [np.full((len(images), 68), v) for v in (0.5, 0.5)] + [variance[:, None].repeat(68, 1)], axis=-1
        )

    image = Image.new("L", (400, 200))
    image.paste(255, (200, 0, 400, 200))
    boxes = np.array([(50, 50, 90, 90), (250, 50, 90, 90.0)])
    run = Run(Path("tiny"), {**CONFIG, "looks": 1}, {"calibration": [-9.4, -3.0]})
    finder = Predictor(run, network, lambda picture: boxes)
    assert [face.box[0] for face in finder.predict(image)] == [250]
    assert len(finder.predict(image, boxes)) == 2
    unknown = Predictor(Run(Path("tiny"), {**CONFIG, "looks": 1}, {}), network, lambda picture: boxes)
    assert len(unknown.predict(image)) == 2, "without a calibration its confidence means little"


def test_bad_boxes_are_refused(predictor):
    image = picture(150, 200)
    for box, found in (((500, 500, 20, 20), "outside"), ((0, 0, 0, 5), "0 × 5"), ((1, 2, 3), "3")):
        with pytest.raises(KpError, match=rf"image: expected.*found.*{found}"):
            predictor.predict(image, box)


def test_a_second_look_is_at_the_box_of_the_points(tiny):
    run, _ = tiny
    first, seen = np.array([[10.0, 20, 100, 100]]), []
    true = np.array([[30.0, 25, 80, 80]])  # where the face is, which the first look finds
    points = true[:, None, :2] - 0.5 + SHAPE * 80

    def look(faces, boxes, last):
        seen.append((boxes, last))
        return np.concatenate([points, np.zeros((1, 68, 1))], axis=-1)

    outputs_of(look, first, run, lambda: np.array([[300, 300]]))
    np.testing.assert_allclose(seen[0][0], [[1, 11, 118, 118]])  # 1.18 times as large, about the same centre
    np.testing.assert_allclose(seen[1][0], true)
    assert [last for _, last in seen] == [False, True]
    # points that went astray do not lead out of the photograph
    seen.clear()
    points += 10_000
    outputs_of(look, first, run, lambda: np.array([[300, 300]]))
    np.testing.assert_array_equal(seen[1][0], first)


def test_a_framed_network_looks_at_the_whole_photograph(tiny, predictor, tmp_path):
    config = {
        **CONFIG,
        "dataset": "imm",
        "framing": {"box": [0.2, 0.1, 0.4, 0.4], "points": (0.2 + 0.4 * SHAPE).tolist()},
    }
    run = Run(Path("framed"), config, {})
    framed = Predictor(run, predictor._network)
    picture(150, 200).save(tmp_path / "a.png")
    (face,) = framed.predict(tmp_path / "a.png")
    np.testing.assert_array_equal(face.box, [0, 0, 150, 200])
    records = Records(tmp_path, ("a.png",), np.array([[0, 0, 150, 200.0]]), None, IBUG68, ("a",))
    expected = predict_records(tiny[1], records, run, framed=True)
    assert np.abs(face.points - expected[0]).max() < 1


def test_the_courses_networks_of_imm_look_at_the_whole_photograph_once():
    run = Run(Path("part2"), {**CONFIG, "dataset": "imm", "network": "cnn", "looks": 1, "crop_scale": 1.0}, {})
    middle = Predictor(run, lambda images: np.full((len(images), 68, 3), (0.5, 0.25, np.nan)))
    (face,) = middle.predict(picture(150, 200))
    np.testing.assert_allclose(face.points, [[74.5, 49.5]] * 68)
    assert np.isnan(face.confidence).all()


def test_boxes_for_fewer_photographs_are_refused(predictor):
    with pytest.raises(ValueError, match="zip"):
        list(predictor.predict_batch([picture(150, 200)] * 2, [[BOX]]))


def test_confidence_is_counted_by_hand():
    # errors of 3 % in the mean: as often below it as the length of a normal vector is below its mean
    assert confidence_of(np.array([0.03**2]))[0] == pytest.approx(1 - np.exp(-np.pi / 4))
    values = confidence_of(np.array([0, 1e-4, 1e-2, np.nan]))
    assert values[0] == 1
    assert 1 > values[1] > values[2] > 0
    assert np.isnan(values[3])


def test_calibration_finds_how_often_points_are_near():
    rng = np.random.default_rng(0)
    spread = np.exp(rng.normal(-3.5, 0.4, 20_000))
    expected = 0.3 * spread**0.8  # the error to be expected is another than the spread
    apart = expected * np.sqrt(-np.log(rng.uniform(size=spread.size)) * 4 / np.pi)  # Rayleigh's, of that mean
    apart[::7] = np.nan
    told = confidence_of(spread**2, calibrate(spread**2, apart))
    np.testing.assert_allclose(told, 1 - np.exp(-(np.pi / 4) * (0.03 / expected) ** 2), atol=0.02)
    assert calibrate(spread[:50] ** 2, apart[:50]) == UNCALIBRATED
    assert calibrate(spread**2, np.zeros_like(spread)) == UNCALIBRATED, "nothing to learn from"


def test_five_points_are_made_of_the_68():
    points = np.arange(136, dtype=float).reshape(68, 2)
    face = Face(np.zeros(4), points, np.zeros(68), IBUG68)
    expected = [(77, 78), (89, 90), (60, 61), (96, 97), (108, 109)]
    np.testing.assert_array_equal(face.five, expected)


def test_a_missing_detector_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(KpError, match=r"pip install dlib-bin; or give a box"):
        detect.find_faces(picture(20, 20))


def test_dlib_finds_a_face():
    pytest.importorskip("dlib", reason="the extra detect is not installed")
    assert detect.find_faces(picture(100, 80)).shape == (0, 4)


# the shell


@pytest.fixture
def shell(predictor, monkeypatch, tmp_path):
    """A folder with two photographs and a text, and a predictor that finds one face on each photograph."""
    predictor._find = lambda picture: np.array([BOX], float)
    monkeypatch.setattr(predicting.Predictor, "load", lambda run: predictor)
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.png", "b.jpg"):
        picture(150, 200, len(name)).save(folder / name)
    (folder / "notes.txt").write_text("no photograph")
    return folder


def test_predict_prints_json_and_csv(shell, capsys, predictor):
    predicting.predict([str(shell)])
    content = json.loads(capsys.readouterr().out)
    assert [Path(one["file"]).name for one in content["photographs"]] == ["a.png", "b.jpg"]
    assert content["names"] == list(IBUG68.names)
    (face,) = predictor.predict(shell / "a.png")
    np.testing.assert_allclose(content["photographs"][0]["faces"][0]["points"], face.points, atol=0.006)
    predicting.predict([str(shell / "*.png")], format="csv")
    rows = capsys.readouterr().out.splitlines()
    assert rows[0] == "file,face,point,x,y,confidence"
    assert len(rows) == 1 + 68
    assert rows[5].split(",")[1:3] == ["1", "04"]


def test_predict_writes_pts_counted_from_1_and_pictures(shell, tmp_path, predictor):
    predicting.predict([str(shell)], out=tmp_path / "out", format="pts")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a_1.pts", "b_1.pts", "drawn"]
    lines = (tmp_path / "out" / "a_1.pts").read_text().splitlines()
    assert lines[:3] == ["version: 1", "n_points: 68", "{"]
    assert lines[-1] == "}"
    (face,) = predictor.predict(shell / "a.png")
    written = np.array([[float(v) for v in line.split()] for line in lines[3:-1]])
    np.testing.assert_allclose(written, face.points + 1, atol=0.006)
    with Image.open(tmp_path / "out" / "drawn" / "a.jpg") as drawn, Image.open(shell / "a.png") as plain:
        assert drawn.size == plain.size
        apart = np.abs(np.asarray(drawn, int) - np.asarray(plain, int)).max(axis=2) > 60
    assert apart.any()
    assert apart[round(face.box[1]), 40:80].mean() > 0.5, "the box's upper edge"


def test_predict_writes_xml_that_readers_take(shell, predictor):
    picture(160, 200).save(shell / "b.jpg")
    predictor._find = lambda upright: np.array([BOX] if upright.width == 150 else [], float).reshape(-1, 4)
    predicting.predict([str(shell)], out=shell, format="xml")
    records = read_dlib_xml(shell / "points.xml", IBUG68, partial=True)
    assert records.files == ("a.png",), "b.jpg has no face"
    (face,) = predictor.predict(shell / "a.png")
    np.testing.assert_allclose(records.points[0], face.points, atol=0.51)
    assert "b.jpg" in (shell / "points.xml").read_text()
    dlib = pytest.importorskip("dlib", reason="the extra detect is not installed")
    images = dlib.image_dataset_metadata.load_image_dataset_metadata(str(shell / "points.xml")).images
    assert [len(image.boxes) for image in images] == [1, 0]
    assert images[0].boxes[0].parts["30"].x == round(face.points[30, 0])


def test_predict_refuses_xml_away_from_the_photographs(shell, tmp_path):
    with pytest.raises(KpError, match=r"--format xml: expected photographs in the XML's folder"):
        predicting.predict([str(shell)], out=tmp_path / "elsewhere", format="xml")
    assert not (tmp_path / "elsewhere").exists()


def test_one_bad_photograph_does_not_stop_the_others(shell, capsys):
    (shell / "c.jpg").write_bytes(b"")
    with pytest.raises(KpError, match=r"c\.jpg: expected a photograph, found an empty file") as raised:
        predicting.predict([str(shell)])
    assert raised.value.status == 1
    assert len(json.loads(capsys.readouterr().out)["photographs"]) == 2
    with pytest.raises(KpError, match="an empty file") as raised:
        predicting.predict([str(shell / "c.jpg")])
    assert raised.value.status == 2


def test_names_of_results_do_not_collide():
    names = predicting._names([Path("a/x.jpg"), Path("b/x.png"), Path("x-2.jpg")])
    assert len(set(names.values())) == 3


def test_bad_arguments_are_one_line(shell):
    for arguments, message in (
        ({"photographs": [str(shell / "*.gif")]}, "match"),
        ({"photographs": [str(shell)], "format": "pts"}, "--out"),
        ({"photographs": [str(shell)], "boxes": [BOX]}, "one photograph"),
    ):
        with pytest.raises(KpError, match=message):
            predicting.predict(**arguments)


def test_help_and_a_bad_box_take_no_network():
    command = [sys.executable, "-m", "kp_tf", "predict", "x.jpg", "--box", "1,2,3"]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert answer.returncode == 2
    assert "invalid" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_the_public_face():
    import kp_tf

    assert kp_tf.__all__ == ["Face", "KpError", "Predictor"]
    assert (kp_tf.Face, kp_tf.KpError, kp_tf.Predictor) == (Face, KpError, Predictor)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = kp_tf.Nothing
