"""The exported site in Chromium, with `compact`: its points, and what a person does on it."""

import base64
import io
import os
import re
from pathlib import Path

import numpy as np
import pytest
from discs import DISC_SIDES_INFO, disc_sides
from helpers import DISC_INFO, disc_network, draw_discs
from page_steps import CHROMIUM, PHOTO, faces_of, save, show, wait, wait_for_status
from PIL import Image
from web_steps import RUNTIME, answer_with

from benchmarks.web_runtimes import host
from kp_tf.apps.web.site import site_files, write_site
from kp_tf.artifacts.weights import FOLDER, committed
from kp_tf.backends import load_network
from kp_tf.backends.detector import load_detector
from kp_tf.core.geometry import boxes_around_points
from kp_tf.core.images import open_photograph
from kp_tf.data.imm import read_imm
from kp_tf.data.synthetic.photographs import draw_ibug
from kp_tf.predict.detectors.builtin import SIDES
from kp_tf.predict.predictor import Predictor

pytestmark = [pytest.mark.long, pytest.mark.skipif(not CHROMIUM, reason="needs Chromium: apt-get install chromium")]

EXACT = FOLDER / "compact.npz"  # sites compute in float32, the committed LiteRT file in int8
ARCHIVES = os.environ.get("KP_TF_LITERTJS")  # a folder with LiteRT.js, as `--runtime` takes it
SECONDS = 120  # that a search for faces may take with the runtime that asks Python
CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site of `compact`."""
    folder = tmp_path_factory.mktemp("web") / "site"
    if ARCHIVES:
        from kp_tf.apps.export import export

        return export("web", "compact", folder, runtime=Path(ARCHIVES))
    write_site(folder, site_files(committed("compact"), b"", RUNTIME, dict.fromkeys(SIDES, b"")))
    return folder


@pytest.fixture(scope="module")
def site_address(site):
    with host(site) as address:
        yield address


class Asked:
    """The detector's network, which keeps the sides of the squares that it was shown."""

    def __init__(self):
        self.network, self.sides = load_detector(), []

    def __call__(self, images):
        self.sides.append(images.shape[1])
        return self.network(images)


@pytest.fixture
def asked():
    return Asked()


@pytest.fixture
def open_site(browser, site_address, errors, asked):
    """Open the site in a profile of its own; at the end it must have asked no other host and caused no error."""
    contexts, requested, addresses = [], [], []

    def open_page(in_browser=browser, script=None, address=site_address, **options):
        addresses.append(address)
        contexts.append(in_browser.new_context(**({"viewport": {"width": 1280, "height": 800}} | options)))
        page = contexts[-1].new_page()
        page.on("request", lambda request: requested.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        if address != site_address or not ARCHIVES:
            answer_with(page, load_network(EXACT)[1], asked)
        if script:
            page.add_init_script(script)
        page.goto(address)
        if not script:
            page.wait_for_selector("#network option", state="attached", timeout=60_000)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []
    assert [url for url in requested if not url.startswith((*addresses, "blob:", "data:"))] == []


@pytest.fixture
def camera(tmp_path):
    """The arguments with which a browser's camera shows a photograph that moves."""
    frames = []
    for k in range(30):
        frame, encoded = Image.new("RGB", (640, 480), "grey"), io.BytesIO()
        with Image.open(PHOTO) as photo:
            head = photo.crop((100, 40, 660, 600)).resize((480, 480))  # nothing else is taken for a face
            frame.paste(head, (80 + round(40 * np.sin(k / 30 * 2 * np.pi)), 0))
        frame.save(encoded, "JPEG", quality=90)
        frames.append(encoded.getvalue())
    (tmp_path / "camera.mjpeg").write_bytes(b"".join(frames))
    return ["--no-sandbox", *CAMERA, f"--use-file-for-fake-video-capture={tmp_path / 'camera.mjpeg'}"]


@pytest.fixture
def live_site(playwright, open_site, camera):
    """The site in a browser with this camera."""
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=camera)
    yield open_site(browser)
    browser.close()


