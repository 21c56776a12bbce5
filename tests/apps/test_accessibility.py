"""The pages by axe-core, which finds what people with a screen reader, a keyboard or weak eyes stumble over."""

import json
import time

import pytest
from helpers import serving_project
from page_steps import CHROMIUM, PHOTO, fake_training, show, wait

from kp_tf.apps.demo.project import Project
from kp_tf.apps.demo.trainings import Trainings

axe = pytest.importorskip("axe_playwright_python.sync_playwright")

pytestmark = [pytest.mark.long, pytest.mark.skipif(not CHROMIUM, reason="needs Chromium: apt-get install chromium")]


def check(page):
    """There is nothing that axe-core objects to, in wide and narrow windows alike."""
    for width in (1280, 400):
        page.set_viewport_size({"width": width, "height": 800})
        found = axe.Axe().run(page)
        said = [
            f"{one['id']}: {one['help']}: {[node['html'][:200] for node in one['nodes']]}"
            for one in found.response["violations"]
        ]
        assert not said, "\n".join(said)
    page.set_viewport_size({"width": 1280, "height": 800})


def test_the_page_that_keeps_nothing(page):
    check(page)
    show(page, PHOTO)
    page.click("#keys summary")
    check(page)
    page.click("#draw-box")
    page.select_option("#compare", "again")
    check(page)


def test_the_page_of_a_new_project(browser, folder):
    with serving_project(folder) as address:
        page = browser.new_page()
        page.goto(address)
        wait(page, "#status", r"^0\.png$")
        check(page)
        page.select_option("#known", "5 points of a face")
        check(page)
        page.click("#save-points")
        wait(page, "#ask", "^Click: left eye$")
        check(page)
        other = browser.new_page()
        other.goto(address)
        wait(other, "#blocked-text", "another window")
        check(other)
        for opened in (page, other):
            opened.close()


def test_the_page_of_a_project_while_it_marks_trains_and_tries(browser, folder, tmp_path):
    names = ["left ear", "right ear"]
    (folder / "scheme.json").write_text(json.dumps({"names": names, "eyes": names, "groups": {"ears": names}}))
    part = "".join(f"<part name='{name}' x='{20 + 60 * k}' y='30'/>" for k, name in enumerate(names))
    box = f"<box left='15' top='10' width='80' height='40'>{part}</box>"
    images = "".join(f"<image file='{number}.png'>{box}</image>" for number in range(2))
    (folder / "points.xml").write_text(f"<dataset><images>{images}</images></dataset>")
    trainings = Trainings(Project(folder), fake_training(tmp_path, "2"))
    trainings.start(None, 4)
    with serving_project(folder) as address:
        page = browser.new_page()
        page.goto(address)
        wait(page, "#ask", "^Click: left ear$")
        page.click("#keys summary")
        check(page)
        page.click("#previous")
        wait(page, "#ask", "^All points are marked$")
        check(page)
        page.click("[data-view=train]")
        wait(page, "#gallery figcaption", r"^1\.png$")
        check(page)
        page.click("[data-view=try]")
        check(page)
        for player in ("camera-view", "clip-view"):
            page.evaluate("id => { document.getElementById(id).hidden = false; }", player)
            check(page)
            page.evaluate("id => { document.getElementById(id).hidden = true; }", player)
        page.click("[data-view=points]")
        check(page)
        page.close()
    trainings.stop()
    while trainings.status()["state"] == "running":  # a process that is left behind is a warning in a later test
        time.sleep(0.05)
