"""The camera and clips on the page of a project, in Chromium."""

import io
import json
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from helpers import DISC_SIZE, RECIPE, draw_discs, picture, serving_project, write_xml
from page_steps import CHROMIUM, PHOTO, wait
from PIL import Image

from kp_tf.apps.demo.proposals import Key, Loaded, Proposals
from kp_tf.artifacts.info import ModelInfo
from kp_tf.core.keypoints import IBUG68, Scheme, spell_out
from kp_tf.core.mean_face import MeanFace
from kp_tf.data.dlib_xml import read_dlib_xml
from kp_tf.predict.predictor import Predictor

NAMES = ("left ear", "right ear", "tail")
ANIMAL = Scheme("animal", NAMES, ())
OFFSETS = np.array([[-20, -16], [20, -16], [0, 24]])  # of the points from the centre of a disc, in pixels
RATE, FRAMES = 25, 20
CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]

pytestmark = [pytest.mark.long, pytest.mark.skipif(not CHROMIUM, reason="needs Chromium: apt-get install chromium")]


def centre_in(frame):
    return 100 + 5 * frame, 60


def disc_points(crops):
    """The points of the disc in each crop; a crop without a whole one gets a large variance."""
    places, outputs = (np.stack(np.meshgrid(range(32), range(32)), axis=-1) + 0.5) / 32, []
    for crop in crops[..., 0] + 0.5:
        bright = crop > 0.4
        centre = places[bright].mean(axis=0) if bright.any() else np.full(2, 0.5)
        side = DISC_SIZE / np.sqrt(max(bright.sum(), 1) / 1024 * 4 / np.pi)  # of the crop, in pixels
        is_whole = bright.any() and not (bright[[0, -1]].any() or bright[:, [0, -1]].any())
        variance = 1e-4 if is_whole else 0.1
        outputs.append(np.concatenate([centre + OFFSETS / side, np.full((3, 1), variance)], axis=1))
    return np.array(outputs, np.float32)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A project with one photograph that is marked, and a network that finds discs."""
    folder = tmp_path / "animals"
    folder.mkdir()
    picture(320, 120).save(folder / "first.png")
    (folder / "scheme.json").write_text(json.dumps({"name": "animal", "names": NAMES, "eyes": NAMES[:2]}))
    points = np.add(centre_in(0), OFFSETS)
    parts = "".join(f"<part name='{name}' x='{x}' y='{y}'/>" for name, (x, y) in zip(NAMES, points, strict=True))
    write_xml(
        folder / "points.xml",
        [f"<image file='first.png'><box left='88' top='50' width='25' height='25'>{parts}</box></image>"],
    )
    mean_face = MeanFace(np.array([0.0, 0, 1, 1]), 0.5 + OFFSETS / 48)
    info = ModelInfo(Path("own"), RECIPE, ANIMAL, mean_face=mean_face, metrics={"max_deviation": 0.05})
    loaded = Loaded(info, disc_points, Predictor(info, disc_points))
    monkeypatch.setattr(Proposals, "runs", lambda *_: ["001"])
    monkeypatch.setattr(Proposals, "networks", lambda *_: {"runs": ["001"], "hardly_better": None})
    monkeypatch.setattr(Proposals, "own", lambda *_: ("001", Key("001")))
    monkeypatch.setattr(Proposals, "load", lambda *_: loaded)
    return folder


@pytest.fixture
def clip(tmp_path):
    """A WebM of a disc that moves."""
    av = pytest.importorskip("av")
    path = tmp_path / "my clip.webm"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx", rate=RATE)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 320, 120, "yuv420p", 2_000_000
        for number in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(np.stack([draw_discs(centre_in(number))] * 3, axis=-1), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture
def open_try(playwright, folder, tmp_path):
    """The page's view of camera and clips, in a browser whose camera shows a disc."""
    with showing(playwright, folder, Image.fromarray(draw_discs(centre_in(10))), tmp_path / "camera.mjpeg") as page:
        yield page


@contextmanager
def showing(playwright, folder, frame, clip):
    encoded = io.BytesIO()
    frame.convert("RGB").save(encoded, "JPEG", quality=95)
    clip.write_bytes(encoded.getvalue() * 10)
    arguments = ["--no-sandbox", *CAMERA, f"--use-file-for-fake-video-capture={clip}"]
    errors = []
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
    with serving_project(folder) as address:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address)
        page.click("[data-view=try]")
        yield page
        browser.close()
    assert errors == []


