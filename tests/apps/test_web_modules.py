"""The modules of the exported site in Chromium, against those of Python that they follow."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from helpers import DISC_INFO, DISC_SIZE, FakeDetector, disc_network, draw_discs, picture
from page_steps import CHROMIUM
from PIL import Image
from web_steps import RUNTIME, answer_with

from benchmarks.web_runtimes import host
from kp_tf.apps.web.site import describe, site_files, write_site
from kp_tf.artifacts.weights import committed
from kp_tf.core.centres import STRIDE, decode
from kp_tf.core.face import Face
from kp_tf.core.geometry import crop_windows, enclosing_windows, misses_image, overlaps, rotated, to_pixels, to_unit
from kp_tf.core.images import crop_image
from kp_tf.core.keypoints import IBUG68, NOSE
from kp_tf.core.mean_face import MeanFace
from kp_tf.predict.cascade import KEPT_TURNS, KNOWN_TURNS, TURNS
from kp_tf.predict.confidence import are_doubtful, are_sharp, confidence_of
from kp_tf.predict.detectors.builtin import SIDES, find_centres
from kp_tf.predict.false_faces import are_faces
from kp_tf.predict.predictor import Predictor
from kp_tf.predict.search import NESTED, _distinct, search
from kp_tf.predict.tracking import OneEuro, Tracker
from kp_tf.predict.writers import face_to_json

pytestmark = [pytest.mark.long, pytest.mark.skipif(not CHROMIUM, reason="needs Chromium: apt-get install chromium")]

RNG = np.random.default_rng(0)
PICTURE = Image.fromarray(RNG.integers(0, 256, (90, 120), np.uint8))
WINDOWS = [
    *((10, 5, 64, 64), (0, 0, 120, 90), (-20, -15, 90, 90), (70, 40, 100, 100), (40, 40, 1, 1), (30, 20, 20, 20)),
    *((20.3, 10.7, 50.2, 50.2, 30.0), (-12.5, 8.0, 70.0, 70.0, -100.0), (60.0, 30.5, 90.0, 80.0, 179.0)),
]


CROP = """(() => {
  const [{ grey, width, height }, window, shape] = arguments;
  return [...module.crop({ grey: Uint8Array.from(grey), width, height }, window, shape)];
})()"""


@pytest.fixture(scope="module")
def call(browser, tmp_path_factory):
    """Call a function of a module of the site, or run code on it, with arguments for JSON."""
    folder = tmp_path_factory.mktemp("web") / "site"
    write_site(folder, site_files(DISC_INFO, b"", RUNTIME))
    with host(folder) as address:
        page = browser.new_page()
        page.goto(f"{address}/model.json")  # any file: a page without the site's own scripts
        answer_with(page, disc_network, bright_cells)

        def call_module(module, code, *arguments):
            if code.isidentifier():
                code = f"module.{code}(...arguments)"
            function = f"([module, ...arguments]) => import(module).then(async (module) => {code})"
            return page.evaluate(function, [f"{address}/{module}.js", *json.loads(json.dumps(arguments))])

        yield call_module
        page.close()


def bright_cells(images):
    """Cells (1, H / 8, W / 8, 6) of pictures (1, H, W, 1): bright places are faces."""
    height, width = (side // STRIDE for side in images.shape[1:3])
    blocks = images[0, :, :, 0].reshape(height, STRIDE, width, STRIDE).mean(axis=(1, 3))
    return np.stack([30 * blocks, blocks, -blocks, 4 * blocks, 1 + 0 * blocks, np.rot90(blocks, 2)], axis=-1)[None]


def square_cells(side, images):
    """The same of a square in whose upper left the picture is, as the page's runtime needs it."""
    square = np.full((1, side, side, 1), -0.5, np.float32)
    square[:, : images.shape[1], : images.shape[2]] = images
    return bright_cells(square)


def as_picture(image):
    pixels = np.asarray(image)
    return {"grey": pixels.ravel().tolist(), "width": pixels.shape[1], "height": pixels.shape[0]}


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_crops_are_those_of_pillow(call, window):
    for shape in ((32, 32), (24, 40)):
        found = np.array(call("crop", CROP, as_picture(PICTURE), window, shape)).reshape(shape)
        expected = crop_image(PICTURE, np.array(window), shape)
        assert np.abs(found - expected).max() <= (1 if len(window) == 5 else 0)
        assert (found == expected).mean() > 0.99


def test_grey_is_that_of_pillow(call):
    pixels = RNG.integers(0, 256, (5, 7, 4), np.uint8)
    image = {"data": pixels.ravel().tolist(), "width": 7, "height": 5}
    expected = np.asarray(Image.fromarray(pixels[..., :3]).convert("L"))
    assert call("pixels", "[...module.greyPicture(...arguments).grey]", image) == expected.ravel().tolist()


