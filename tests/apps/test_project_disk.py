"""A project on a disk that is really full: a small file system in a mount namespace of its own."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import picture, write_xml
from page_steps import CHROMIUM, on_screen, wait

from kp_tf.core.keypoints import Scheme
from kp_tf.data.dlib_xml import read_dlib_xml

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
NAMES = ("left ear", "right ear", "tail")
POINTS = np.array([[60, 50], [120, 50], [90, 110]])
PARTS = "".join(f"<part name='{name}' x='{x}' y='{y}'/>" for name, (x, y) in zip(NAMES, POINTS, strict=True))
BOX = f"<box left='50' top='40' width='80' height='80'>{PARTS}</box>"
# the other namespace needs no rights on most machines
SERVE = """
mount -t tmpfs -o size=40m none "$1" || exit 77
cp -r "$2"/. "$1" && cd / && exec "$3" -m kp_tf demo "$1" --port 0 --no-browser
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="needs Chromium: apt-get install chromium"),
    pytest.mark.skipif(not shutil.which("unshare"), reason="mounting a small disk needs unshare"),
]


class Disk:
    """The small disk with the project, as the server sees it, and the server's address."""

    def __init__(self, server, folder, address):
        self.server, self.folder = server, Path(f"/proc/{server.pid}/root{folder}")
        self.inside, self.address = folder, address

    def fill(self, left=0):
        """Leave so many bytes free."""
        self.free()
        state = os.statvfs(self.folder)
        with (self.folder / ".filler").open("wb") as filler:
            os.posix_fallocate(filler.fileno(), 0, state.f_bavail * state.f_frsize - left)

    def free(self):
        (self.folder / ".filler").unlink(missing_ok=True)

    def files(self):
        every = (path for path in self.folder.rglob("*") if path.is_file() and path.name != ".filler")
        return sorted(path.relative_to(self.folder).as_posix() for path in every)

    def marks(self):
        return read_dlib_xml(self.folder / "points.xml", Scheme("animal", NAMES, ())).points

    def run(self, *command):
        """A command with the disk in sight."""
        enter = ["nsenter", "-t", str(self.server.pid), "-U", "-m", "--preserve-credentials"]
        return subprocess.run(
            [*enter, sys.executable, "-m", "kp_tf", *command], capture_output=True, text=True, cwd="/"
        )


@pytest.fixture
def disk(tmp_path):
    source, folder = tmp_path / "source", tmp_path / "animals"
    source.mkdir()
    folder.mkdir()
    for number in range(3):
        picture(200, 160, number).save(source / f"{number}.png")
    (source / "scheme.json").write_text(json.dumps({"name": "animal", "names": NAMES, "eyes": NAMES[:2]}))
    write_xml(source / "points.xml", [f"<image file='{number}.png'>{BOX}</image>" for number in range(2)])
    command = ["unshare", "-rm", "sh", "-c", SERVE, "sh", folder, source, sys.executable]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    try:
        words = server.stdout.readline().split()
        if not words and server.wait() == 77:
            pytest.skip("mounting a small disk is not allowed here")
        yield Disk(server, folder, words[4])
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()


def click(page, position):
    page.mouse.click(*on_screen(page, position))


def test_a_disk_that_is_full_while_points_are_marked_trained_on_and_exported(browser, disk):
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(disk.address)
    wait(page, "#ask", "^Click: left ear$")
    files, before = disk.files(), (disk.folder / "points.xml").read_bytes()
    disk.fill()
    click(page, POINTS[0])
    wait(page, "#saved", "^Not saved$")
    wait(page, "#error", r"^The last marks are not saved: cannot write .*/points\.xml: No space left on device")
    click(page, POINTS[1])
    assert disk.files() == files
    assert (disk.folder / "points.xml").read_bytes() == before
    disk.free()
    wait(page, "#saved", "^All marks are saved$")
    click(page, POINTS[2])
    wait(page, "#ask", "^All points are marked$")
    wait(page, "#saved", "^All marks are saved$")
    np.testing.assert_array_equal(disk.marks(), [POINTS] * 3)

    page.click("[data-view=train]")
    page.fill("#train-epochs", "1")
    disk.fill()
    page.click("#train-start")
    wait(
        page,
        "#error",
        r"^The training did not begin\. cannot write .*/\.training\.(xml|json): No space left on device$",
    )
    assert disk.files() == files
    disk.fill(left=1_000_000)  # less than a checkpoint has
    page.click("#train-start")
    ended = r"^The training failed after 1 epoch: cannot write runs/001/checkpoint\.npz: No space left on device$"
    wait(page, "#train-state", ended, 300)
    cut = re.compile(r"checkpoint|model\.keras|metrics|/\.")
    assert not [name for name in disk.files() if cut.search(name)]
    disk.free()
    page.click("#train-start")
    wait(page, "#train-run", "^Network 002$")
    wait(page, "#train-state", "^The training is finished. 1 epoch is done.$", 300)
    np.testing.assert_array_equal(disk.marks(), [POINTS] * 3)

    files = disk.files()
    disk.fill(left=1_000_000)
    for to, name in (("litert", "new.tflite"), ("onnx", "new.onnx")):
        done = disk.run("export", "--run", f"{disk.inside}/runs/002", "--to", to, "--out", f"{disk.inside}/{name}")
        assert done.returncode == 2
        assert re.search(r"^error: cannot write [^\n]*No space left on device\n\Z", done.stderr, re.MULTILINE), done
        assert "Traceback" not in done.stderr
    assert disk.files() == files
    page.close()
