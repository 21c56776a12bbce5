import os
import pickle
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from helpers import INFO, RECIPE, SHAPE, disc_network, draw_discs, picture, write_run
from PIL import ExifTags, Image

from kp_tf.artifacts.info import ModelInfo
from kp_tf.artifacts.weights import FOLDER
from kp_tf.backends import load_network
from kp_tf.core.errors import KpError
from kp_tf.core.face import Face
from kp_tf.core.geometry import rotated
from kp_tf.core.images import open_photograph
from kp_tf.core.keypoints import IBUG68
from kp_tf.core.mean_face import MeanFace
from kp_tf.data.samples import Samples
from kp_tf.predict.cascade import BATCH_SIZE
from kp_tf.predict.confidence import confidence_of
from kp_tf.predict.predictor import Predictor
from kp_tf.predict.samples import predict_samples
from kp_tf.recipes import PART2

ASTRONAUT = Path(__file__).parents[2] / "docs" / "images" / "astronaut.jpg"
BOX = (30, 20, 60, 64)
ONE_PASS = replace(INFO, recipe=replace(RECIPE, num_passes=1))


def no_faces(picture):
    return np.zeros((0, 4))


def always_box(picture):
    return np.array([BOX], float)


def drawn_faces_box(picture):
    return np.array([(87, 71, 105, 105)], float)  # as `drawn_face` says


@pytest.fixture(scope="module")
def network():
    """A small network that was never trained."""
    from kp_tf.backends.keras_backend import for_prediction
    from kp_tf.models.build import build_network

    return for_prediction(build_network(RECIPE, 68, seed=0), INFO)


@pytest.fixture
def predictor(network):
    """Detects no faces."""
    return Predictor(INFO, network, no_faces)


def test_a_detection_beside_the_photograph_is_no_face_and_the_others_stay(network):
    found = Predictor(INFO, network, lambda picture: np.array([(500, 500, 20, 20), BOX], float)).predict(
        picture(150, 200)
    )
    assert [face.box.tolist() for face in found] == [[*BOX]]


def test_a_predictor_gives_the_points_of_samples(network, predictor, tmp_path):
    boxes = np.array([BOX, (10, 60, 90, 90), (-20, -30, 100, 100)], float)
    files = tuple(f"{k}.png" for k in range(3))
    for k, file in enumerate(files):
        picture(150, 200, k).save(tmp_path / file)
    samples = Samples(tmp_path, files, boxes, None, IBUG68, files)
    expected = predict_samples(network, samples, INFO)
    calibrated = predictor.with_info(replace(INFO, metrics={"calibration": [-6.0, -2.0]}))
    for k, file in enumerate(files):
        (face,) = predictor.predict(tmp_path / file, boxes[k])
        assert isinstance(face, Face)
        np.testing.assert_array_equal(face.box, boxes[k])
        # within 0.2 pixels of the network's crop
        pixel = RECIPE.crop_scale * boxes[k, 2:].max() / 32
        assert np.abs(face.points - expected[k, :, :2]).max() < 0.2 * pixel
        assert np.isnan(face.confidence).all(), "it is not calibrated"
        (face,) = calibrated.predict(tmp_path / file, boxes[k])
        np.testing.assert_allclose(face.confidence, confidence_of(expected[k, :, 2], (-6.0, -2.0)), atol=0.01)


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
    np.testing.assert_allclose(face.pose, expected.pose, atol=1e-3)