def test_windows(call):
    boxes = [(10.5, 20.25, 31.0, 44.5), (-3, 5, 7, 7), (1.5, 2.5, 0.2, 0.1), (10.0, 20.0, 30.0, 40.0, 25.0)]
    boxes.append((10.3, 20.6, 30.2, 41.7, 0.0))
    size = {"width": 100, "height": 60}
    for box in boxes:
        for scale in (1.36, None):
            window = crop_windows(np.array([box]), scale)[0]
            np.testing.assert_allclose(call("windows", "cropWindow", box, scale), window, atol=1e-9)
    for window in np.array([(20.0, 10, 30, 30, 40), (90, 50, 40, 40, -10), (105, 70, 9, 9, 0), (99, 59, 20, 20, 5)]):
        enclosing = call("windows", "enclosingWindow", window.tolist())
        np.testing.assert_array_equal(enclosing, enclosing_windows(window[None])[0])
        for one in (window, window[:4]):
            missed = bool(misses_image(one[None], np.array([(100, 60)]))[0])
            assert call("windows", "missesPicture", one.tolist(), size) == missed
            point = (33.0, 12.5)
            unit = to_unit(np.array([[point]]), one[None])[0, 0]
            np.testing.assert_allclose(call("windows", "toUnit", point, one.tolist()), unit, atol=1e-9)
            back = to_pixels(unit[None, None], one[None])[0, 0]
            np.testing.assert_allclose(call("windows", "toPixels", unit.tolist(), one.tolist()), back, atol=1e-9)
    expected = overlaps(np.array([boxes[0]]), np.array(boxes[3]))[0]
    assert call("windows", "overlap", boxes[0], boxes[3]) == pytest.approx(expected)


@pytest.mark.parametrize("count", [1, 5])
def test_the_mean_face(call, count):
    face = MeanFace(np.array([0.1, -0.05, 0.9, 1.1]), RNG.uniform(0, 1, (count, 2)))
    points, frame = RNG.uniform(20, 80, (count, 2)), (12.0, 8.0, 60.0, 60.0)
    arguments = face.to_json(), points.tolist(), frame
    for name, boxes in (("boxAround", face.boxes_around), ("rotatedBoxAround", face.rotated_boxes_around)):
        expected = boxes(points[None], np.array([frame]))[0]
        np.testing.assert_allclose(call("mean-face", name, *arguments), expected, atol=1e-9)
    np.testing.assert_allclose(call("mean-face", "boxIn", face.to_json(), frame), face.boxes_in(np.array([frame]))[0])


@pytest.mark.parametrize("calibration", [(-6.1, -2.2), (-8.5, -1.6, -1.1)])
def test_confidence(call, calibration):
    variance = np.geomspace(1e-6, 1e-1, 12)
    found = call("confidence", "confidenceOf", variance.tolist(), calibration)
    np.testing.assert_allclose(found, confidence_of(variance, calibration), atol=1e-12)
    for scale in (0.1, 1, 10):
        for largest in (None, 0.002, 0.02):
            doubtful = bool(are_doubtful(scale * variance[None], calibration, largest)[0])
            for name, deviation in (("isDoubtful", "max_deviation"), ("isUnusual", "usual_deviation")):
                model = {"calibration": calibration, deviation: largest}
                assert call("confidence", name, (scale * variance).tolist(), model) == doubtful
            metrics = {"calibration": calibration, "usual_deviation": largest, "max_deviation": 0.006}
            sharp = bool(are_sharp(replace(DISC_INFO, metrics=metrics), scale * variance[None])[0])
            assert call("confidence", "isSharp", (scale * variance).tolist(), metrics) == sharp


def test_false_faces(call):
    compact = committed("compact")
    model, flags = describe(compact), []
    for angle, told in ((0, []), (40, [30.0]), (-120, [100.0]), (200, [-150.0])):
        for spread, deviation in ((2, 0.038), (8, 0.043), (60, 0.07), (0, 0.048)):
            points = rotated(200 * compact.mean_face.points + RNG.normal(0, spread, (68, 2)), angle)
            variance, box = np.full(68, deviation**2), [5.0, 6, 200, 200, *told]
            flags.append(bool(are_faces(compact, np.array([box]), np.column_stack([points, variance])[None])[0]))
            output = {"points": points.tolist(), "variance": variance.tolist()}
            assert call("false-faces", "isFalse", output, box, model) != flags[-1]
            for own in (points, np.ones((68, 2))):
                distance, turned = compact.mean_face.compared_with(own[None])
                found = call("mean-face", "comparedWith", model["mean_face"], own.tolist())
                assert [found["distance"], found["angle"]] == pytest.approx([distance[0], turned[0]], abs=1e-6)
            assert call("false-faces", "isFalse", output, box, model | {"shape_limit": None}) == (
                deviation > compact.max_deviation
            )
    assert set(flags) == {True, False}


