"""Small files laid out as the real data sets are."""

import threading
import time
from contextlib import contextmanager

import numpy as np
from PIL import Image


def picture(width, height, seed=0):
    """Smooth RGB noise, so that resampling it twice differs little."""
    small = np.random.default_rng(seed).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


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


@contextmanager
def serving(sources, **options):
    """The address of a demo server that runs in the background, with the arguments of `application`."""
    import uvicorn

    from kp_tf.apps.demo.server import HOST, application

    server = uvicorn.Server(uvicorn.Config(application(sources, **options), HOST, 0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://{HOST}:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