@pytest.mark.parametrize("file", ["a.npz", "a.tflite"])
def test_batches_are_as_singles_in_order(network, file):
    predictor = Predictor(replace(INFO, path=Path(file)), network, no_faces)
    images = [picture(150, 200, k) for k in range(5)]
    boxes = [[BOX], [], [BOX, (40, 50, 70, 70)], [BOX], [(0, 0, 150, 200)]]
    singles = [predictor.predict(image, box) for image, box in zip(images, boxes, strict=True)]
    together = list(predictor.predict_batch(images, boxes))
    assert [len(faces) for faces in together] == [1, 0, 2, 1, 1]
    for one, other in zip(singles, together, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_allclose(a.points, b.points, atol=1e-3)


def test_batches_are_not_read_ahead_of_need(predictor):
    image, taken = picture(150, 200), []

    def endless():
        while True:
            taken.append(1)
            yield image

    next(predictor.predict_batch(endless(), iter(lambda: [BOX], None)))
    assert len(taken) <= BATCH_SIZE + os.cpu_count() + 2


def test_photographs_pass_through_litert_on_two_cores_at_once(monkeypatch):
    monkeypatch.setattr("kp_tf.predict.ahead.available_cores", lambda: 2)
    both, sizes = threading.Barrier(2, timeout=20), []

    def network(images):
        both.wait()
        sizes.append(len(images))
        return np.full((len(images), 68, 3), 0.5, np.float32)

    predictor = Predictor(replace(ONE_PASS, path=Path("a.tflite")), network)
    faces = list(predictor.predict_batch([picture(150, 200)] * 4, [[BOX], [BOX, BOX]] * 2))
    assert [len(each) for each in faces] == [1, 2, 1, 2]
    assert sorted(sizes) == [1, 1, 2, 2]


def test_the_network_gets_full_batches():
    sizes = []

    def network(images):
        sizes.append(len(images))
        return np.full((len(images), 68, 3), 0.5, np.float32)

    count = BATCH_SIZE + BATCH_SIZE // 2
    list(Predictor(ONE_PASS, network).predict_batch([picture(150, 200)] * count, [[BOX]] * count))
    assert sizes == [BATCH_SIZE, count - BATCH_SIZE]


def test_detected_faces_are_predicted_like_others(network, predictor):
    image = picture(150, 200)
    (detected,) = Predictor(INFO, network, always_box).predict(image)
    (passed,) = predictor.predict(image, [BOX])
    np.testing.assert_array_equal(detected.points, passed.points)
    np.testing.assert_array_equal(detected.box, BOX)
    assert predictor.predict(image) == [], "a photograph without faces is no error"


def test_doubtful_detections_are_discarded_and_boxes_never():
    def network(images):  # white is sure to be a face
        variance = np.where(images.mean(axis=(1, 2, 3)) > 0, 1e-4, 1e-2).astype(np.float32)
        points = np.full((len(images), 68, 2), 0.5, np.float32)
        return np.concatenate([points, np.broadcast_to(variance[:, None, None], (len(images), 68, 1))], axis=-1)

    image = Image.new("L", (400, 200))
    image.paste(255, (200, 0, 400, 200))
    boxes = np.array([(50, 50, 90, 90), (250, 50, 90, 90.0)])
    calibrated = Predictor(replace(ONE_PASS, metrics={"calibration": [-9.4, -3.0]}), network, lambda picture: boxes)
    assert [face.box[0] for face in calibrated.predict(image)] == [250]
    assert len(calibrated.predict(image, boxes)) == 2
    uncalibrated = Predictor(ONE_PASS, network, lambda picture: boxes)
    assert len(uncalibrated.predict(image)) == 2, "without a calibration, confidence means little"
    judging = Predictor(replace(ONE_PASS, metrics={"max_deviation": 0.05}), network, lambda picture: boxes)
    assert [face.box[0] for face in judging.predict(image)] == [250], "the other's heatmaps are wider than a face's"
    assert len(judging.predict(image, boxes)) == 2


def test_a_face_that_was_detected_twice_is_returned_once():
    image, boxes = draw_discs((60, 60), (200, 50)), np.array([(40.0, 40, 40, 40), (44, 38, 48, 48), (180, 30, 40, 40)])
    twice = Predictor(INFO, disc_network, lambda picture: boxes)
    assert [face.box[0] for face in twice.predict(image)] == [40, 180]
    assert len(twice.predict(image, boxes)) == 3, "boxes that are passed have a face each"


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((500, 500, 20, 20), "outside the picture of 150 × 200 pixels: left 500, top 500, 20 × 20"),
        ((0, 0, 0, 5), "0 × 5"),
        ((1, 2, 3), "left, top, width, height"),
        ((1, 2, np.nan, 4), "left, top, width, height"),
    ],
)
def test_bad_boxes_are_refused(predictor, box, message):
    with pytest.raises(KpError, match=message):
        predictor.predict(picture(150, 200), box)


def test_boxes_for_fewer_photographs_are_refused(predictor):
    with pytest.raises(ValueError, match="zip"):
        list(predictor.predict_batch([picture(150, 200)] * 2, [[BOX]]))


