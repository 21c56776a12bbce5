"""What a person does on the demo's page in Chromium, driven by Playwright."""

import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PHOTO = Path(__file__).parents[1] / "docs" / "images" / "astronaut.jpg"


def show(page, *files, seconds=30):
    page.set_input_files("#files", [str(file) for file in files])
    wait_for_status(page, " in |No (face|object)|cannot", seconds)


def wait(page, selector, pattern, seconds=30):
    from playwright.sync_api import expect

    expect(page.locator(selector)).to_have_text(re.compile(pattern), timeout=1000 * seconds)


def wait_for_status(page, pattern, seconds=30):
    wait(page, "#status", pattern, seconds)


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


# writes what a training does, epoch by epoch, until it is interrupted
FAKE = """
import json, signal, sys, time
from pathlib import Path
options = sys.argv[1:]
run, epochs = Path(options[options.index("--out") + 1]), int(options[options.index("--epochs") + 1])
(run.parent / "options.json").write_text(json.dumps(options))
if "--fail" in options:
    sys.exit("error: no luck\\nmore")
if "--fail-silently" in options:
    sys.exit(1)
run.mkdir(exist_ok=True)
stopped = []
signal.signal(signal.SIGINT, lambda *_: stopped.append(1))
history = run / "history.csv"
if not history.exists():
    history.write_text("epoch,loss,val_loss,nme,val_nme,seconds\\n")
for epoch in range(len(history.read_text().splitlines()) - 1, epochs):
    with history.open("a") as file:
        file.write(f"{epoch},{1 / (epoch + 1)},{2 / (epoch + 1)},{3 / (epoch + 1)},{4 / (epoch + 1)},120\\n")
    points = [[5, 6], [9, 6]]
    faces = [{"file": "1.png", "window": [0, 0, 30, 30], "points": points, "labels": points}]
    (run / "progress.json").write_text(json.dumps({"epoch": epoch + 1, "faces": faces}))
    while epoch + 1 >= int(options[0]) and not stopped:
        time.sleep(0.01)
    if stopped:
        break
(run / "metrics.json").write_text(json.dumps({"interrupted": "epoch 1"} if stopped else {"completed": "now"}))
"""


def fake_training(tmp_path, wait_in="999", *more):
    """A training that waits in an epoch until it is stopped."""
    script = tmp_path / "fake.py"
    script.write_text(FAKE)
    return [sys.executable, str(script), wait_in, *more]
