"""Small files laid out as the real data sets are, a tiny network, and a face that is a disc."""

import json
import socket
import struct
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
from PIL import Image

from kp_tf.artifacts.info import ModelInfo
from kp_tf.core.keypoints import IBUG68
from kp_tf.core.mean_face import MeanFace
from kp_tf.recipes import COMPACT

# a network with heatmaps and two passes, small enough to build in a moment
RECIPE = replace(COMPACT, shape=(32, 32), settings={"widths": (8, 8), "depths": (1, 1)}, rotated_windows=False)
SHAPE = np.random.default_rng(0).uniform(0.1, 0.9, (68, 2))  # of its mean face, in units of the face's box
INFO = ModelInfo(Path("tiny"), RECIPE, IBUG68, mean_face=MeanFace(np.array([0.0, 0, 1, 1]), SHAPE))
CONFIG = INFO.to_json()
DISC_INFO = replace(INFO, path=Path("disc"))  # of `disc_network`
DISC_SIZE = 40  # pixels across a face


def picture(width, height, seed=0):
    """Smooth RGB noise, so that resampling it twice differs little."""
    small = np.random.default_rng(seed).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def png_that_claims(width, height):
    """The start of a PNG whose header names a size, up to where its pixels begin."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = struct.pack(">I", 13), header, struct.pack(">I", zlib.crc32(header)), struct.pack(">I", 9), b"IDAT"
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def write_asf(path, units, extra=""):
    """An .asf as IMM's, of points (58, 2) relative to the photograph."""
    rows = [f"0 \t4 \t{x:.8f} \t{y:.8f} \t{k} \t0 \t1{extra}" for k, (x, y) in enumerate(units)]
    head = ["#" * 70, "#", "# number of model points", "#", "58", "", "# model points", "#"]
    path.write_text("\n".join([*head, *rows, "", "#", "# host image", "#", path.with_suffix(".jpg").name, ""]))


def xml_image(file, boxes, parts=68):
    """One <image> with boxes (left, top, width, height); part k of box (l, t, w, h) is at (l + k, t + 2 k)."""
    faces = []
    for left, top, width, height in boxes:
        points = "".join(f"<part name='{k:02d}' x='{left + k}' y='{top + 2 * k}'/>" for k in range(parts))
        faces.append(f"<box top='{top}' left='{left}' width='{width}' height='{height}'>{points}</box>")
    return f"<image file='{file}'>{''.join(faces)}</image>"


def write_xml(path, images):
    head = "<?xml version='1.0' encoding='ISO-8859-1'?>"
    path.write_text(f"{head}<dataset><name>x</name><images>{''.join(images)}</images></dataset>")


def write_run(folder, info=INFO):
    """A completed run whose network was never trained."""
    from kp_tf.models.build import build_network

    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(info.to_json()))
    (folder / "metrics.json").write_text(json.dumps({"completed": "2026-01-01T00:00:00+00:00"}))
    build_network(info.recipe, len(info.scheme), seed=0).save(folder / "model.keras")
    return folder


def check_threads(network, images):
    """Call a network from four threads, with batches of one, two and three of the images (N, H, W, 1)."""
    batches = [images[k : k + 1 + k % 3] for k in range(len(images) - 2)]
    expected = [network(batch) for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        for k, points in enumerate(pool.map(lambda k: network(batches[k % len(batches)]), range(400))):
            np.testing.assert_allclose(points, expected[k % len(batches)], atol=1e-5)


def draw_discs(*centres):
    """White discs on black (120, 320), the later ones in front: faces for `disc_network`."""
    y, x = np.mgrid[:120, :320]
    pixels = np.zeros((120, 320), np.uint8)
    for cx, cy in centres:
        pixels[(x - cx) ** 2 + (y - cy) ** 2 < (DISC_SIZE / 2) ** 2] = 200
    return pixels


def disc_network(crops):
    """The points of the disc nearest to the middle of each crop; what is no disc gets a large variance."""
    places, outputs = (np.stack(np.meshgrid(range(32), range(32)), axis=-1) + 0.5) / 32, []
    for crop in crops[..., 0] + 0.5:
        centre = np.full(2, 0.5)
        for _ in range(10):  # drawn to what is bright nearby, as a trained network is
            weight = crop * np.exp(-((places - centre) ** 2).sum(axis=-1) / 0.1)
            centre = (weight[..., None] * places).sum(axis=(0, 1)) / max(weight.sum(), 1e-9)
        variance = 1e-4 if crop.mean() > 0.1 else 0.1
        points = centre + (SHAPE - SHAPE.mean(axis=0)) / COMPACT.crop_scale
        outputs.append(np.concatenate([points, np.full((68, 1), variance)], axis=1))
    return np.array(outputs, np.float32)


class FakeDetector:
    """A detector that is told where the discs are, and counts its calls."""

    def __init__(self, *centres):
        self.centres, self.calls = centres, 0

    def __call__(self, picture):
        self.calls += 1
        half = DISC_SIZE / 2
        return np.array([(x - half, y - half, DISC_SIZE, DISC_SIZE) for x, y in self.centres]).reshape(-1, 4)


def write_imm(root):
    """A data folder with IMM's people 31–34, two pictures of each."""
    folder = root / "imm_face_db"
    folder.mkdir(parents=True)
    for person in range(31, 35):
        for number in (1, 3):
            units = np.random.default_rng([person, number]).uniform(0.2, 0.8, (58, 2))
            write_asf(folder / f"{person}-{number}m.asf", units)
            picture(160, 120, person).save(folder / f"{person}-{number}m.jpg")
    return root


def write_ibug(root):
    """A data folder with twenty photographs in iBUG's layout, one in five a PNG, and four test photographs."""
    folder = root / "ibug_300W_large_face_landmark_dataset"
    (folder / "helen").mkdir(parents=True)
    train, test = [], []
    for number in range(24):
        file = f"helen/{number:03d}x.{'png' if number % 5 == 0 else 'jpg'}"
        picture(150, 200, number).save(folder / file)
        box = (30 + number, 20, 60, 64)
        if number < 20:
            train.append(xml_image(file, [box]))
        else:
            test.append(xml_image(file, [box], parts=0))
    write_xml(folder / "labels_ibug_300W_train.xml", train)
    write_xml(folder / "labels_ibug_300W_test_parsed.xml", test)
    return root


@contextmanager
def serving(sources, **options):
    """The address of a demo server that runs in the background, with the arguments of `http_server`."""
    from kp_tf.apps.demo.server import http_server

    with running(http_server(sources, **options)) as address:
        yield address


@contextmanager
def serving_project(folder, **options):
    """The address of a server of a project's page that runs in the background."""
    from kp_tf.apps.demo.project import opened
    from kp_tf.apps.demo.server import project_server

    with opened(folder) as project, running(project_server(project, **options)) as address:
        yield address


@contextmanager
def running(server):
    from kp_tf.apps.demo.server import HOST

    listener = socket.create_server((HOST, 0))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://{HOST}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def wait_for(condition):
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it takes too long")


class Answer:
    """A response of the server, successful or not."""

    def __init__(self, response):
        self.status, self.headers, self.content = response.status, response.headers, response.read()

    def json(self):
        return json.loads(self.content)


def fetch(address, content=None, headers=None):
    try:
        with urlopen(Request(address, content, headers or {}), timeout=60) as response:
            return Answer(response)
    except HTTPError as error:
        with error:
            return Answer(error)
