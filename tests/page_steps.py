"""What a person does on the demo's page in Chromium, driven by Playwright."""

import json
import re
import shutil
from pathlib import Path

import numpy as np

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PHOTO = Path(__file__).parents[1] / "docs" / "images" / "astronaut.jpg"


def show(page, *files, seconds=30):
    page.set_input_files("#files", [str(file) for file in files])
    wait_for_status(page, " in |No face|cannot", seconds)


def wait_for_status(page, pattern, seconds=30):
    from playwright.sync_api import expect

    expect(page.locator("#status")).to_have_text(re.compile(pattern), timeout=1000 * seconds)


def save(page, kind, folder):
    with page.expect_download() as download:
        page.click(f"[data-save={kind}]")
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def on_screen(page, position):
    """The position on the screen of a position in the photograph."""
    to_screen = """([x, y]) => {
        const p = new DOMPoint(x, y).matrixTransform(document.getElementById('picture').getScreenCTM());
        return [p.x, p.y];
    }"""
    return page.evaluate(to_screen, [float(value) for value in position])


def drag(page, start, end):
    page.mouse.move(*on_screen(page, start))
    page.mouse.down()
    page.mouse.move(*on_screen(page, np.add(start, end) / 2))
    page.mouse.move(*on_screen(page, end))
    page.mouse.up()


def faces_of(path):
    return json.loads(path.read_text())["photographs"][0]["faces"]