def test_results_name_what_cannot_be_used_in_its_place(predictor, tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"")
    image = picture(150, 200)
    first, second, third = predictor.results([image, tmp_path / "a.jpg", image], [[BOX], [BOX], []])
    assert (first[0].upright.size, len(first[1])) == ((150, 200), 1)
    assert isinstance(second, KpError)
    assert "the file is empty" in str(second)
    assert third[1] == []


@pytest.mark.parametrize("file", ["a.npz", "a.tflite"])
def test_batches_raise_or_return_errors(network, file, tmp_path):
    predictor = Predictor(replace(INFO, path=Path(file)), network, no_faces)
    (tmp_path / "a.jpg").write_bytes(b"")
    images, boxes = [picture(150, 200), tmp_path / "a.jpg", picture(150, 200)], [[BOX]] * 3
    faces = predictor.predict_batch(images, boxes)
    assert len(next(faces)) == 1
    with pytest.raises(KpError, match="the file is empty"):
        next(faces)
    first, second, third = predictor.predict_batch(images, boxes, on_error="return")
    assert (len(first), len(third)) == (1, 1)
    assert isinstance(second, KpError)
    with pytest.raises(ValueError, match='on_error must be "raise" or "return"'):
        predictor.predict_batch(images, boxes, on_error="skip")


def test_a_framed_network_takes_the_whole_photograph(network, tmp_path):
    framing = MeanFace(np.array([0.2, 0.1, 0.4, 0.4]), 0.2 + 0.4 * SHAPE)
    info = replace(INFO, recipe=replace(RECIPE, dataset="imm"), framing=framing)
    picture(150, 200).save(tmp_path / "a.png")
    (face,) = Predictor(info, network, no_faces).predict(tmp_path / "a.png")
    np.testing.assert_array_equal(face.box, [0, 0, 150, 200])
    samples = Samples(tmp_path, ("a.png",), np.array([[0, 0, 150, 200.0]]), None, IBUG68, ("a",))
    expected = predict_samples(network, samples, info, framed=True)
    assert np.abs(face.points - expected[0, :, :2]).max() < 1


def test_the_courses_networks_of_imm_take_the_whole_photograph_once():
    calls = []

    def network(images):
        calls.append(images.shape)
        return np.full((len(images), 68, 3), (0.5, 0.25, np.nan))

    info = ModelInfo(Path("part2"), PART2, IBUG68)
    (face,) = Predictor(info, network).predict(picture(150, 200))
    np.testing.assert_allclose(face.points, [[74.5, 49.5]] * 68)
    assert np.isnan(face.confidence).all()
    assert calls == [(1, 120, 160, 1)]


def test_a_run_is_loaded_with_a_detector(network, tmp_path):
    loaded = Predictor.load(write_run(tmp_path / "run"), always_box)
    assert (loaded.info.name, loaded.info.recipe.shape, loaded.scheme) == ("run", (32, 32), IBUG68)
    image = picture(150, 200)
    (face,) = loaded.predict(image)
    (expected,) = Predictor(INFO, network).predict(image, [BOX])
    np.testing.assert_allclose(face.points, expected.points, atol=1e-4)


def test_frames_are_tracked_one_by_one():
    taken = []

    def endless():
        while True:
            taken.append(1)
            yield draw_discs((60, 60))

    faces = Predictor(INFO, disc_network, lambda picture: np.array([(40.0, 40, 40, 40)])).track(endless())
    assert [face.number for face in next(faces)] == [1]
    assert len(taken) == 1


def test_threads_share_a_predictor(drawn_face):
    pytest.importorskip("ai_edge_litert", reason="the extra runtime is not installed")
    predictor, (image, box) = Predictor.load("compact"), drawn_face
    images = [image.rotate(10 * k) for k in range(5)]
    boxes = [[box], [box, (60, 60, 120, 120)]] * 2 + [[box]]  # batches of one and of two faces
    expected = [predictor.predict(*pair) for pair in zip(images, boxes, strict=True)]

    def predict(number):
        return predictor.predict(images[number % 5], boxes[number % 5])

    with ThreadPoolExecutor(4) as pool:
        for number, faces in enumerate(pool.map(predict, range(100))):
            for face, right in zip(faces, expected[number % 5], strict=True):
                np.testing.assert_allclose(face.points, right.points, atol=0.01)


