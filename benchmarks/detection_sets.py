"""Pictures with known faces, and without any, on which detectors are measured."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.drawn_textures import draw_texture
from benchmarks.face_sets import MORE_FACES, read_set
from benchmarks.held_out import is_held_out
from kp_tf.core.files import read_json
from kp_tf.core.geometry import overlaps
from kp_tf.core.mean_face import MeanFace
from kp_tf.data.datasets import IbugDataset
from kp_tf.data.imm import read_imm
from kp_tf.data.layout import FOLDERS
from kp_tf.data.samples import Samples
from kp_tf.data.splits import in_imm_validation

SHEETS, COLUMNS, ROWS = 8, 4, 3
CELL, GAP = 300, 10  # pixels of a sheet: side of a cell, and its distance from the edges of 320 × 320
SIZES = (50, 200)  # pixels of the faces of a sheet
SAME, SURE = 0.3, 0.3  # overlap of two detectors' boxes of one face, and CenterFace's score from which it counts
CLEAR = 1.5  # what an empty window keeps away from, in sides of the detections
EMPTY_SIDES, PER_PHOTOGRAPH = (96, 320), 3  # pixels, and windows of one photograph
TEXTURES = 60
WITHOUT_FACES = (  # of the pictures in scikit-image's wheel
    *("brick.png", "cell.png", "chelsea.png", "clock_motion.png", "coffee.png", "color.png", "grass.png", "gravel.png"),
    *("horse.png", "hubble_deep_field.jpg", "ihc.png", "logo.png", "microaneurysms.png", "moon.png"),
    *("motorcycle_left.png", "page.png", "phantom.png", "retina.jpg", "rocket.jpg", "text.png"),
)
# what dlib's box follows from: eyes, nose tip and mouth, of 300-W's 68 points and of IMM's 58
OF_IBUG = ((range(36, 42),), (range(42, 48),), ((30,),), ((48, 54),))
OF_IMM = ((range(13, 21), range(21, 29)), (range(21, 29), range(13, 21)), ((52,),), (range(39, 47),))


@dataclass(frozen=True)
class Scene:
    """A picture.

    Attributes:
        file: where it is.
        faces: (n, 4) boxes like dlib's.
        angles: (n,) in-plane rotation of the faces in degrees; NaN if not known.
        ignored: (m, 4) places at which a detection counts neither as found nor as false.
        is_complete: whether everything else is no face.
        held_out: whether it is in a validation part.
    """

    file: Path
    faces: np.ndarray = field(default_factory=lambda: np.zeros((0, 4)))
    angles: np.ndarray = field(default_factory=lambda: np.zeros(0))
    ignored: np.ndarray = field(default_factory=lambda: np.zeros((0, 4)))
    is_complete: bool = True
    held_out: bool = True


def labelled(data: Path, name: str) -> list[Scene]:
    """The faces of one of `face_sets.SETS`; other faces in their pictures are not labelled."""
    faces, scenes = read_set(data, name), []
    for file, box, held_out in zip(faces.samples.files, faces.samples.boxes, faces.held_out, strict=True):
        scene = Scene(faces.samples.root / file, box[None], np.full(1, np.nan), is_complete=False)
        scenes.append(replace(scene, held_out=bool(held_out)))
    return scenes


def in_held_out_tenth(photograph: str) -> bool:
    """Whether a photograph of `wflwphotos` is held out."""
    return is_held_out(f"wflwphotos/{photograph}")


def photographs(data: Path, agreement: Path, chosen: Callable[[str], bool] = in_held_out_tenth) -> list[Scene]:
    """Photographs of `wflwphotos`. Faces are what CenterFace and BlazeFace agree on.

    Args:
        data: the folder of the data sets.
        agreement: what `benchmarks.agreement` wrote.
        chosen: whether to take the photograph of this name.
    """
    mean, root = _mean_face(data), data / MORE_FACES / "wflwphotos"
    scenes = []
    for name, found in sorted(read_json(agreement).items()):
        if chosen(name):
            others = _boxes(found["blazeface"])
            sure = [
                (overlaps(others, np.array(f["box"])) > SAME).any() and f["score"] >= SURE for f in found["centerface"]
            ]
            agreed = [face for face, is_sure in zip(found["centerface"], sure, strict=True) if is_sure]
            faces = [_box_of(mean, _five_to_four(np.array(face["points"]))) for face in agreed]
            ignored = np.concatenate([_boxes(found["centerface"]), others])
            boxes = np.array([box for box, _ in faces]).reshape(-1, 4)
            scenes.append(Scene(root / name, boxes, np.array([angle for _, angle in faces]), ignored))
    return scenes


def sheets(data: Path, folder: Path) -> list[Scene]:
    """Write pictures of twelve faces of IMM's people 33–40 each, of any size in SIZES and rotated by any angle."""
    imm, mean = read_imm(data / FOLDERS["imm"]), _mean_face(data)
    imm = imm.take([k for k, file in enumerate(imm.files) if in_imm_validation(file)])
    rng, scenes, pitch = np.random.default_rng(0), [], CELL + 2 * GAP
    order = np.concatenate([rng.permutation(len(imm)) for _ in range(SHEETS * COLUMNS * ROWS // len(imm))])
    for number, faces in enumerate(order.reshape(SHEETS, -1)):
        sheet, boxes, angles = Image.new("RGB", (COLUMNS * pitch, ROWS * pitch), (90, 110, 100)), [], []
        for place, face in enumerate(faces):
            corner = (place % COLUMNS * pitch + GAP, place // COLUMNS * pitch + GAP)
            cell, box, angle = _draw_cell(imm, mean, face, rng.uniform(*SIZES), rng.uniform(-180, 180))
            sheet.paste(cell, corner)
            boxes.append(box + (*corner, 0, 0))
            angles.append(angle)
        sheet.save(file := folder / f"sheet-{number}.png")
        scenes.append(Scene(file, np.array(boxes), np.array(angles)))
    return scenes


def _draw_cell(
    imm: Samples, mean: MeanFace, face: int, size: float, turn: float
) -> tuple[Image.Image, np.ndarray, float]:
    """A cell with a face of this size in pixels, turned clockwise by these degrees; its box (4,) and angle."""
    box, angle = _box_of(mean, _parts_of(imm.labels[face], OF_IMM))
    centre = box[:2] + box[2:] / 2
    with Image.open(imm.root / imm.files[face]) as image:
        turned = image.convert("RGB").rotate(-turn, Image.Resampling.BICUBIC, center=tuple(centre))
    side = min(CELL * box[2] / size, *turned.size)
    corner = np.clip(centre - side / 2, 0, np.array(turned.size) - side)
    cell = turned.resize((CELL, CELL), Image.Resampling.BICUBIC, box=(*corner, *(corner + side)))
    scale = CELL / side
    return cell, np.append(box[:2] - corner, box[2:]) * scale, (angle + turn + 180) % 360 - 180


def without_faces(data: Path, agreement: Path, library: Path, folder: Path) -> dict[str, list[Scene]]:
    """Pictures without faces by kind: cut out of the held-out photographs, scikit-image's, and drawn textures.

    Args:
        data: the folder of the data sets.
        agreement: what `benchmarks.agreement` wrote.
        library: scikit-image's folder of pictures.
        folder: where to write the cut and drawn ones.
    """
    rng = np.random.default_rng(0)
    for number in range(TEXTURES):
        Image.fromarray(draw_texture(rng, number)).save(folder / f"texture-{number}.png")
    return {
        "backgrounds": [*backgrounds(data, agreement, folder, rng)],
        "scikit-image": [Scene(library / name) for name in WITHOUT_FACES],
        "textures": [Scene(folder / f"texture-{number}.png") for number in range(TEXTURES)],
    }


def backgrounds(
    data: Path,
    agreement: Path,
    folder: Path,
    rng: np.random.Generator,
    chosen: Callable[[str], bool] = in_held_out_tenth,
) -> Iterator[Scene]:
    """Squares without faces, which it cuts out of the photographs that `photographs` takes and writes into FOLDER."""
    for name, found in sorted(read_json(agreement).items()):
        if not chosen(name):
            continue
        taken = np.concatenate([_boxes(found["centerface"]), _boxes(found["blazeface"])])
        taken = np.concatenate([taken[:, :2] - (CLEAR - 1) / 2 * taken[:, 2:], CLEAR * taken[:, 2:]], axis=1)
        with Image.open(data / MORE_FACES / "wflwphotos" / name) as photograph:
            for number, window in enumerate(_empty_windows(photograph.size, taken, rng)):
                left, top, side = window
                file = folder / f"background-{Path(name).stem}-{number}.png"
                photograph.crop((left, top, left + side, top + side)).convert("RGB").save(file)
                yield Scene(file)


def _empty_windows(
    size: tuple[int, int], taken: np.ndarray, rng: np.random.Generator
) -> Iterator[tuple[int, int, int]]:
    """At most PER_PHOTOGRAPH squares (left, top, side) that no box of `taken` (n, 4) touches."""
    count = 0
    for _ in range(200):
        side = int(rng.integers(*EMPTY_SIDES))
        if side > min(size):
            continue
        left, top = (int(rng.integers(0, length - side + 1)) for length in size)
        window = np.array([left, top, side, side], float)
        if not (overlaps(taken, window) > 0).any():
            yield left, top, side
            taken = np.concatenate([taken, window[None]])
            count += 1
            if count == PER_PHOTOGRAPH:
                return


def _boxes(found: list[dict]) -> np.ndarray:
    return np.array([face["box"] for face in found], float).reshape(-1, 4)


def _mean_face(data: Path) -> MeanFace:
    """Eyes, nose and mouth in the boxes of 300-W's training faces."""
    training = IbugDataset(data / FOLDERS["ibug"]).read_split().training
    points = np.array([_parts_of(face, OF_IBUG) for face in training.labels])
    return MeanFace.from_faces(training.boxes, training.boxes, points)


def _parts_of(points: np.ndarray, parts: tuple) -> np.ndarray:
    """The middles (4, 2) of the eyes, left of the picture first, of the nose and of the mouth."""
    middles = np.array([points[list(indices[0])].mean(axis=0) for indices in parts])
    if len(parts[0]) > 1 and middles[0, 0] > middles[1, 0]:
        middles[[0, 1]] = middles[[1, 0]]
    return middles


def _five_to_four(points: np.ndarray) -> np.ndarray:
    """Eyes, nose and the middle of the mouth (4, 2) from eyes, nose and corners of the mouth (5, 2)."""
    return np.concatenate([points[:3], points[3:].mean(axis=0, keepdims=True)])


def _box_of(mean: MeanFace, parts: np.ndarray) -> tuple[np.ndarray, float]:
    """The upright box (4,) and the angle of a face from its parts (4, 2)."""
    extent = float((parts.max(axis=0) - parts.min(axis=0)).max())
    box = mean.rotated_boxes_around(parts[None], np.array([[0, 0, 2 * extent, 2 * extent]]))[0]
    return box[:4], float(box[4])