PREDICT = """([name, content, boxes]) => import("./api.js").then(async (api) => {
  const bytes = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
  return api.predict(new File([bytes], name), { name, boxes });
})"""


def drawn_faces(folder, number=10):
    """Photographs with one drawn face each, and their boxes."""
    (folder / "sample").mkdir()
    for k in range(1, number + 1):
        label = draw_ibug(folder, seed=3, test=False, number=k)
        box = [float(re.search(rf"{name}='(-?\d+)'", label)[1]) for name in ("left", "top", "width", "height")]
        yield folder / "sample" / f"{k:05}.jpg", box


def imm_faces(folder, number=10):
    """Photographs of IMM and the boxes around their points."""
    samples = read_imm(folder)
    boxes = boxes_around_points(samples.points)
    for k in range(0, len(samples), len(samples) // number):
        yield folder / samples.files[k], boxes[k].tolist()


def check_parity(page, predictor, faces):
    """The browser's points differ by at most 0.3 pixels of the crop."""
    worst = 0.0
    for path, box in faces:
        content = base64.b64encode(path.read_bytes()).decode()
        (found,) = page.evaluate(PREDICT, [path.name, content, [box]])["faces"]
        (expected,) = predictor.predict(open_photograph(path), [box])  # all pixels, as the browser decodes them
        side = predictor.info.recipe.crop_scale * max(expected.box[2:]) / predictor.info.recipe.shape[0]
        worst = max(worst, np.linalg.norm(np.array(found["points"]) - expected.points, axis=1).max() / side)
        np.testing.assert_allclose(found["confidence"], expected.confidence, atol=0.01)
    assert worst <= 0.3


def test_parity_on_drawn_faces(open_site, tmp_path):
    check_parity(open_site(), Predictor.load(EXACT), drawn_faces(tmp_path))


@pytest.mark.skipif("KP_TF_DATA" not in os.environ, reason="needs IMM: set KP_TF_DATA")
def test_parity_on_imm(open_site):
    check_parity(open_site(), Predictor.load(EXACT), imm_faces(Path(os.environ["KP_TF_DATA"]) / "imm_face_db"))


def test_a_photograph_is_opened_corrected_and_saved(open_site, asked, tmp_path):
    page = open_site(accept_downloads=True)
    show(page, PHOTO)
    (expected,) = Predictor.load().predict(PHOTO)
    (found,) = faces_of(save(page, "json", tmp_path))
    np.testing.assert_allclose(found["box"], expected.box, atol=2)
    np.testing.assert_allclose(found["points"], expected.points, atol=2)
    assert found["pose"]["yaw"] == pytest.approx(expected.pose.yaw, abs=1)
    assert ARCHIVES or asked.sides == list(SIDES)
    page.focus("#picture")
    for key in (".", "ArrowRight", "Shift+ArrowDown"):
        page.keyboard.press(key)
    (moved,) = faces_of(save(page, "json", tmp_path))
    np.testing.assert_allclose(moved["points"][0], np.add(found["points"][0], [1, 10]), atol=0.011)
    assert moved["points"][1:] == found["points"][1:]
    pts = save(page, "pts", tmp_path).read_text().splitlines()
    np.testing.assert_allclose([float(value) for value in pts[3].split()], np.add(moved["points"][0], 1), atol=0.011)
    with Image.open(save(page, "picture", tmp_path)) as drawn, Image.open(PHOTO) as photo:
        assert drawn.size == photo.size
    for name in ("#network", "#compare", "[data-save=xml]"):
        assert page.locator(name).is_hidden(), "what needs the server"


def test_without_a_detector_the_network_finds_the_face_itself(open_site, tmp_path_factory, tmp_path):
    folder = tmp_path_factory.mktemp("web") / "site"
    write_site(folder, site_files(committed("compact"), b"", RUNTIME))
    with host(folder) as address:
        page = open_site(address=address, accept_downloads=True)
        show(page, PHOTO, seconds=SECONDS)
        (found,) = faces_of(save(page, "json", tmp_path))
    (expected,) = Predictor.load().predict(PHOTO)
    assert np.abs(np.array(found["points"]) - expected.points).mean() < 0.02 * expected.box[2]


BLACK_CAMERA = """navigator.mediaDevices.getUserMedia = async () => {
  const canvas = document.createElement("canvas");
  const target = canvas.getContext("2d");
  setInterval(() => target.fillRect(0, 0, 300, 150), 20);
  return canvas.captureStream();
}"""
WORDS = """[document.title, document.body.innerText, ...["title", "aria-label"].flatMap((name) => (
  [...document.querySelectorAll(`[${name}]`)].map((element) => element.getAttribute(name))))].join("\\n")"""


@pytest.mark.parametrize(
    ("info", "network", "called", "other"),
    [(DISC_INFO, disc_network, "face", "object"), (DISC_SIDES_INFO, disc_sides, "object", "face")],
)
def test_the_page_says_face_only_where_the_points_are_those_of_faces(
    browser, errors, tmp_path, info, network, called, other
):
    Image.fromarray(draw_discs((60, 60), (200, 60))).save(tmp_path / "discs.png")
    Image.new("L", (320, 120)).save(tmp_path / "black.png")
    write_site(tmp_path / "site", site_files(info, b"", RUNTIME))
    texts = []
    with host(tmp_path / "site") as address:
        page = browser.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        answer_with(page, network)
        page.add_init_script(BLACK_CAMERA)
        page.goto(address)
        page.wait_for_selector("#network option", state="attached", timeout=60_000)
        page.click("#keys summary")

        def see(action, selector, pattern):
            action()
            wait(page, selector, pattern, SECONDS)
            texts.append(page.evaluate(WORDS))

        see(lambda: show(page, tmp_path / "discs.png"), "#status", f"^[12] {called}s? in discs")
        assert page.is_visible("#groups") == bool(info.scheme.groups)
        assert page.is_enabled("[data-show=confidence]") == bool(info.calibration)
        see(
            lambda: show(page, tmp_path / "black.png"),
            "#status",
            f"^No {called} detected. Drag a box around an? {called},",
        )
        see(lambda: page.keyboard.press("Enter"), "#status", f"^{called.capitalize()} 1 of black")
        see(lambda: page.keyboard.press("b"), "#status", f"^Drag a box around the {called},")
        see(lambda: page.click("#camera"), "#camera-status", f"^Looking for an? {called}\\.")
        page.close()
    said = "\n".join(texts).lower()
    assert called in said
    assert other not in said.replace("face the camera", "")
    assert ("facial" in said) == (called == "face")


def test_a_turned_photograph_is_upright(open_site, tmp_path):
    with Image.open(PHOTO) as photo:
        exif = photo.getexif()
        exif[274] = 6
        photo.rotate(90, expand=True).save(tmp_path / "turned.jpg", quality=95, exif=exif)
    page = open_site()
    show(page, tmp_path / "turned.jpg", seconds=SECONDS)
    (found,) = faces_of(save(page, "json", tmp_path))
    (expected,) = Predictor.load().predict(PHOTO)
    assert np.abs(np.array(found["points"]) - expected.points).mean() < 0.02 * expected.box[2]


def test_files_that_are_no_photographs_are_named(open_site, tmp_path):
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "empty.jpg").touch()
    page = open_site()
    for name, reason in (("text", "it is not an image that this browser can open"), ("empty", "the file is empty")):
        page.set_input_files("#files", str(tmp_path / f"{name}.jpg"))
        wait_for_status(page, f"^{name}.jpg cannot be opened.$")
        assert page.text_content("#error") == f"cannot read {name}.jpg: {reason}"


