"""`kp-tf predict`: photographs, folders and patterns to landmarks and pictures."""

import glob
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from kp_tf.core.errors import KpError, PartialError, format_problems
from kp_tf.core.face import Face
from kp_tf.core.files import MAX_NAME_BYTES, check_regular, shortened, write_text
from kp_tf.core.images import SUFFIXES, Photograph
from kp_tf.predict import writers
from kp_tf.predict.detector import Detector, dlib_faces
from kp_tf.predict.drawing import draw_faces, save_picture
from kp_tf.predict.predictor import Predictor

CLIPS = frozenset((".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm"))
CANNOT_USE = "photographs cannot be used"
DRAWN = "drawn"  # the folder of pictures below --out, so that predicting that folder again does not take them
MAX_STEM_BYTES = MAX_NAME_BYTES - 20  # a number and a suffix follow, as in -12_3.pts


@dataclass
class _Output:
    """Where the results go: into a folder, with pictures, or to standard output."""

    folder: Path | None
    format: str
    names: dict[Path, str]  # of the results of each photograph
    results: list[tuple[str, Sequence[Face]]] = field(default_factory=list)  # by file

    def add(self, file: Path, photograph: Photograph, faces: Sequence[Face]) -> None:
        """Take the faces of one photograph, and write what is written for each photograph.

        Raises:
            KpError: if a file cannot be written. The faces are taken nevertheless.
        """
        self.results.append((str(file), faces))
        if self.folder is None:
            return
        if self.format == "pts":
            for number, face in enumerate(faces, 1):
                write_text(self.folder / f"{self.names[file]}_{number}.pts", writers.as_pts(face))
        save_picture(draw_faces(photograph, faces), self.folder / DRAWN / f"{self.names[file]}.jpg")

    def finish(self, predictor: Predictor) -> None:
        """Write the file that holds the results of all photographs, and say where it is."""
        if self.folder is None:
            sys.stdout.write(self._text(predictor))
            return
        path = self.folder / f"points.{self.format}"
        if self.format == "xml":
            writers.write_xml(path, self.results, predictor.scheme)
        elif self.format != "pts":
            write_text(path, self._text(predictor))
        faces = _count(sum(len(faces) for _, faces in self.results), "face")
        photographs = _count(len(self.results), "photograph")
        print(f"{faces} in {photographs}: {self.folder}, pictures in {self.folder / DRAWN}")

    def _text(self, predictor: Predictor) -> str:
        if self.format == "json":
            return writers.as_json(self.results, predictor.scheme, predictor.info.name)
        return writers.as_csv(self.results, predictor.scheme)


def predict(
    photographs: Sequence[str],
    run: str | None = None,
    boxes: Sequence[tuple[float, float, float, float]] | None = None,
    out: Path | None = None,
    format: str = "json",
    detector: Detector = dlib_faces,
) -> None:
    """Predict the landmarks of faces; print them, or write them and the pictures into a folder.

    Args:
        photographs: paths, folders (for the pictures directly in them) and patterns; or one clip, see `video`.
        run: see `backends.load_network`.
        boxes: of the faces in a single photograph, in pixels as stored; None: faces are detected.
        out: folder for the points (`points.json`, `.csv` or `.xml`, or one `.pts` for each face) and, in `drawn/`,
            the pictures; None prints the points.
        format: one of `writers.FORMATS`; `pts` and `xml` need `out`.
        detector: see `detector.Detector`.

    Raises:
        KpError: if nothing could be done.
        PartialError: if some photographs could not be used; the results of the others are written.
    """
    if out is None and format in ("pts", "xml"):
        raise KpError(f"--format {format} writes files and needs --out DIR")
    files = expand(photographs)
    if any(file.suffix.lower() in CLIPS for file in files):
        return _predict_clip(files, run, boxes, out, format, detector)
    if boxes and len(files) > 1:
        raise KpError(f"--box takes one photograph, not {len(files)}")
    problems = []
    if format == "xml" and out is not None:
        files, problems = _with_names_in(out, files)
    predictor = Predictor.load(run, detector)
    if out is not None:
        _make_folder(out / DRAWN)
    output = _Output(out, format, _result_names(files))
    results = predictor.results(files, None if boxes is None else [boxes])
    for file, result in zip(files, _with_progress(results, len(files)), strict=True):
        try:
            if isinstance(result, KpError):
                raise result
            output.add(file, *result)
        except KpError as error:
            problems.append(_line(error))
    if not output.results:
        raise KpError(format_problems(problems, CANNOT_USE))
    output.finish(predictor)
    if problems:
        raise PartialError(format_problems(problems, CANNOT_USE))


def _predict_clip(
    files: Sequence[Path], run: str | None, boxes: object, out: Path | None, format: str, detector: Detector
) -> None:
    if len(files) > 1:
        raise KpError(f"predict takes photographs or a single clip, but there is a clip among {len(files)} files")
    if out is None or boxes or format != "json":
        raise KpError(f"{files[0]}: a clip needs --out DIR, and cannot be used with --box or --format")
    check_regular(files[0])
    from kp_tf.predict.video import predict_clip  # photographs need none of it

    predictor = Predictor.load(run, detector)
    _make_folder(out / DRAWN)
    drawn = out / DRAWN / f"{_result_names(files)[files[0]]}.mp4"
    frames, faces = predict_clip(predictor, files[0], out / "points.json", drawn)
    print(f"{_count(faces, 'face')} in {_count(frames, 'frame')}: {out}, the clip with points: {drawn}")


def expand(photographs: Sequence[str]) -> list[Path]:
    """Replace folders by the pictures directly in them and patterns by what they match, sorted, without duplicates.

    Raises:
        KpError: if a folder holds no picture, or a pattern matches nothing.
    """
    files = []
    for name in photographs:
        path = Path(name)
        if path.is_dir():
            inside = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file())
            if not inside:
                raise KpError(f"there are no photographs in the folder {name}")
            files += inside
        elif path.exists() or not glob.has_magic(name):
            files.append(path)
        else:
            matched = sorted(Path(file) for file in glob.glob(name, recursive=True))
            if not matched:
                raise KpError(f"no photograph matches {name}")
            files += [file for file in matched if file.is_file()]
    return list(dict.fromkeys(files))


def _with_names_in(folder: Path, files: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """The files that an XML in the folder can name, and a problem for each of the others.

    Raises:
        KpError: if there are only others.
    """
    named, problems = [], []
    for file in files:
        try:
            writers.name_in(folder, str(file))
            named.append(file)
        except KpError as error:
            problems.append(_line(error))
    if not named:
        raise KpError(format_problems(problems, CANNOT_USE))
    return named, problems


def _line(error: KpError) -> str:
    """The message, whatever the name of the file, on one line."""
    return str(error).replace("\n", "\\n")


def _result_names(files: Sequence[Path]) -> dict[Path, str]:
    """The name of each file's results: its stem, shortened if need be, with a number if another file has the same."""
    names, taken = {}, set()
    for file in files:
        stem = shortened(file.stem, MAX_STEM_BYTES)
        name, number = stem, 1
        while name in taken:
            number += 1
            name = f"{stem}-{number}"
        taken.add(name)
        names[file] = name
    return names


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise KpError(f"--out {folder.parent}: cannot make the folder: {error.strerror}") from None


def _with_progress(results: Iterator, count: int) -> Iterable:
    """A progress bar for many photographs on a terminal, if tqdm is installed."""
    if count == 1 or not find_spec("tqdm"):
        return results
    from tqdm import tqdm

    return tqdm(results, total=count, unit=" photographs", disable=None)
