"""The page of a project in a real browser: Debian's Chromium, driven by Playwright."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
from helpers import RECIPE, running, serving_project, write_xml
from page_steps import CHROMIUM, PHOTO, drag, fake_training, on_screen, wait
from PIL import Image

from kp_tf import Predictor
from kp_tf.apps.demo.project import Project, opened
from kp_tf.apps.demo.proposals import Key, Loaded, Proposals
from kp_tf.apps.demo.scheme_files import read_own_scheme
from kp_tf.apps.demo.server import project_server
from kp_tf.apps.demo.trainings import Trainings
from kp_tf.artifacts.info import ModelInfo
from kp_tf.core.keypoints import IBUG68, Scheme
from kp_tf.data.dlib_xml import read_dlib_xml

ROOT = Path(__file__).parents[2]
NAMES = ("left ear", "right ear", "tail")
ANIMAL = Scheme("animal", NAMES, ())
FIRST = np.array([[60, 50], [120, 50], [90, 110]])
PARTS = "".join(f"<part name='{name}' x='{x}' y='{y}'/>" for name, (x, y) in zip(NAMES, FIRST, strict=True))
MARKED = f"<box left='50' top='40' width='80' height='80'>{PARTS}</box>"

pytestmark = [pytest.mark.long, pytest.mark.skipif(not CHROMIUM, reason="needs Chromium: apt-get install chromium")]


@pytest.fixture
def named(folder):
    """A project with points to mark."""
    scheme = {"name": "animal", "names": NAMES, "mirror": [NAMES[:2]], "eyes": NAMES[:2]}
    (folder / "scheme.json").write_text(json.dumps(scheme))
    return folder


@pytest.fixture
def window(browser):
    """Opens windows; at the end none may have caused an error, or asked anything from elsewhere."""
    errors, opened, requested = [], [], []

    def window(address, width=1280):
        page = browser.new_page(viewport={"width": width, "height": 800})
        opened.append(page)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: requested.append(request.url))
        page.on("dialog", lambda dialog: dialog.accept())
        page.goto(address)
        return page

    yield window
    for page in opened:
        page.close()
    assert errors == []
    assert [url for url in requested if not url.startswith(("http://127.0.0.1:", "blob:"))] == []


def click(page, position):
    page.mouse.click(*on_screen(page, position))


def mark(page, positions):
    for position in positions:
        before = page.text_content("#ask")
        click(page, position)
        page.wait_for_function("before => document.getElementById('ask').textContent !== before", arg=before)
    wait(page, "#saved", "^All marks are saved$")


def read(folder):
    return read_dlib_xml(folder / "points.xml", ANIMAL, partial=True)


def test_points_are_clicked_named_and_proposed_on_the_next_photograph(window, folder):
    with serving_project(folder) as address:
        page = window(address)
        wait(page, "#status", r"^0\.png$")
        page.click("#click-points")
        assert page.is_visible("#click-hint")
        for position in FIRST:
            click(page, position)
        page.locator("[aria-label='Name of point 1']").select_text()
        for name in NAMES:
            page.keyboard.type(name)
            page.keyboard.press("Enter")  # to the next name; after the last, to a new point
        page.click("[aria-label='Remove point 4']")
        page.fill("[aria-label='Group of point 1']", "ears")
        page.fill("[aria-label='Group of point 2']", "ears")
        page.fill("#colour-list input", "#aa3300")
        page.click("#pair-names")
        page.select_option("#size-from", label=NAMES[0])
        page.select_option("#size-to", label=NAMES[1])
        page.click("#save-points")
        wait(page, "#ask", "^All points are marked$")
        wait(page, "#saved", "^All marks are saved$")
        np.testing.assert_array_equal(read(folder).points, [FIRST])
        assert json.loads((folder / "scheme.json").read_text()) == {
            "name": "own",
            "names": [*NAMES],
            "groups": {"ears": [*NAMES[:2]]},
            "mirror": [[*NAMES[:2]]],
            "eyes": [*NAMES[:2]],
        }
        assert json.loads((folder / "colours.json").read_text()) == {"ears": "#aa3300"}

        page.keyboard.press("Enter")
        wait(page, "#position", "^2 of 4, 1 finished$")
        wait(page, "#ask", "^Click: left ear$")
        page.wait_for_selector("#example:not([hidden])")
        assert page.locator(".ghost").count() == 0, "the mean shape fits once a point is marked"
        moved = FIRST * 0.5 + [20, 30]
        mark(page, moved[:2])
        assert page.locator(".ghost").count() > 0
        page.keyboard.press("Enter")  # the tail is where the similarity has it
        wait(page, "#ask", "^All points are marked$")
        wait(page, "#saved", "^All marks are saved$")
    samples = read(folder)
    assert samples.files == ("0.png", "1.png")
    np.testing.assert_allclose(samples.points[1], moved, atol=1)
    np.testing.assert_allclose(samples.boxes[1], [47, 52, 36, 36], atol=2)


def test_the_photograph_is_seen_under_the_prompt_and_the_prompt_avoids_its_point(window, named):
    from playwright.sync_api import expect

    with serving_project(named) as address:
        page = window(address)
        wait(page, "#ask", "^Click: left ear$")
        prompt = page.locator("#prompt")
        place = prompt.bounding_box()
        for distance, opacity in ((5, "0.2"), (-3, "1")):
            page.mouse.move(place["x"] + place["width"] / 2, place["y"] + distance)
            expect(prompt).to_have_css("opacity", opacity)
        corner = ["Shift+ArrowLeft"] * 9 + ["Shift+ArrowUp"] * 7  # by ten pixels, from the middle of the photograph
        for keys, kind in ((corner, "below"), (["Shift+ArrowDown"] * 7, "")):
            for key in keys:
                page.keyboard.press(key)
            expect(prompt).to_have_class(kind)


def test_marks_are_there_when_the_project_is_opened_again(window, named):
    with serving_project(named) as address:
        page = window(address)
        wait(page, "#ask", "^Click: left ear$")
        mark(page, FIRST[:2])
        page.reload()
        wait(page, "#ask", "^Click: tail$")
        assert page.locator(".dot").count() == 2
        assert page.text_content("#photo-list option") == "◐ 0.png"
        mark(page, FIRST[2:])
    with serving_project(named) as address:
        page = window(address)
        wait(page, "#position", "^2 of 4, 1 finished$")  # the first with points to mark
        page.click("#previous")
        wait(page, "#ask", "^All points are marked$")
        drag(page, FIRST[2], FIRST[2] + [12, 7])
        wait(page, "#saved", "^All marks are saved$")
    np.testing.assert_allclose(read(named).points[0, 2], FIRST[2] + [12, 7], atol=1)
    np.testing.assert_allclose(read(named).boxes[0], [53, 43, 75, 81], atol=3)  # it follows the points


def test_the_keyboard_alone_marks_skips_hides_and_goes_back(window, named):
    with serving_project(named) as address:
        page = window(address)
        wait(page, "#ask", "^Click: left ear$")
        press = page.keyboard.press
        for key in ("ArrowLeft", "Shift+ArrowUp", " "):  # from the middle of the photograph
            press(key)
        wait(page, "#ask", "^Click: right ear$")
        press("s")
        wait(page, "#ask", "^Click: tail$")
        press("x")
        wait(page, "#ask", "^Click: right ear$")
        press("Backspace")
        wait(page, "#ask", "^Click: tail$")
        press("x")
        press("ArrowRight")
        press(" ")
        wait(page, "#ask", "^All points are marked$")
        wait(page, "#saved", "^All marks are saved$")
        press("Enter")
        wait(page, "#position", "^2 of 4")
        press("e")
        wait(page, "#ask", "^Nothing to mark here$")
        press("Enter")
        wait(page, "#position", "^3 of 4, 2 finished$")
    (points,) = read(named).points
    np.testing.assert_allclose(points[0], [98.5, 69.5], atol=1)
    assert np.isfinite(points[1]).all()
    assert np.isnan(points[2]).all()
    assert Project(named).labels.state("1.png") == "none"


def test_several_objects_and_a_box_that_is_drawn(window, named):
    with serving_project(named) as address:
        page = window(address)
        wait(page, "#ask", "^Click: left ear$")
        mark(page, FIRST)
        page.keyboard.press("n")
        wait(page, "#ask", "^Click: left ear$")
        page.keyboard.press("b")
        drag(page, (9.5, 19.5), (59.5, 59.5))
        mark(page, [[20, 30], [40, 30], [30, 50]])
        assert page.locator("#face-list button").count() == 2
    samples = read(named)
    np.testing.assert_array_equal(samples.boxes[1], [10, 20, 50, 40])
    np.testing.assert_array_equal(samples.points[1], [[20, 30], [40, 30], [30, 50]])


def test_a_second_window_is_told_and_the_first_one_when_it_is_taken_over(window, named):
    with serving_project(named) as address:
        first = window(address)
        wait(first, "#ask", "^Click: left ear$")
        mark(first, FIRST[:1])
        second = window(address)
        wait(second, "#blocked-text", "^This project is open in another window.$")
        second.click("#take")
        wait(second, "#ask", "^Click: right ear$")
        mark(second, FIRST[1:2])
        click(first, FIRST[2])
        wait(first, "#blocked-text", "open in another window|opened in another window")
        assert first.locator("#blocked").is_visible()
        assert [*Project(named).labels.faces("0.png")[0]["points"]] == [*NAMES[:2]]
        first.click("#take")
        wait(first, "#saved", "^All marks are saved$")
        wait(second, "#blocked-text", "another window")


def test_a_full_disk_is_said_and_what_was_marked_meanwhile_is_saved_later(window, named, monkeypatch):
    with serving_project(named) as address:
        page = window(address)
        wait(page, "#ask", "^Click: left ear$")
        mark(page, FIRST[:1])
        before = (named / "points.xml").read_text()

        def full(descriptor):
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            click(page, FIRST[1])
            wait(page, "#saved", "^Not saved$")
            wait(page, "#error", "cannot write .*points.xml: No space left on device")
            click(page, FIRST[2])
            assert (named / "points.xml").read_text() == before
        wait(page, "#saved", "^All marks are saved$")
        assert page.locator("#error").is_hidden()
    np.testing.assert_array_equal(read(named).points, [FIRST])


def test_a_training_on_a_full_disk_does_not_begin_and_says_so(window, named, monkeypatch):
    write_xml(named / "points.xml", [f"<image file='{number}.png'>{MARKED}</image>" for number in range(2)])

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with serving_project(named) as address, monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        patch.setattr(os, "replace", full)
        page = window(address)
        page.click("[data-view=train]")
        page.click("#train-start")
        wait(
            page,
            "#error",
            r"^The training did not begin\. cannot write .*training\.(xml|json): No space left on device$",
        )
        page.click("[data-view=mark]")
        wait(page, "#ask", "^Click: left ear$")
        click(page, FIRST[0])
        wait(page, "#saved", "^Not saved$")
        page.click("[data-view=train]")
        page.click("#train-start")
        refused = (
            r"^The training did not begin\. The last marks are not saved: cannot write .*: No space left on device$"
        )
        wait(page, "#error", refused)
        patch.undo()
        wait(page, "#saved", "^All marks are saved$")
        assert page.locator("#error").is_hidden()


def test_what_a_training_does_before_its_first_epoch_is_done_is_said(window, named):
    run = named / "runs/001"
    run.mkdir(parents=True)
    this = {"process": os.getpid(), "started": psutil.Process().create_time()}
    (named / "runs/training.json").write_text(json.dumps({"run": "001", "epochs": 2, **this}))
    with serving_project(named) as address:
        page = window(address)
        page.click("[data-view=train]")
        wait(page, "#train-state", "^Loading TensorFlow and the photographs")
        (run / "config.json").touch()
        wait(page, "#train-state", "^The first epoch is running")


def test_a_server_that_is_killed_and_started_again_gets_what_it_lacks(window, named):
    page, port = None, 0
    for run, position in enumerate(FIRST):
        command = [sys.executable, "-m", "kp_tf", "demo", str(named), "--port", str(port), "--no-browser"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        try:
            address = server.stdout.readline().split()[4]
            port = int(address.rpartition(":")[2])
            page = page or window(address)
            wait(page, "#ask", f"^Click: {NAMES[run]}$")
            if run:
                wait(page, "#saved", "^All marks are saved$")
                assert len(Project(named).labels.faces("0.png")) == 1
            mark(page, [position]) if run < 2 else click(page, position)
            wait(page, "#saved", "^All marks are saved$")
        finally:
            server.kill()
            server.wait()
            server.stdout.close()
    np.testing.assert_array_equal(read(named).points, [FIRST])


def test_faces_with_68_points_are_proposed_by_the_network(window, tmp_path):
    shutil.copy(PHOTO, tmp_path)
    with serving_project(tmp_path) as address:
        page = window(address)
        wait(page, "#status", f"^{PHOTO.name}$")
        page.select_option("#known", "68 points of a face")
        page.click("#save-points")
        wait(page, "#ask-more", "proposed")
        page.keyboard.press("Enter")
        wait(page, "#ask", "^All points are marked$")
        wait(page, "#saved", "^All marks are saved$")
    (expected,) = Predictor.load().predict(PHOTO)
    np.testing.assert_allclose(read_dlib_xml(tmp_path / "points.xml", IBUG68).points[0], expected.points, atol=0.51)


def test_renaming_points_keeps_the_marks(window, named):
    with serving_project(named) as address:
        page = window(address)
        wait(page, "#ask", "^Click: left ear$")
        mark(page, FIRST)
        page.click("[data-view=points]")
        page.fill("[aria-label='Name of point 3']", "nose")
        page.click("#add-point")
        page.fill("[aria-label='Name of point 4']", "left ear")
        wait(page, "#draft-problem", "^Two points are called left ear. Give each a name of its own.$")
        page.fill("[aria-label='Name of point 4']", "chin")
        assert page.locator("text.number").all_text_contents() == ["left ear", "right ear", "nose"], (
            "as they are called now"
        )
        page.click("#save-points")
        wait(page, "#ask", "^Click: chin$")
        assert page.locator(".dot").count() == 3
    points = Project(named).labels.faces("0.png")[0]["points"]
    assert points == {"left ear": [60, 50], "right ear": [120, 50], "nose": [90, 110]}


@pytest.mark.parametrize("view", ["points", "mark", "train", "try"])
def test_the_page_fits_a_phone(window, named, view):
    with serving_project(named) as address:
        page = window(address, width=400)
        wait(page, "#ask", "^Click: left ear$")
        page.click(f"[data-view={view}]")
        assert page.evaluate("document.documentElement.scrollWidth") <= 400


def test_an_empty_folder_says_what_to_do(window, tmp_path):
    with serving_project(tmp_path) as address:
        page = window(address)
        wait(page, "#drop-hint", "^There are no photographs in “.*”. Copy some into the folder and reload this page.$")


def test_a_training_is_started_watched_stopped_and_continued_and_goes_on_without_the_page(window, named, tmp_path):
    write_xml(named / "points.xml", [f"<image file='{number}.png'>{MARKED}</image>" for number in range(2)])
    with (
        opened(named) as project,
        running(project_server(project, trainings=Trainings(project, fake_training(tmp_path, "2")))) as address,
    ):
        page = window(address)
        page.click("[data-view=train]")
        wait(
            page,
            "#train-hint",
            "^2 photographs are marked. The network learns from 1; 1 is kept .* 20 or more give a useful",
        )
        page.fill("#train-epochs", "4")
        page.click("#train-start")
        wait(page, "#train-state", "^Epoch 2 of 4 is done. About 4 minutes left.$")
        wait(page, "#gallery figcaption", "^1.png$")
        wait(page, "#plot-text", "^Error in % of the size after epoch 2: 200 on validation")
        page.close()
        page = window(address)  # closing the page does not stop it
        page.click("[data-view=train]")
        wait(page, "#train-state", "^Epoch 2 of 4 is done.")
        page.click("#train-stop")
        wait(page, "#train-state", "^The training was stopped. 2 epochs are done.$")
        page.fill("#train-epochs", "2")
        page.click("#train-on")
        wait(page, "#train-state", "^The training is finished. 2 epochs are done.$")
        assert page.is_disabled("#train-on"), "nothing is left"
        page.fill("#train-epochs", "3")
        assert page.is_enabled("#train-on")


def test_a_network_that_is_hardly_better_than_the_mean_shape_is_said_so(window, named):
    run = named / "runs/001"
    run.mkdir(parents=True)
    (run / "model.keras").touch()
    (run / "history.csv").write_text("epoch,loss,val_loss,seconds\n0,1,1,1\n")
    (named / "runs/training.json").write_text('{"run": "001", "epochs": 1, "process": 1, "started": null}')
    scores = {"val_mean_error_px": 9, "mean_shape_error_px": 9.5, "val_nme": 0.16, "mean_shape_nme": 0.171}
    (run / "metrics.json").write_text(json.dumps(scores))
    warning = (
        "^Network 001 is hardly better than the average shape .* is 16 % of the size, that of the average shape 17.1"
    )
    with serving_project(named) as address:
        page = window(address)
        page.click("[data-view=train]")
        wait(page, "#train-warning", warning)
        assert page.input_value("#train-init") == "001", "the network that the project has"
        page.click("[data-view=try]")
        wait(page, "#export-warning", warning)
        assert page.is_enabled("#export")
        (run / "metrics.json").write_text(json.dumps(scores | {"val_mean_error_px": 4}))
        page.reload()
        page.click("[data-view=try]")
        wait(page, "#export-warning", "^$")


def use_network(monkeypatch, folder, network):
    """Let a project have a network, which is called 001."""
    info = ModelInfo(Path("own"), RECIPE, read_own_scheme(folder / "scheme.json"))
    monkeypatch.setattr(Proposals, "runs", lambda *_: ["001"])
    monkeypatch.setattr(Proposals, "networks", lambda *_: {"runs": ["001"], "hardly_better": None})
    monkeypatch.setattr(Proposals, "own", lambda *_: ("001", Key("001")))
    monkeypatch.setattr(Proposals, "load", lambda *_: Loaded(info, network, Predictor(info, network)))


PROPOSALS = "() => import('./project/proposals.js').then(({ proposals }) => proposals())"


def test_marks_take_the_mean_shape_along_where_the_network_is_wrong(window, named, monkeypatch):
    write_xml(named / "points.xml", [f"<image file='0.png'>{MARKED}</image>"])

    def network(crops):
        return np.tile([[0.3, 0.3, 0.001], [0.7, 0.3, 0.001], [0.5, 0.7, 0.001]], (len(crops), 1, 1))

    use_network(monkeypatch, named, network)
    with serving_project(named) as address:
        page = window(address)
        wait(page, "#status", r"^1\.png$")
        wait(page, "#ask-more", "proposed")
        predicted = np.array(page.evaluate(PROPOSALS))
        click(page, predicted[0] + 1)
        wait(page, "#ask", "^Click: right ear$")
        np.testing.assert_array_equal(page.evaluate(PROPOSALS), predicted, "the network is about right")
        page.keyboard.press("Backspace")
        wait(page, "#ask", "^Click: left ear$")
        click(page, predicted[0] - 30)
        wait(page, "#ask", "^Click: right ear$")
        moved = np.array(page.evaluate(PROPOSALS))
        np.testing.assert_allclose(moved - moved[0], FIRST - FIRST[0], atol=1)
        np.testing.assert_allclose(moved[0], predicted[0] - 30, atol=1)


def test_photographs_that_are_damaged_are_passed_over(window, named):
    (named / "0.png").write_bytes((named / "0.png").read_bytes()[:-200])
    with serving_project(named) as address:
        page = window(address)
        wait(page, "#status", r"^1\.png$")
        wait(page, "#photo-list", r"! 0\.png○ 1\.png")
        page.click("#previous")
        wait(page, "#error", "the image is damaged")
        assert page.is_hidden("#prompt")
        assert page.get_attribute("#picture image", "href") is None, "no photograph is taken for it"


def test_photographs_come_in_a_random_order_or_as_the_network_is_least_sure_of_them(window, named, monkeypatch):
    write_xml(named / "points.xml", [f"<image file='0.png'>{MARKED}</image>"])
    for number, brightness in ((1, 0.6), (2, 0.3), (3, 0.9)):
        with Image.open(named / f"{number}.png") as photo:
            photo.point(lambda value, by=brightness: int(value * by)).save(named / f"{number}.png")

    def network(crops):  # the darker, the less sure
        points = np.tile([[0.3, 0.3, 0], [0.7, 0.3, 0], [0.5, 0.7, 0]], (len(crops), 1, 1))
        points[..., 2] = (0.5 - crops.mean(axis=(1, 2, 3)))[:, None] ** 2
        return points

    use_network(monkeypatch, named, network)
    keys = {f"{number}.png": bytes([place]) for place, number in enumerate((3, 1, 2, 0))}
    monkeypatch.setattr("kp_tf.apps.demo.next_to_mark._random", keys.__getitem__)
    with serving_project(named) as address:
        page = window(address)
        wait(page, "#order-hint", "^A random order, with photographs that look alike apart.*first”.$")
        wait(page, "#photo-list", "3.png.*1.png.*2.png.*0.png")
        wait(page, "#status", "^1.png$")  # which was the first to mark before
        page.click("#next-open")
        wait(page, "#status", "^3.png$")
        page.select_option("#order-kind", label="least sure first")
        wait(page, "#photo-list", "2.png.*1.png.*3.png.*0.png")
        page.click("#next-open")
        wait(page, "#status", "^2.png$")
        page.click("#next-open")
        wait(page, "#status", "^1.png$")
        page.locator("#photo-list").select_option("0")
        page.press("#photo-list", "Enter")  # nothing to take there
        wait(page, "#status", "^2.png$")
        page.click("#previous")
        page.click("#previous")
        page.click("#next-open")
        wait(page, "#status", "^2.png$")
        wait(page, "#ask-more", "proposed")
        page.keyboard.press("Enter")
        wait(page, "#saved", "^All marks are saved$")
        page.keyboard.press("Enter")
        wait(page, "#status", "^1.png$")
        wait(page, "#photo-list", "1.png.*3.png.*0.png.*2.png")
        assert page.locator("optgroup").first.get_attribute("label") == "To mark, the least sure first"
        page.select_option("#order-kind", label="by name")
        wait(page, "#photo-list", "0.png.*1.png.*2.png.*3.png")
        assert not page.locator("optgroup").count()