def test_the_site_works_without_a_network_after_the_first_visit(open_site):
    page = open_site()
    page.evaluate("navigator.serviceWorker.ready.then(({ active }) => active.state)")
    page.context.set_offline(True)
    page.reload()
    page.wait_for_selector("#network option", state="attached", timeout=60_000)
    show(page, PHOTO, seconds=SECONDS)
    assert page.locator(".dot").count() == 68


COUNT_FRAMES = """() => {
  Object.assign(globalThis, { requested: 0, ahead: [] });
  const { requestVideoFrameCallback: request } = HTMLVideoElement.prototype;
  const { putImageData: draw } = CanvasRenderingContext2D.prototype;
  HTMLVideoElement.prototype.requestVideoFrameCallback = function count(done) {
    requested += 1;
    return request.call(this, done);
  };
  CanvasRenderingContext2D.prototype.putImageData = function count(...values) {
    ahead.push(requested - ahead.length);
    draw.apply(this, values);
  };
}"""


def test_the_camera(live_site, asked):
    from playwright.sync_api import expect

    live_site.evaluate(COUNT_FRAMES)
    live_site.click("#camera")
    expect(live_site.locator("#camera-status")).to_have_text("1 face", timeout=60_000)
    details = re.compile("^confidence .* frames a second$")
    expect(live_site.locator("#camera-rate")).to_have_text(details, timeout=30_000)
    assert live_site.locator("aside").is_hidden()
    assert set(live_site.evaluate("ahead")) == {2}, "the next frame is asked for before this one is predicted"
    assert ARCHIVES or set(asked.sides) == {min(SIDES)}, "large squares would halt the picture"
    for width in (1280, 400):
        live_site.set_viewport_size({"width": width, "height": 800})
        assert live_site.locator("#live").bounding_box()["height"] > 400
    live_site.click("#camera-shot")
    wait_for_status(live_site, "^1 face in camera-", SECONDS)
    assert live_site.locator("#camera-view").is_hidden()
    assert live_site.locator(".dot").count() == 68