def test_a_reduced_file_gives_the_points_of_the_whole_photograph(tmp_path):
    pytest.importorskip("ai_edge_litert", reason="the extra runtime is not installed")
    predictor, box = Predictor.load("compact"), np.array([261.0, 231, 268, 268])
    with Image.open(ASTRONAUT) as image:
        for scale in (1, 4):
            size = (scale * image.width, scale * image.height)
            image.resize(size, Image.Resampling.BICUBIC).save(path := tmp_path / f"{scale}.jpg", quality=95)
            (fast,), (slow,) = (predictor.predict(one, [scale * box]) for one in (path, open_photograph(path)))
            pixel = 1.36 * scale * box[2] / predictor.info.recipe.shape[0]
            difference = np.linalg.norm(fast.points - slow.points, axis=1) / pixel
            assert 0 < difference.mean() < 0.25
            np.testing.assert_array_equal(fast.box, slow.box)


def test_another_process_loads_the_network_again(drawn_face, monkeypatch, tmp_path):
    pytest.importorskip("ai_edge_litert", reason="the extra runtime is not installed")
    image, box = drawn_face
    shutil.copy(FOLDER / "compact.tflite", tmp_path / "mine.tflite")
    monkeypatch.chdir(tmp_path)
    predictor = Predictor.load("mine.tflite", drawn_faces_box)
    predictor = predictor.with_info(replace(predictor.info, recipe=replace(predictor.info.recipe, num_passes=1)))
    monkeypatch.chdir("/")  # the other process finds the file from here
    with get_context("spawn").Pool(1) as pool:
        (face,) = pool.apply(predictor.predict, (image,))
    (expected,) = predictor.predict(image, [box])
    np.testing.assert_allclose(face.points, expected.points, atol=1e-4)
    assert repr(face) == repr(expected)


def test_a_predictor_that_cannot_be_loaded_again_is_not_pickled(predictor):
    with pytest.raises(pickle.PicklingError, match=r"only those that Predictor\.load made"):
        pickle.dumps(predictor)
    pytest.importorskip("ai_edge_litert", reason="the extra runtime is not installed")
    with pytest.raises(
        pickle.PicklingError, match=r"cannot pickle the detector .*<lambda>.*; define it at the top level"
    ):
        pickle.dumps(Predictor.load("compact", lambda picture: np.zeros((0, 4))))
    assert str(FOLDER).encode() not in pickle.dumps(Predictor.load().__reduce__()[1][0]), "named, wherever it lies"


@pytest.mark.parametrize("angle", [37, 90, 180])
def test_a_face_at_any_angle_has_the_same_points(angle):
    pytest.importorskip("ai_edge_litert", reason="the extra runtime is not installed")
    predictor, box = Predictor.load("compact"), np.array([261.0, 231, 268, 268])
    with Image.open(ASTRONAUT) as image:
        upright, rotated_image = image, image.rotate(-angle, Image.Resampling.BICUBIC)
        points = predictor.predict(upright, [box])[0].points
    middle = np.array(upright.size) / 2
    centre = rotated(box[:2] + box[2:] / 2 - middle, angle) + middle
    face = predictor.predict(rotated_image, [[*(centre - box[2:] / 2), *box[2:]]])[0]
    expected = rotated(points + 0.5 - middle, angle) + middle - 0.5
    assert np.linalg.norm(face.points - expected, axis=1).mean() < 0.015 * box[2]
    assert face.confidence.mean() > 0.8


def test_the_angle_that_a_detector_tells_saves_the_search():
    pytest.importorskip("ai_edge_litert", reason="the extra runtime is not installed")
    info, network = load_network("compact")
    with Image.open(ASTRONAUT) as image:
        lying = image.rotate(-90, Image.Resampling.BICUBIC)
    # the face is at (261, 231) in 960 × 780 pixels; rotated about their middle, its box is that far from another side
    box, crops = (480 + 390 - 231 - 268, 390 - 480 + 261, 268, 268), []

    def counting(images):
        crops.append(len(images))
        return network(images)

    searched = Predictor(info, counting, lambda picture: np.array([box])).predict(lying)[0]
    known = Predictor(info, counting, lambda picture: np.array([(*box, 90)])).predict(lying)[0]
    assert crops == [1, 7, 4, 1, 1]
    assert known.box.tolist() == list(box)
    assert np.linalg.norm(searched.points - known.points, axis=1).mean() < 3
