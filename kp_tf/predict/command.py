"""`python -m kp_tf predict`: photographs, folders and patterns to points and pictures."""

import glob
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from kp_tf.core.errors import KpError, PartlyError, listed
from kp_tf.core.images import SUFFIXES
from kp_tf.predict import writers as results
from kp_tf.predict.predictor import Predictor

CLIPS = frozenset((".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm"))
BAD = "photographs that cannot be used"
DRAWN = "drawn"  # the folder of pictures below --out: a later look into the folder itself does not find them


def predict(
    photographs: Sequence[str],
    run: str | None = None,
    boxes: Sequence[tuple[float, float, float, float]] | None = None,
    out: Path | None = None,
    format: str = "json",
) -> None:
    """Find faces and their points; print them, or write them and the pictures into a folder.

    Args:
        photographs: paths, folders (the pictures directly in them) and patterns; or one clip, see `clips`.
        run: see `engines.load_engine`.
        boxes: of the faces of one photograph, in pixels as stored; None: they are found.
        out: folder for the points (`points.json`, `.csv` or `.xml`, or one `.pts` for each face) and, in `drawn/`,
            the pictures; None prints the points.
        format: one of `results.FORMATS`; `pts` and `xml` need `out`.

    Raises:
        KpError: if nothing could be done; `PartlyError` if a photograph could not be used and others were done.
    """
    if out is None and format in ("pts", "xml"):
        raise KpError(f"--format {format}: expected --out DIR to write to, found none")
    files = expand(photographs)
    if any(file.suffix.lower() in CLIPS for file in files):
        return _clip(files, run, boxes, out, format)
    if boxes and len(files) > 1:
        raise KpError(f"--box: expected one photograph, found {len(files)}")
    if format == "xml":
        results.names_in(out, [str(file) for file in files])  # said now, not when all is done
    predictor = Predictor.load(run)
    names = _names(files)
    if out is not None:
        _make(out / DRAWN)
    found, problems = [], []
    answers = predictor.results(files, None if boxes is None else [boxes])
    for file, answer in zip(files, _progress(answers, len(files)), strict=True):
        if isinstance(answer, KpError):
            problems.append(str(answer))
            continue
        photograph, faces = answer
        found.append((str(file), faces))
        if out is not None:
            results.save_picture(results.draw(photograph, faces), out / DRAWN / f"{names[file]}.jpg")
            if format == "pts":
                for number, face in enumerate(faces, 1):
                    results.save_text(results.as_pts(face), out / f"{names[file]}_{number}.pts")
    if not found:
        raise KpError(listed(problems, BAD))
    if format == "xml":
        results.write_xml(out / "points.xml", found, predictor.scheme)
    elif format != "pts":
        text = (
            results.as_json(found, predictor.scheme, predictor.run.path.stem)
            if format == "json"
            else results.as_csv(found, predictor.scheme)
        )
        sys.stdout.write(text) if out is None else results.save_text(text, out / f"points.{format}")
    if out is not None:
        faces = sum(len(faces) for _, faces in found)
        print(f"{_count(faces, 'face')} in {_count(len(found), 'photograph')}: {out}, pictures in {out / DRAWN}")
    if problems:
        raise PartlyError(listed(problems, BAD))


def _clip(files: Sequence[Path], run: str | None, boxes: object, out: Path | None, format: str) -> None:
    if len(files) > 1:
        raise KpError(f"expected photographs or one clip, found a clip among {len(files)} files")
    if out is None or boxes or format != "json":
        raise KpError(f"{files[0]}: expected a clip with --out DIR and neither --box nor another --format")
    if not files[0].is_file():
        raise KpError(f"{files[0]}: expected a clip, found no such file")
    from kp_tf.predict.video import predict_clip  # photographs need none of it

    predictor = Predictor.load(run)
    _make(out / DRAWN)
    drawn = out / DRAWN / f"{files[0].stem}.mp4"
    frames, faces = predict_clip(predictor, files[0], out / "points.json", drawn)
    print(f"{faces} faces in {frames} frames: {out}, the clip with points: {drawn}")


def expand(photographs: Sequence[str]) -> list[Path]:
    """Paths as they are; folders to the pictures directly in them, patterns to what they match, sorted; no doubles.

    Raises:
        KpError: if a folder holds no picture, or a pattern matches nothing.
    """
    files = []
    for given in photographs:
        path = Path(given)
        if path.is_dir():
            inside = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file())
            if not inside:
                raise KpError(f"{given}: expected a folder with photographs, found none in it")
            files += inside
        elif path.exists() or not glob.has_magic(given):
            files.append(path)
        else:
            matched = sorted(Path(file) for file in glob.glob(given, recursive=True))
            if not matched:
                raise KpError(f"{given}: expected photographs that match, found none")
            files += [file for file in matched if file.is_file()]
    return list(dict.fromkeys(files))


def _names(files: Sequence[Path]) -> dict[Path, str]:
    """What each file's results are called: its stem, with a number where another file has the same."""
    names, taken = {}, set()
    for file in files:
        name, number = file.stem, 1
        while name in taken:
            number += 1
            name = f"{file.stem}-{number}"
        taken.add(name)
        names[file] = name
    return names


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise KpError(f"--out {folder.parent}: expected to make a folder, found: {error.strerror}") from None


def _progress(answers: Iterator, count: int) -> Iterator:
    """With a bar for many photographs, where somebody looks and tqdm is there: an exported file needs no more."""
    if count == 1 or not find_spec("tqdm"):
        return answers
    from tqdm import tqdm

    return tqdm(answers, total=count, unit=" photographs", disable=None)
