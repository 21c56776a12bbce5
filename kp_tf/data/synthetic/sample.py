"""Drawn faces in the files of the real data sets, for machines that have none of them.

Every picture is drawn from its own stateless seed, (seed, set, picture), so that any can be redrawn alone and the
same seed gives the same bytes.
"""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter
from tqdm import tqdm

from kp_tf.core.errors import KpError
from kp_tf.core.files import write_json
from kp_tf.core.geometry import to_unit
from kp_tf.data.datasets import FOLDERS, TEST_XMLS, TRAIN_XML
from kp_tf.data.synthetic.head import Head, Pose
from kp_tf.data.synthetic.painting import Light, paint_body, paint_head
from kp_tf.data.synthetic.people import Person, background, board, draw_expression, draw_light, draw_person
from kp_tf.core.keypoints import IBUG68

VERSION = 1  # of the drawings: raise it when they change, so that an older sample is drawn anew
PEOPLE, FACES = 200, 1100
IMM, IBUG = FOLDERS["imm"], FOLDERS["ibug"]
_PATHS = ((0, 13, 4), (1, 8, 0), (2, 8, 0), (3, 5, 4), (4, 5, 4), (5, 8, 0), (6, 11, 4))  # path, points, type
ALONE = 100  # so many pictures are not worth the start of other processes
_BOX_UNITS = 271  # the side of dlib's box, in units of the head


_ASF = """{rule}
#
#    AAM Shape File  -  drawn by kp_tf
#
{rule}

#
# number of model points
#
58

#
# model points
#
# format: <path#> <type> <x rel.> <y rel.> <point#> <connects from> <connects to>
#
{rows}

#
# host image
#
{host}
"""


class _Job(NamedTuple):
    """One picture to draw: of IMM (person, condition), or face `number` of iBUG's train or test set."""

    kind: str  # imm, train or test
    number: int
    condition: int = 0