def test_the_filter(call):
    smooth, points = OneEuro(), np.cumsum(RNG.normal(0, 1, (20, 4, 2)), axis=0)
    seconds = np.cumsum(RNG.uniform(0, 0.05, 20))
    seconds[7] = seconds[6]  # a frame without time
    code = """(() => {
      const filter = new module.OneEuro();
      return arguments[0].map((points, k) => filter.filter(points, arguments[1][k], 50));
    })()"""
    found = call("one-euro", code, points.tolist(), seconds.tolist())
    np.testing.assert_allclose(found, [smooth(*frame, 50) for frame in zip(points, seconds, strict=True)], atol=1e-9)


TRACK = """(async () => {
  const [model, frames, boxes] = arguments;
  const { Predictor } = await import("./predictor.js");
  const { loadAndCompile, Tensor } = await import("./runtime/index.js");
  const compiled = await loadAndCompile();
  const network = async (crop) => (await compiled.run([new Tensor(crop, [1, ...model.shape, 1])]))[0].toTypedArray();
  const tracker = new module.Tracker(new Predictor(network, model, async () => boxes), { findEvery: Infinity });
  const results = [];
  for (const [k, { grey, width, height }] of frames.entries()) {
    results.push(await tracker.update({ grey: Uint8Array.from(grey), width, height }, k / 30));
  }
  return results;
})()"""