def test_a_clip_plays_and_its_frames_are_corrected_one_by_one(open_try, folder, clip):
    page = open_try
    wait(page, "#try-hint", "^Network 001 shows its points in every frame, and in the photographs under 2 Mark. Other")
    page.set_input_files("#clip-file", clip)
    wait(page, "#clip-status", "^1 object$")
    wait(page, "#clip-time", "^0:00.00 / 0:00.80$")
    page.focus("#picture")
    page.keyboard.press("ArrowRight")
    wait(page, "#clip-time", "^0:00.04 / ")
    page.keyboard.press("ArrowRight")
    wait(page, "#clip-time", "^0:00.08 / ")
    page.keyboard.press("ArrowLeft")
    wait(page, "#clip-time", "^0:00.04 / ")
    page.keyboard.press("Enter")
    wait(page, "#status", r"^frames/my-clip-0000040\.png$")
    wait(page, "#ask-more", "proposed")
    page.keyboard.press("Enter")
    wait(page, "#ask-more", "Enter to go back to the clip$")
    wait(page, "#saved", "^All marks are saved$")
    page.keyboard.press("Enter")
    wait(page, "#clip-status", "^The points of the project$")
    wait(page, "#clip-list", "^● 0:00.04$")
    page.click("#clip-play")
    wait(page, "#clip-time", "^0:00.76 / ")
    wait(page, "#clip-play", "^Play$")
    page.fill("#clip-position", "0.41")
    wait(page, "#clip-time", "^0:00.40 / ")
    page.click("#clip-close")
    assert page.locator("#try-empty").is_visible()
    samples = read_dlib_xml(folder / "points.xml", ANIMAL, partial=True)
    assert samples.files == ("first.png", "frames/my-clip-0000040.png")
    np.testing.assert_allclose(samples.points[1], np.add(centre_in(1), OFFSETS), atol=2)


def test_a_file_that_cannot_be_played_is_one_message(open_try, tmp_path):
    (tmp_path / "text.mp4").write_text("no clip")
    open_try.set_input_files("#clip-file", tmp_path / "text.mp4")
    wait(open_try, "#error", r"^text.mp4 cannot be played. Browsers play MP4 with H.264, and WebM.$")
    assert open_try.locator("#try-empty").is_visible()


def test_the_camera_shows_its_points_and_its_pictures_are_marked(open_try, folder):
    page = open_try
    page.click("#camera")
    wait(page, "#camera-status", "^1 object$")
    wait(page, "#camera-rate", "^[1-9][0-9]* frames a second$")
    page.click("#camera-shot")
    wait(page, "#status", r"^frames/camera-.*\.png$")
    wait(page, "#ask-more", "proposed")
    assert page.locator("#camera-view").is_hidden()
    page.keyboard.press("Enter")
    wait(page, "#saved", "^All marks are saved$")
    samples = read_dlib_xml(folder / "points.xml", ANIMAL, partial=True)
    with Image.open(folder / samples.files[1]) as taken:
        scale = taken.width / 320
    np.testing.assert_allclose(samples.points[1] / scale, np.add(centre_in(10), OFFSETS), atol=3)


def test_faces_on_the_camera_are_found_by_the_detector(playwright, tmp_path):
    project = tmp_path / "faces"
    project.mkdir()
    (project / "scheme.json").write_text(json.dumps(spell_out(IBUG68)))
    with Image.open(PHOTO) as photo, showing(playwright, project, photo, tmp_path / "camera.mjpeg") as page:
        wait(page, "#try-hint", "^The network for faces, which comes with kp_tf, shows its points in every frame,")
        with page.expect_request("**/project/detect?*"):
            page.click("#camera")
        wait(page, "#camera-status", "^1 object$")


def test_a_page_without_a_server_is_made(open_try, folder):
    made = {"network": "001", "folder": "/animals/site", "size": 11_260_000}
    open_try.route("**/project/export?*", lambda route: route.fulfill(json=made))
    open_try.click("#export")
    wait(open_try, "#export-state", r"^The page with network 001 is in /animals/site \(11.3 MB\).$")
    command = 'python3 -m http.server --directory "/animals/site" --bind 127.0.0.1 8001'
    assert open_try.text_content("#export-command") == command
    assert open_try.get_attribute("#export-made a", "href") == "http://127.0.0.1:8001/"
    open_try.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_try.click("#export-copy")
    wait(open_try, "#export-copy", "^Copied$")
    assert open_try.evaluate("navigator.clipboard.readText()") == command
    wait(open_try, "#export-copy", "^Copy$")
    open_try.route(
        "**/project/export?*", lambda route: route.fulfill(status=422, json={"error": "npm is not installed"})
    )
    open_try.click("#export")
    wait(open_try, "#error", "^npm is not installed$")
    wait(open_try, "#export-state", r"^The page that was made last is in /animals/site\.$")
    (folder / "site").mkdir()
    open_try.reload()
    open_try.click("[data-view=try]")
    wait(open_try, "#export-state", rf"^The page that was made last is in {folder / 'site'}\.$")
    assert str(folder / "site") in open_try.text_content("#export-command")
