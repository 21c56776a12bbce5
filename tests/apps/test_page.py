"""The page in a real browser: Debian's Chromium, driven by Playwright."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from urllib.request import Request, urlopen

import numpy as np
import pytest
from page_steps import CHROMIUM, PHOTO, drag, faces_of, save, show, wait_for_status
from PIL import Image

from kp_tf import Predictor
from kp_tf.core.images import open_photograph
from kp_tf.core.keypoints import IBUG68
from kp_tf.data.dlib_xml import read_dlib_xml

pytestmark = [pytest.mark.long, pytest.mark.skipif(not CHROMIUM, reason="needs Chromium: apt-get install chromium")]


def empty_photograph(folder, size=(640, 480)):
    path = folder / "empty.jpg"
    Image.new("RGB", size, "grey").save(path)
    return path


def test_upload_shows_the_prediction(page, tmp_path):
    show(page, PHOTO)
    expected = Predictor.load().predict(PHOTO)
    faces = faces_of(save(page, "json", tmp_path))
    assert len(faces) == len(expected) == 1
    np.testing.assert_allclose(faces[0]["points"], expected[0].points, atol=0.011)
    assert page.locator(".dot").count() == 68
    with Image.open(save(page, "picture", tmp_path)) as drawn, Image.open(PHOTO) as photo:
        assert drawn.size == photo.size
    assert save(page, "pts", tmp_path).read_text().startswith("version: 1\nn_points: 68\n")


def test_a_point_is_moved_saved_and_read_back(page, tmp_path):
    shutil.copy(PHOTO, tmp_path)
    show(page, PHOTO)
    before = faces_of(save(page, "json", tmp_path))[0]["points"]
    target = np.round(before[30]) + [9, -6]
    drag(page, before[30], target)
    samples = read_dlib_xml(save(page, "xml", tmp_path), IBUG68)
    assert samples.files == (PHOTO.name,)
    np.testing.assert_allclose(samples.points[0, 30], target, atol=0.8)
    others = np.arange(68) != 30
    np.testing.assert_allclose(samples.points[0][others], np.array(before)[others], atol=0.5)
    assert "train.py --labels" in page.text_content("#save-hint")
    page.click("#undo")
    assert faces_of(save(page, "json", tmp_path))[0]["points"] == before


def test_a_box_is_drawn_where_no_face_was_detected(page, tmp_path):
    show(page, empty_photograph(tmp_path))
    assert page.text_content("#status").startswith("No face detected")
    drag(page, (99.5, 79.5), (299.5, 279.5))
    page.wait_for_selector(".dot")
    (face,) = faces_of(save(page, "json", tmp_path))
    np.testing.assert_allclose(face["box"], [100, 80, 200, 200], atol=1.5)
    (expected,) = Predictor.load().predict(open_photograph(tmp_path / "empty.jpg"), [face["box"]])
    np.testing.assert_allclose(face["points"], expected.points, atol=0.011)


def test_a_box_is_corrected_by_its_corner(page, tmp_path):
    show(page, PHOTO)
    left, top, width, height = faces_of(save(page, "json", tmp_path))[0]["box"]
    page.click("#zoom-face")
    drag(page, (left + width - 0.5, top + height - 0.5), (left + width * 1.1, top + height * 1.1))
    wait_for_status(page, "^Face 1")
    (face,) = faces_of(save(page, "json", tmp_path))
    np.testing.assert_allclose(face["box"], [left, top, 1.1 * width, 1.1 * height], atol=1.5)
    (expected,) = Predictor.load().predict(open_photograph(PHOTO), [face["box"]])
    np.testing.assert_allclose(face["points"], expected.points, atol=0.011)


def test_a_file_that_is_not_a_photograph_is_reported_and_the_next_one_works(page, tmp_path):
    text = tmp_path / "a text.jpg"
    text.write_text("not a picture")
    show(page, text)
    assert page.text_content("#error") == "cannot read a text.jpg: not an image file"
    show(page, PHOTO)
    assert page.is_hidden("#error")
    assert page.locator(".dot").count() == 68


def test_sixty_megapixels(page, tmp_path):
    large = Image.new("RGB", (9000, 6700), "grey")
    with Image.open(PHOTO) as photo:
        large.paste(photo.resize((3000, 3000)), (4000, 2000))
    large.save(tmp_path / "large.jpg", quality=90)
    show(page, tmp_path / "large.jpg")
    (face,) = faces_of(save(page, "json", tmp_path))
    assert np.mean(face["points"], axis=0) == pytest.approx([5500, 3500], abs=800)


def test_ten_uploads_at_once(page_address):
    content = PHOTO.read_bytes()

    def upload(_):
        with urlopen(Request(f"{page_address}/predict?name=a.jpg", content), timeout=60) as answer:
            return answer.read()

    with ThreadPoolExecutor(10) as pool:
        answers = set(pool.map(upload, range(10)))
    assert len(answers) == 1
    assert len(json.loads(answers.pop())["faces"]) == 1


def test_labelling_a_folder_is_continued_from_its_xml(page, tmp_path):
    folder = tmp_path / "mine"
    (folder / "more").mkdir(parents=True)
    for name in ("a.jpg", "b.jpg", "more/c.jpg"):
        shutil.copy(PHOTO, folder / name)
    (folder / "notes.txt").write_text("to do")
    page.set_input_files("#folder", str(folder))
    wait_for_status(page, " in a.jpg")
    page.click("#next")
    wait_for_status(page, " in b.jpg")
    page.focus("#picture")
    page.keyboard.press(".")
    page.keyboard.press("Delete")
    xml = save(page, "xml", folder)
    samples = read_dlib_xml(xml, IBUG68, partial=True)
    assert samples.files == ("a.jpg", "b.jpg")
    assert np.isnan(samples.points[:, 0]).all(axis=1).tolist() == [False, True]
    page.set_input_files("#folder", str(folder))  # as on another day
    wait_for_status(page, " in more/c.jpg")
    again = read_dlib_xml(save(page, "xml", tmp_path), IBUG68, partial=True)
    assert again.files == ("a.jpg", "b.jpg", "more/c.jpg")
    np.testing.assert_array_equal(again.points[:2], samples.points)
    np.testing.assert_array_equal(again.boxes[:2], samples.boxes)


def test_keyboard_alone(page, tmp_path):
    show(page, PHOTO)
    before = faces_of(save(page, "json", tmp_path))[0]["points"]
    page.focus("#picture")
    page.keyboard.press(".")
    page.uncheck("[data-show=boxes]")  # and with a checkbox in focus
    for key in [*"." * 30, "ArrowRight", "ArrowRight", "Shift+ArrowUp"]:
        page.keyboard.press(key)
    assert page.text_content("#point-info").startswith("Point 30 (nose)")
    after = faces_of(save(page, "json", tmp_path))[0]
    np.testing.assert_allclose(after["points"][30], np.add(before[30], [2, -10]), atol=0.011)
    assert after["confidence"][30] is None
    page.keyboard.press("Control+z")
    page.check("[data-show=boxes]")
    # A new box is moved, scaled and accepted.
    page.focus("#picture")
    for key in ["b", "Shift+ArrowLeft", "+", "Enter"]:
        page.keyboard.press(key)
    page.locator(".face").nth(1).wait_for(state="attached")
    # Tab reaches every other control.
    page.focus("#picture")
    reached = set()
    name = "(({ id, dataset }) => id || dataset.save || dataset.show)(document.activeElement)"
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate(name))
    assert {"zoom-in", "draw-box", "remove-face", "undo", "numbers", "confidence", "xml", "pts"} <= reached


def test_groups_numbers_confidence_and_another_network(page):
    show(page, PHOTO)
    page.locator("#groups label", has_text="jaw").click()
    assert page.locator(".dot").count() == 68 - 17
    page.check("[data-show=numbers]")
    page.click("#zoom-face")
    assert page.locator(".number").count() == 68 - 17
    colours = "new Set([...document.querySelectorAll('.dot')].map((dot) => dot.getAttribute('fill'))).size"
    assert page.evaluate(colours) == 4
    page.check("[data-show=confidence]")
    assert page.evaluate(colours) > 10
    page.select_option("#compare", "again")
    page.wait_for_selector(".ring")
    assert page.locator(".ring").count() == 68 - 17
    # the detector has told the first prediction the angle, which the box of the second does not have
    predictor = Predictor.load()
    (first,) = predictor.predict(PHOTO)
    (second,) = predictor.predict(PHOTO, [first.box])
    expected = np.linalg.norm(first.points - second.points, axis=1).mean()
    assert f"again, mean distance {expected:.1f} px" in page.text_content("#difference")


def test_a_narrow_screen(page):
    page.set_viewport_size({"width": 360, "height": 740})
    show(page, PHOTO)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.locator(".dot").count() == 68
    page.locator("[data-save=xml]").scroll_into_view_if_needed()
    assert page.locator("[data-save=xml]").is_visible()


def test_points_and_faces_are_removed_and_restored(page, tmp_path):
    show(page, PHOTO)
    before = faces_of(save(page, "json", tmp_path))
    page.focus("#picture")
    page.keyboard.press(".")
    page.click("#toggle-point")
    assert page.text_content("#missing") == "Not visible: 00"
    assert page.locator(".dot").count() == 67
    assert faces_of(save(page, "json", tmp_path))[0]["points"][0] is None
    page.click("#toggle-point")
    assert page.is_hidden("#missing")
    assert faces_of(save(page, "json", tmp_path))[0]["points"] == before[0]["points"]
    page.click("#remove-face")
    assert page.locator(".dot").count() == 0
    assert faces_of(save(page, "json", tmp_path)) == []
    for _ in range(3):
        page.click("#undo")
    assert page.is_disabled("#undo")
    assert faces_of(save(page, "json", tmp_path)) == before


def test_another_network_discards_corrections(page, tmp_path):
    show(page, PHOTO)
    page.click("#remove-face")
    page.select_option("#network", "again")  # the page asks, and the fixture accepts
    page.wait_for_selector(".dot")
    assert page.is_disabled("#undo")
    assert json.loads(save(page, "json", tmp_path).read_text())["network"] == "again"


def test_a_damaged_xml_is_reported_and_the_photographs_are_opened(page, tmp_path):
    shutil.copy(PHOTO, tmp_path / "a.jpg")
    (tmp_path / "points.xml").write_text("<dataset><images>")
    show(page, tmp_path / "a.jpg", tmp_path / "points.xml")
    page.wait_for_selector("#error:not([hidden])")
    assert page.text_content("#error").startswith("cannot read points.xml: not valid XML: ")
    assert page.locator(".dot").count() == 68


def test_a_dropped_folder_is_opened(page, tmp_path):
    folder = tmp_path / "mine"
    (folder / "more").mkdir(parents=True)
    for name in ("more/a.jpg", "b.jpg"):
        shutil.copy(PHOTO, folder / name)
    devtools = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(folder)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        devtools.send("Input.dispatchDragEvent", {"type": kind, "x": 400, "y": 400, "data": data})
    wait_for_status(page, "^1 face in b.jpg")
    page.keyboard.press("PageDown")
    wait_for_status(page, "^1 face in more/a.jpg")
    assert page.text_content("#position") == "2 of 2, 2 reviewed"


def test_a_photograph_is_asked_for_again_when_the_server_is_back(page, errors, tmp_path):
    for name in ("a.jpg", "b.jpg"):
        shutil.copy(PHOTO, tmp_path / name)
    page.route("**/predict*b.jpg*", lambda route: route.abort())  # as if the server were away
    show(page, tmp_path / "a.jpg", tmp_path / "b.jpg")
    page.click("#next")
    wait_for_status(page, "^b.jpg cannot be opened.$")
    assert page.text_content("#error").startswith("The server does not respond.")
    page.click("#previous")
    wait_for_status(page, "^1 face in a.jpg.$")
    page.unroute("**/predict*b.jpg*")
    page.click("#next")
    wait_for_status(page, "^1 face in b.jpg.$")
    page.route("**/predict*", lambda route: route.abort())
    show(page, PHOTO)
    page.unroute("**/predict*")
    wait_for_status(page, f"^1 face in {PHOTO.name}.$")  # without a further action
    assert page.is_hidden("#error")
    assert all("net::ERR_FAILED" in error for error in errors)
    errors.clear()


def test_a_busy_server_is_asked_again(page, errors):
    requests = []

    def answer(route):
        requests.append(route.request.url)
        busy = {"status": 503, "headers": {"Retry-After": "0.5"}, "body": ""}
        route.fulfill(**busy) if len(requests) == 1 else route.continue_()

    page.route("**/predict*", answer)
    page.set_input_files("#files", str(PHOTO))
    wait_for_status(page, "^The server is busy. Trying again …$")
    wait_for_status(page, " in ")
    assert len(requests) == 2
    assert all("503" in error for error in errors)
    errors.clear()


def test_a_failed_upload_leaves_the_last_picture(page, tmp_path):
    show(page, PHOTO)
    page.focus("#picture")
    for key in [".", "ArrowRight"]:
        page.keyboard.press(key)
    text = tmp_path / "a text.jpg"
    text.write_text("not a picture")
    page.set_input_files("#files", str(text))
    wait_for_status(page, "^a text.jpg cannot be opened.$")
    assert page.text_content("#error") == "cannot read a text.jpg: not an image file"
    assert page.locator(".dot").count() == 68
    assert page.is_enabled("#undo")


def test_a_network_is_not_compared_with_itself(page):
    show(page, PHOTO)
    assert page.is_disabled("#compare option[value=compact]")
    page.select_option("#compare", "again")
    page.wait_for_selector(".ring")
    page.select_option("#network", "again")
    page.wait_for_selector(".dot")
    assert page.input_value("#compare") == ""
    assert page.is_disabled("#compare option[value=again]")
    assert page.is_enabled("#compare option[value=compact]")
    assert page.locator(".ring").count() == 0


# pairs of numbers whose digits, which are 0.73 of the text's size high, overlap by half a pixel of the photograph
OVERLAPS = """[...document.querySelectorAll('.number')].map((text) => {
    const [x, y, size] = ['x', 'y', 'font-size'].map((name) => Number(text.getAttribute(name)));
    return { left: x, right: x + text.getComputedTextLength(), top: y - 0.73 * size, bottom: y };
}).flatMap((one, k, all) => all.slice(k + 1).filter((other) => Math.min(one.right, other.right) - Math.max(one.left,
    other.left) > 0.5 && Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top) > 0.5)).length"""


def test_numbers_do_not_cover_each_other(page):
    show(page, PHOTO)
    page.check("[data-show=numbers]")
    page.click("#zoom-face")
    counts = [page.locator(".number").count()]
    for _ in range(12):
        assert page.evaluate(OVERLAPS) == 0
        page.click("#zoom-out")
        counts.append(page.locator(".number").count())
    assert counts[0] == 68
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] < 34


def test_several_faces_have_the_numbers_of_the_saved_files(page, tmp_path):
    show(page, PHOTO)
    assert page.locator(".face-number").count() == 0, "a face that is alone"
    with Image.open(PHOTO) as photo:
        two = Image.new("RGB", (2 * photo.width, photo.height))
        two.paste(photo)
        two.paste(photo, (photo.width, 0))
    two.save(tmp_path / "two.png")
    show(page, tmp_path / "two.png")
    assert page.locator(".face-number").all_text_contents() == ["1", "2"]
    (photograph,) = json.loads(save(page, "json", tmp_path).read_text())["photographs"]
    assert (photograph["width"], photograph["height"], photograph["orientation"]) == (*two.size, 1)
    assert all(set(face["pose"]) == {"yaw", "pitch", "roll"} for face in photograph["faces"])
    for number, face in zip(page.locator(".face-number").all(), photograph["faces"], strict=True):
        x, y = (float(number.get_attribute(axis)) for axis in "xy")
        assert abs(x - face["box"][0]) < 20
        assert -20 < y - face["box"][1] < 0, "above the box"
    with Image.open(save(page, "picture", tmp_path)) as drawn:
        for face in photograph["faces"]:
            left, top, *_ = (round(value) for value in face["box"])
            cut = [
                np.asarray(each.convert("L").crop((left, top - 14, left + 12, top - 3)), int) for each in (drawn, two)
            ]
            assert np.abs(cut[0] - cut[1]).max() > 60


def test_the_number_of_a_face_at_the_edge_is_written_in_the_photograph(page):
    position = "import('/geometry.js').then(({ numberPosition }) => numberPosition([[-30, -40, 90, 90]], 0, 12))"
    x, y = page.evaluate(position)
    assert x >= 0
    assert y - 0.73 * 12 >= 0, "the top of its digit"


def test_numbers_are_drawn_over_all_points_of_their_face(page):
    show(page, PHOTO)
    page.check("[data-show=numbers]")
    assert page.locator(".number").count() > 20
    assert page.locator(".number ~ .dot").count() == 0


@pytest.mark.parametrize("size", [(1280, 420), (1280, 800)])
def test_the_buttons_to_save_do_not_cover_the_points(page, size):
    page.set_viewport_size(dict(zip(("width", "height"), size, strict=True)))
    show(page, PHOTO)
    covered = """([selector]) => [...document.querySelectorAll(selector)].filter((element) => {
        element.scrollIntoView({ block: 'nearest' });
        const { x, y, width, height } = element.getBoundingClientRect();
        return !element.contains(document.elementFromPoint(x + width / 2, y + height / 2));
    }).length"""
    assert page.evaluate(covered, ["#points p:not([hidden]), #points label, #points button, #save button"]) == 0


def test_the_saved_picture_is_drawn_in_proportion_to_the_face(page, tmp_path):
    small, large = (drawn_fractions(page, tmp_path, scale) for scale in (1, 4))
    assert min(small) > 0.005
    assert large == pytest.approx(small, rel=0.5)


def drawn_fractions(page, folder, scale):
    """The fractions of the face's box that dots and numbers cover in the saved picture of an enlarged photograph."""
    photo = folder / f"{scale}.png"
    with Image.open(PHOTO) as image:
        image.resize((image.width * scale, image.height * scale)).save(photo)
    show(page, photo)
    page.uncheck("[data-show=boxes]")
    page.uncheck("[data-show=numbers]")
    (face,) = faces_of(save(page, "json", folder))
    left, top, width, height = face["box"]
    area = (left, top, left + width, top + height)
    dots = save(page, "picture", folder).rename(folder / "dots.jpg")
    page.check("[data-show=numbers]")
    pictures = []
    for path in (photo, dots, save(page, "picture", folder)):
        with Image.open(path) as picture:
            pictures.append(np.asarray(picture.convert("RGB").crop(area), np.float64))
    return [(np.abs(one - other).max(axis=2) > 60).mean() for one, other in pairwise(pictures)]