def test_tracks_are_those_of_python(call):
    starts, steps = [(60, 60), (200, 50)], [(6, 0), (-8, 1)]  # they meet and pass each other
    frames = [draw_discs(*np.add(starts, np.multiply(steps, k))) for k in range(16)]
    detector = FakeDetector(*starts)
    tracker = Tracker(Predictor(DISC_INFO, disc_network, detector))
    expected = [tracker.update(frame, k / 30) for k, frame in enumerate(frames)]
    boxes = [(x - DISC_SIZE / 2, y - DISC_SIZE / 2, DISC_SIZE, DISC_SIZE) for x, y in starts]
    pictures = [as_picture(frame) for frame in frames]
    found = call("tracker", TRACK, describe(DISC_INFO) | {"calibration": None}, pictures, boxes)
    for ours, theirs in zip(found, expected, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            assert one["number"] == other.number
            np.testing.assert_allclose(one["points"], other.points, atol=0.05)
            np.testing.assert_allclose(one["box"], other.box, atol=0.05)


CASCADE = """(async () => {
  const [model, { grey, width, height }, boxes, found] = arguments;
  const { loadAndCompile, Tensor } = await import("./runtime/index.js");
  const compiled = await loadAndCompile();
  let passes = 0;
  const network = async (crop) => {
    passes += 1;
    return (await compiled.run([new Tensor(crop, [1, ...model.shape, 1])]))[0].toTypedArray();
  };
  const predictor = new module.Predictor(network, model, async () => found);
  const faces = await predictor.predict({ grey: Uint8Array.from(grey), width, height }, boxes);
  return { points: faces[0].points, count: faces.length, passes };
})()"""


@pytest.mark.parametrize(
    ("angle", "tries"), [([], len(TURNS) + KEPT_TURNS), ([30.0], len(KNOWN_TURNS))], ids=["drawn", "found"]
)
def test_rotations_that_are_not_sharp_go_on_only_where_the_angle_is_not_known(call, angle, tries):
    image, box, seen = Image.fromarray(draw_discs((60, 60))), [38.0, 42, 40, 40, *angle], []

    def network(crops):
        seen.extend(crops)
        return disc_network(crops)

    info = replace(DISC_INFO, recipe=replace(DISC_INFO.recipe, rotated_windows=True), metrics={"usual_deviation": 1e-6})
    boxes = None if angle else [box]
    (expected,) = Predictor(info, network, lambda _: np.array([box])).predict(image, boxes)
    found = call("predictor", CASCADE, describe(info), as_picture(image), boxes, [box])
    assert found["passes"] == len(seen) == 2 + tries
    np.testing.assert_allclose(found["points"], expected.points, atol=0.1)


def test_a_face_that_was_found_twice_is_returned_once(call):
    picture = as_picture(Image.fromarray(draw_discs((60, 60))))
    boxes = [[40.0, 40, 40, 40], [44.0, 38, 48, 48]]
    found = call("predictor", CASCADE, describe(DISC_INFO), picture, None, boxes)
    assert found["count"] == 1
    assert call("predictor", CASCADE, describe(DISC_INFO), picture, boxes, [])["count"] == 2


SEARCH = """(async () => {
  const [model, { grey, width, height }] = arguments;
  const { loadAndCompile, Tensor } = await import("./runtime/index.js");
  const compiled = await loadAndCompile();
  const network = async (crop) => (await compiled.run([new Tensor(crop, [1, ...model.shape, 1])]))[0].toTypedArray();
  return module.search(network, model, { grey: Uint8Array.from(grey), width, height });
})()"""


def test_a_network_finds_things_itself_where_python_finds_them(call):
    image = Image.fromarray(draw_discs((60, 60), (200, 50)))
    info = replace(DISC_INFO, metrics={"max_deviation": 0.01, "usual_deviation": 0.9})
    expected = search(disc_network, info, image)
    assert len(expected) > 1
    np.testing.assert_allclose(call("search", SEARCH, describe(info), as_picture(image)), expected, atol=0.05)


def test_what_is_one_thing_is_so_in_python_and_in_the_page(call):
    boxes = np.concatenate([RNG.uniform(0, 60, (60, 2)), RNG.uniform(5, 90, (60, 2))], axis=1)
    deviations = RNG.uniform(0.01, 0.1, 60)
    for nested in (NESTED, np.inf):
        expected = boxes[_distinct(boxes, deviations[:, None] ** 2, nested)]
        places = [{"box": box, "deviation": value} for box, value in zip(boxes.tolist(), deviations, strict=True)]
        found = call("search", "distinct", places, *([nested] if nested < np.inf else []))
        np.testing.assert_allclose([place["box"] for place in found], expected)
    assert len(expected) > 5


def test_the_json_has_the_pose_and_the_ratios_of_python(call):
    compact = committed("compact")
    for angle in (0, 40, -120):
        points = rotated(200 * compact.mean_face.points + RNG.normal(0, 6, (68, 2)), angle)
        for missing in ([], [30], [37, 61]):
            points[missing] = np.nan
            face = Face(np.array([5.0, 6, 200, 200]), points.round(2), np.full(68, 0.5), IBUG68)
            expected = face_to_json(face)
            one = {"file": "a.jpg", "width": 300, "height": 300, "faces": [expected]}
            (found,) = json.loads(call("formats", "asJson", [one], describe(compact)))["photographs"][0]["faces"]
            assert found["pose"] == (expected["pose"] and pytest.approx(expected["pose"], abs=0.11))
            assert {**found, "pose": 0} == {**expected, "pose": 0}
    nose = replace(DISC_INFO, scheme=NOSE)
    one = {"file": "a.jpg", "width": 300, "height": 300, "faces": [{"box": [1, 2, 3, 4], "points": [[1, 2]]}]}
    (found,) = json.loads(call("formats", "asJson", [one], describe(nose)))["photographs"][0]["faces"]
    assert set(found) == {"box", "points"}


DETECT = """(async () => {
  const [{ grey, width, height }, sides] = arguments;
  const { loadAndCompile, Tensor } = await import("./runtime/index.js");
  const compiled = await loadAndCompile();
  const run = async (pixels, side) => (await compiled.run([new Tensor(pixels, [1, side, side, 1])]))[0].toTypedArray();
  const detectors = sides.map((side) => ({ side, network: (pixels) => run(pixels, side) }));
  return module.detect(detectors, { grey: Uint8Array.from(grey), width, height }, 0.9);
})()"""


@pytest.mark.parametrize("size", [(120, 90), (500, 901)], ids=str)
def test_faces_are_found_where_python_finds_them(call, size):
    image = picture(*size).convert("L")
    expected = find_centres(tuple(partial(square_cells, side) for side in SIDES), image, 0.9)
    assert len(expected.scores) > 5
    found = call("detector", DETECT, as_picture(image), SIDES)
    np.testing.assert_allclose(found, np.column_stack([expected.boxes(), expected.faces[:, 3]]), atol=1e-3)


def test_the_cells_of_a_detector(call):
    cells = RNG.normal(0, 1, (12, 20, 6)).astype(np.float32)
    expected = decode(cells, 0.6)
    assert len(expected.scores) > 5
    code = "module.decode(Float32Array.from(arguments[0]), arguments[1], arguments[2])"
    found = call("centres", code, cells.ravel().tolist(), 20, 0.6)
    values = [[face[name] for name in ("x", "y", "side", "angle")] for face in found]
    np.testing.assert_allclose(values, expected.faces, atol=1e-4)
    np.testing.assert_allclose([face["score"] for face in found], expected.scores, atol=1e-6)
    boxes = [call("centres", "boxOf", face)[:4] for face in found]
    np.testing.assert_allclose(boxes, expected.boxes(), atol=1e-4)