REFUSED = "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'ERROR'))"
FORGET = "navigator.serviceWorker.getRegistrations().then((all) => Promise.all(all.map((one) => one.unregister())))"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (REFUSED.replace("ERROR", "NotAllowedError"), "the browser has not been given permission"),
        (REFUSED.replace("ERROR", "NotFoundError"), "no camera was found"),
        ("Object.defineProperty(navigator, 'mediaDevices', { value: undefined })",
         "a browser gives a page the camera only over https or on localhost"),
    ],
)  # fmt: skip
def test_a_camera_that_cannot_be_used_is_one_message(open_site, script, reason):
    page = open_site()
    page.evaluate(f"() => {{ {script} }}")
    page.click("#camera")
    page.wait_for_selector("#error:not([hidden])")
    assert page.text_content("#error") == f"The camera cannot be used: {reason}."
    assert page.locator("#camera-view").is_hidden()


@pytest.mark.parametrize("script", ["delete globalThis.DecompressionStream", "delete Map.groupBy"])
def test_a_browser_that_is_too_old_is_told(open_site, script):
    page = open_site(script=script)
    text = page.text_content("#unsupported:not([hidden])")
    assert text.startswith("This browser is too old for this page: it has no ")


def test_a_file_of_the_site_that_is_missing_is_named(open_site, site_address, errors):
    page = open_site()
    page.route("**/model.tflite", lambda route: route.abort())
    page.evaluate(FORGET)
    page.reload()
    page.wait_for_selector("#error:not([hidden])")
    assert page.text_content("#error") == "model.tflite cannot be loaded. Check the connection, and reload the page."
    assert all("net::ERR_FAILED" in error for error in errors)
    errors.clear()


def test_a_narrow_screen(open_site):
    page = open_site(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    show(page, PHOTO, seconds=SECONDS)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.locator(".dot").count() == 68
    page.locator("[data-save=json]").scroll_into_view_if_needed()
    assert page.locator("[data-save=json]").is_visible()
