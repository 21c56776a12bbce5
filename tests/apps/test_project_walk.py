"""From a folder of two hundred photographs to a page without a server, through the project's page alone."""

import base64
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers import serving_project
from page_steps import CHROMIUM, on_screen, wait
from web_steps import RUNTIME, answer_with

from benchmarks.web_runtimes import host
from kp_tf import Predictor
from kp_tf.apps.web.site import site_files, write_site
from kp_tf.artifacts.find import find_model
from kp_tf.backends import load_network
from kp_tf.data.imm import read_imm
from kp_tf.data.layout import FOLDERS

DATA = os.environ.get("KP_TF_DATA")
POINTS = {"left eye": 13, "right eye": 21, "nose": 52, "left mouth": 39, "right mouth": 43}  # of IMM's 58
MARKED, SHOWN = 200, 12  # photographs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="needs Chromium: apt-get install chromium"),
    pytest.mark.skipif(not DATA, reason="KP_TF_DATA names no folder of data sets"),
]


def test_two_hundred_photographs_become_a_site(browser, tmp_path):
    source = Path(DATA) / FOLDERS["imm"]
    samples = read_imm(source)
    truth = dict(zip(samples.files, samples.points[:, list(POINTS.values())], strict=True))
    names = sorted(truth)[: MARKED + SHOWN]
    folder = tmp_path / "faces"
    folder.mkdir()
    for name in names:
        shutil.copy(source / name, folder)
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.on("dialog", lambda dialog: dialog.accept())
    with serving_project(folder) as address:
        page.goto(address)
        name_points(page, truth[names[0]])
        for name in names[1:MARKED]:
            page.keyboard.press("Enter")
            wait(page, "#status", f"^{name}$")
            for number, position in enumerate(truth[name]):
                wait(page, "#ask", f"^Click: {[*POINTS][number]}$")
                page.mouse.click(*on_screen(page, position))
            wait(page, "#ask", "^All points are marked$")
        wait(page, "#saved", "^All marks are saved$", 60)
        page.click("[data-view=train]")
        wait(page, "#train-hint", f"^{MARKED} photographs are marked")
        page.fill("#train-epochs", "8")
        page.click("#train-start")
        wait(page, "#train-state", "^The training is finished. 8 epochs are done.$", 900)
        page.click("[data-view=mark]")
        page.click("#next-open")
        wait(page, "#ask-more", "proposed", 180)
    page.close()
    (run,) = (folder / "runs").glob("[0-9][0-9][0-9]")
    predictor, shown = Predictor.load(run), names[MARKED:]
    expected = [face.points for (face,) in predictor.predict_batch([folder / name for name in shown])]
    errors = np.linalg.norm(np.array(expected) - [truth[name] for name in shown], axis=-1)
    assert np.median(errors) < 5, "pixels of 640 × 480, of people that were not marked"
    check_site(
        browser, find_model(str(run)), load_network(run)[1], predictor, [folder / name for name in shown], tmp_path
    )


def name_points(page, positions):
    """Click the points of the first photograph and name them."""
    wait(page, "#status", r"\.jpg$")
    page.click("#click-points")
    for position in positions:
        page.mouse.click(*on_screen(page, position))
    for number, name in enumerate(POINTS, 1):
        page.fill(f"[aria-label='Name of point {number}']", name)
    page.click("#pair-names")
    page.select_option("#size-from", label="left eye")
    page.select_option("#size-to", label="right eye")
    page.click("#save-points")
    wait(page, "#ask", "^All points are marked$")


PREDICT = """([name, content, boxes]) => import("./api.js").then(async (api) => {
  const bytes = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
  return api.predict(new File([bytes], name), { name, boxes });
})"""


def check_site(browser, info, network, predictor, photographs, tmp_path):
    """The site of the network has the points of `Predictor`, within 0.3 pixels of the crop."""
    write_site(tmp_path / "site", site_files(info, b"", RUNTIME))
    with host(tmp_path / "site") as address:
        page = browser.new_page()
        answer_with(page, network)
        page.goto(address)
        page.wait_for_selector("#network option", state="attached", timeout=60_000)
        for path in photographs:
            content = base64.b64encode(path.read_bytes()).decode()
            (face,) = predictor.predict(path)
            (found,) = page.evaluate(PREDICT, [path.name, content, [face.box.tolist()]])["faces"]
            side = info.recipe.crop_scale * max(face.box[2:]) / info.recipe.shape[0]
            assert np.linalg.norm(np.array(found["points"]) - face.points, axis=1).max() <= 0.3 * side
        page.close()