def make_sample(
    folder: Path, seed: int = 0, people: int = PEOPLE, faces: int = FACES, progress: bool = True
) -> None:
    """Draw a sample; do nothing where `folder` holds this very sample already.

    The folder appears whole or not at all; a sample of another version, seed or size is replaced.

    Args:
        folder: gets the folders of both data sets and `sample.json`.
        seed: of all drawings.
        people: of IMM, six pictures each; numbers 33 to 40 are for validation.
        faces: of iBUG's train XML; the test XML has a thirtieth as many, and at least four. 0: none of both.
        progress: show a bar on stderr.

    Raises:
        KpError: if the folder holds something else, or cannot be written.
    """
    content = {"version": VERSION, "seed": seed, "people": people, "faces": faces}
    if _content(folder) == content:
        return
    if folder.exists() and _content(folder) is None:
        raise KpError(f"{folder}: expected no folder, or a sample of drawn faces, found another folder or file")
    temporary = folder.with_name(f".{folder.name}-{os.getpid()}")
    try:
        _write(temporary, content, progress)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(temporary, folder)
    except OSError as error:
        raise KpError(f"{folder}: expected to write this folder, found: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _content(folder: Path) -> dict | None:
    """What the sample in a folder was drawn from; None: there is none."""
    try:
        return json.loads((folder / "sample.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _write(folder: Path, content: dict, progress: bool) -> None:
    """Draw all pictures and write the label files of iBUG."""
    for name in (IMM, f"{IBUG}/sample", f"{IBUG}/sample_test"):
        (folder / name).mkdir(parents=True)
    faces = content["faces"]
    jobs = [
        _Job("imm", person, condition) for person in range(1, content["people"] + 1) for condition in range(1, 7)
    ]
    jobs += [_Job("train", number) for number in range(1, faces + 1)]
    jobs += [_Job("test", number) for number in range(1, max(4, faces // 30) + 1) if faces]
    draw = partial(_draw, folder, content["seed"])
    bar = tqdm(_map(draw, jobs), total=len(jobs), desc="drawing faces", unit="picture", disable=not progress)
    entries = list(zip(jobs, bar, strict=True))
    for kind, name in (("train", TRAIN_XML), ("test", TEST_XMLS[0])):
        images = "".join(entry for job, entry in entries if job.kind == kind)
        head = "<?xml version='1.0' encoding='ISO-8859-1'?>\n<dataset>\n<name>drawn faces</name>\n<images>\n"
        (folder / IBUG / name).write_text(f"{head}{images}</images>\n</dataset>\n", encoding="ascii")
    write_json(folder / "sample.json", content)


def _map(draw: partial, jobs: list[_Job]) -> Iterator[str]:
    """Draw in as many processes as there are cores, up to four; in this one where there is little to draw."""
    cores = min(os.cpu_count() or 1, 4)
    if cores == 1 or len(jobs) < ALONE:
        yield from map(draw, jobs)
        return
    with ProcessPoolExecutor(cores, get_context("spawn"), signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
        try:
            yield from pool.map(draw, jobs, chunksize=8)
        finally:
            pool.shutdown(cancel_futures=True)


def _draw(folder: Path, seed: int, job: _Job) -> str:
    """Draw one picture and write it; returns its entry in the XML, for IMM's an empty text."""
    if job.kind == "imm":
        _draw_imm(folder / IMM, seed, job)
        return ""
    return _draw_ibug(folder / IBUG, seed, job)


def _draw_imm(folder: Path, seed: int, job: _Job) -> None:
    """Write IMM's photograph of a person in one of the six conditions, and its points.

    Place and size follow the real photographs' means (324, 279) and 76.8 pixels, with more spread.
    """
    rng = np.random.default_rng([seed, 0, job.number, job.condition])
    person = draw_person(np.random.default_rng([seed, 0, job.number]), studio=True)
    turn = {3: -1, 4: 1}.get(job.condition, 0)
    free = job.condition == 6
    yaw = turn * np.clip(rng.normal(33, 7), 15, 45) + rng.normal(0, 20 if free else 3)
    pitch, roll = rng.normal(0, 9 if free else 6), rng.normal(0, 10 if free else 5)
    scale = 0.768 * np.exp(rng.normal(0, 0.07))
    pose = Pose(yaw, pitch, roll, scale, 324 + 12 * turn + rng.normal(0, 21), 281 + rng.normal(0, 15))
    mood = {2: "happy", 6: None}.get(job.condition, "neutral")
    head = Head(draw_expression(rng, person.face, mood))
    light = draw_light(rng, spot=job.condition == 5 or (free and rng.random() < 0.5), studio=True)
    canvas = board(rng, pose, light)
    picture = _photograph(canvas, head, pose, person, light, rng)
    stem = f"{job.number:02d}-{job.condition}{person.gender}"
    picture.save(folder / f"{stem}.jpg", quality=int(rng.integers(75, 95)))
    units = to_unit(head.imm58(pose)[None], np.array([(0, 0, 640, 480)]))[0]
    (folder / f"{stem}.asf").write_text(_asf(units, f"{stem}.jpg"), encoding="ascii")


def _asf(units: np.ndarray, host: str) -> str:
    """IMM's file of points (58, 2) relative to the photograph."""
    rows, first = [], 0
    for path, count, kind in _PATHS:
        last = first + count - 1
        for k in range(first, last + 1):
            before, after = max(k - 1, first), min(k + 1, last)
            if kind == 0:  # closed
                before, after = (last if k == first else k - 1), (first if k == last else k + 1)
            rows.append(f"{path} \t{kind} \t{units[k, 0]:.8f} \t{units[k, 1]:.8f} \t{k} \t{before} \t{after}")
        first = last + 1
    return _ASF.format(rule="#" * 70, rows="\n".join(rows), host=host)


def _draw_ibug(folder: Path, seed: int, job: _Job) -> str:
    """Write a photograph of iBUG's train or test set; returns its <image> of the XML."""
    test = job.kind == "test"
    rng = np.random.default_rng([seed, 2 if test else 1, job.number])
    person = draw_person(rng, studio=False)
    side = int(rng.choice([105, 126, 151, 182, 218, 224, 224, 224]))
    width, height = (int(np.clip(side * rng.uniform(1.7, 2.4), 260, 520)) for _ in range(2))
    scale = side / _BOX_UNITS * np.exp(rng.normal(0, 0.075))
    yaw, pitch, roll = np.clip(rng.normal(0, (16, 8, 7.5)), -42, 42)
    x, y = width * rng.normal(0.5, 0.06), height * rng.normal(0.52, 0.05)
    pose = Pose(yaw, pitch, roll, scale, x, y)
    head = Head(draw_expression(rng, person.face, None))
    light = draw_light(rng, spot=rng.random() < 0.3, studio=False)
    picture = _photograph(background(rng, (height, width), person), head, pose, person, light, rng)
    if rng.random() < 0.12:
        picture = picture.convert("L").convert("RGB")
    suffix = "png" if job.number % (4 if test else 25) == 0 else "jpg"
    file = f"{'sample_test' if test else 'sample'}/{job.number:05d}.{suffix}"
    picture.save(folder / file, **({"quality": int(rng.integers(60, 95))} if suffix == "jpg" else {}))
    points = head.ibug68(pose)
    return _entry(file, _box(points, yaw, side, rng), None if test else points)


def _box(points: np.ndarray, yaw: float, side: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """A box of this size as dlib's frontal detector sets it; measured on the real points within the jaw."""
    middle = rng.normal((0.515 + 0.1 * np.sin(np.radians(yaw)), 0.507), (0.031, 0.042))
    left, top = np.rint(points[17:].mean(axis=0) - side * middle + 0.5).astype(int)
    return left, top, side, side + int(rng.choice([0, 0, 0, 1]))


def _entry(file: str, box: tuple[int, int, int, int], points: np.ndarray | None) -> str:
    left, top, width, height = box
    named = [] if points is None else zip(IBUG68.names, points, strict=True)
    parts = "".join(f"      <part name='{name}' x='{x:.1f}' y='{y:.1f}'/>\n" for name, (x, y) in named)
    attributes = f"top='{top}' left='{left}' width='{width}' height='{height}'"
    return f"  <image file='{file}'>\n    <box {attributes}>\n{parts}    </box>\n  </image>\n"


def _photograph(
    canvas: np.ndarray, head: Head, pose: Pose, person: Person, light: Light, rng: np.random.Generator
) -> Image.Image:
    """Paint a person before a background (H, W, 3) and take the photograph: exposure, blur and noise."""
    paint_body(canvas, pose, person.look, light, rng)
    paint_head(canvas, head, pose, person.look, light, rng)
    exposed = (canvas * (255 * light.colour)).clip(0, 255).astype(np.uint8)
    soft = Image.fromarray(exposed).filter(ImageFilter.BoxBlur(rng.uniform(0.3, 0.9)))
    gamma = (np.linspace(0, 1, 256) ** np.exp(rng.normal(0, 0.07)) * 255).astype(np.float32)
    toned = gamma[np.asarray(soft.convert("L").convert("RGB") if person.grey else soft)]
    grain = rng.standard_normal((*canvas.shape[:2], 1), np.float32) * rng.uniform(0.5, 6)
    return Image.fromarray((toned + grain + 0.5).clip(0, 255).astype(np.uint8))
