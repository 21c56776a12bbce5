"""The screenshots of the documentation, in Chromium: the page, and all steps with drawn leaves. It takes some minutes.

    python tests/screenshots.py docs/images astronaut.png

The photograph is scikit-image's (NASA, public domain).
"""

import sys
import tempfile
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
from helpers import serving, serving_project
from leaves import LEAF, NAMES, draw_leaf
from page_steps import CHROMIUM, on_screen, show, wait
from PIL import Image
from playwright.sync_api import sync_playwright
from web_steps import RUNTIME, answer_with

from benchmarks.web_runtimes import host
from kp_tf.apps.web.site import site_files, write_site
from kp_tf.artifacts.find import find_model
from kp_tf.backends import load_network
from kp_tf.core.files import write_json
from kp_tf.core.keypoints import spell_out
from kp_tf.data.dlib_xml import write_dlib_xml
from kp_tf.data.samples import Samples

SEED, SIZE, COUNT, MARKED, EPOCHS = 5, (400, 300), 60, 40, 150
WINDOW = {"width": 1200, "height": 720}


def main(out, photograph):
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        folder = Path(temporary, "leaves")
        folder.mkdir()
        samples = draw(folder)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        show_demo(browser, photograph, out / "demo.jpg")
        with project_page(browser, folder) as page:
            name_and_mark(page, samples.points, lambda step: shoot(page, out, step))
        write_json(folder / "scheme.json", spell_out(LEAF))
        write_dlib_xml(folder / "points.xml", samples.take(range(MARKED)), samples.files[:MARKED])
        with project_page(browser, folder) as page:
            train_and_try(page, folder, lambda step: shoot(page, out, step))
        show_site(browser, folder, lambda page: shoot(page, out, "export"))


def draw(folder):
    """Photographs of leaves, with their labels."""
    drawn = [draw_enlarged(number) for number in range(COUNT)]
    files = tuple(f"leaf-{number + 1:02}.jpg" for number in range(COUNT))
    for file, (picture, _, _) in zip(files, drawn, strict=True):
        picture.save(folder / file, quality=92)
    points, boxes = (np.array([leaf[k] for leaf in drawn]).round() for k in (1, 2))
    return Samples(folder, files, boxes, points, LEAF, files)


def draw_enlarged(number):
    """A leaf in twice as many pixels, which look smooth on the screen."""
    picture, points, box = draw_leaf(SEED, number, SIZE, turn=30, share=(0.5, 0.75))
    large = picture.resize((2 * SIZE[0], 2 * SIZE[1]), Image.Resampling.BICUBIC)
    return large, 2 * points + 0.5, 2 * box


@contextmanager
def project_page(browser, folder):
    with serving_project(folder) as address:
        page = browser.new_page(viewport=WINDOW)
        page.on("dialog", lambda dialog: dialog.accept())
        page.goto(address)
        wait(page, "#status", r"\.jpg$")
        yield page
        page.close()


def shoot(page, out, step):
    save(page, out / f"own_points_{step}.jpg")


def save(page, path):
    page.wait_for_timeout(500)
    page.screenshot(path=path, type="jpeg", quality=72)


def show_demo(browser, photograph, path):
    """The page that keeps nothing, with a face."""
    with serving({"compact": "compact"}) as address:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(address)
        page.wait_for_selector("#network option", state="attached")
        show(page, photograph, seconds=120)
        page.check("[data-show=numbers]")
        page.click("#zoom-face")
        nose = page.locator(".dot").nth(30).bounding_box()
        page.mouse.click(nose["x"] + nose["width"] / 2, nose["y"] + nose["height"] / 2)
        save(page, path)
        page.close()


def click(page, positions):
    for position in positions:
        page.mouse.click(*on_screen(page, position))


def name_and_mark(page, points, take):
    page.click("#click-points")
    click(page, points[0])
    for number, name in enumerate(NAMES, 1):
        page.fill(f"[aria-label='Name of point {number}']", name)
    for group, indices in LEAF.groups:
        for index in indices:
            page.fill(f"[aria-label='Group of point {index + 1}']", group)
    page.click("#pair-names")
    page.select_option("#size-from", label="base")
    page.select_option("#size-to", label="tip")
    page.locator("#begin").evaluate("element => element.scrollIntoView()")
    take("name")
    page.click("#save-points")
    wait(page, "#ask", "^All points are marked$")
    page.keyboard.press("Enter")
    wait(page, "#ask", f"^Click: {NAMES[0]}$")
    page.wait_for_selector("#example:not([hidden])")
    click(page, points[1, :1])
    wait(page, "#ask", f"^Click: {NAMES[1]}$")
    take("mark")
    click(page, points[1, 1:4])
    wait(page, "#ask", f"^Click: {NAMES[4]}$")
    take("proposals")


def train_and_try(page, folder, take):
    page.click("[data-view=train]")
    wait(page, "#train-hint", f"^{MARKED} photographs are marked")
    page.fill("#train-epochs", str(EPOCHS))
    page.click("#train-start")
    wait(page, "#train-state", f"^Epoch ({EPOCHS // 2}|{EPOCHS // 2 + 1}|{EPOCHS // 2 + 2}) of", 900)
    take("train")
    wait(page, "#train-state", "^The training is finished", 900)
    page.click("[data-view=mark]")
    page.wait_for_selector("#order:not([hidden])", timeout=120_000)
    wait(page, "#order-hint", "first”.$", 120)
    page.click("#next-open")
    wait(page, "#ask-more", "proposed", 120)
    take("next")
    page.click("[data-view=try]")
    page.set_input_files("#clip-file", write_clip(folder.parent / "walk.webm"))
    wait(page, "#clip-status", "^1 object$", 120)
    page.focus("#picture")
    for _ in range(8):
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(300)
    take("try")


def write_clip(path):
    """A clip of a camera that moves over a leaf."""
    import av

    picture, _, _ = draw_enlarged(COUNT + 10)  # which is in the frames as a whole
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 640, 480, "yuv420p", 4_000_000
        for number in range(25):
            left, top = 112 + 2 * number, 60 + number
            frame = av.VideoFrame.from_image(picture.crop((left, top, left + 640, top + 480)))
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def show_site(browser, folder, take):
    """The exported page; Python answers in place of its runtime, which need not be fetched for a picture."""
    run = str(folder / "runs/001")
    write_site(folder.parent / "site", site_files(find_model(run), b"", RUNTIME))
    with host(folder.parent / "site") as address:
        page = browser.new_page(viewport=WINDOW)
        answer_with(page, load_network(run)[1])
        page.goto(address)
        page.set_input_files("#files", [folder / f"leaf-{number}.jpg" for number in (51, 52, 53)])
        wait(page, "#status", r" in leaf-51\.jpg", 120)
        take(page)
        page.close()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
