"""`kp-tf predict`: photographs and clips to landmarks and pictures."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from kp_tf.artifacts.find import say_network
from kp_tf.core.boxes import check_boxes
from kp_tf.core.errors import KpError, PartialError, format_problems
from kp_tf.core.face import Face
from kp_tf.core.files import MAX_NAME_BYTES, check_regular, shortened, write_text
from kp_tf.core.images import Photograph, read_orientation
from kp_tf.core.orientation import Orientation
from kp_tf.predict import writers
from kp_tf.predict.detectors import DEFAULT, Detector, check_installed
from kp_tf.predict.predictor import Predictor
from kp_tf.predict.search import NETWORK
from kp_tf.predict.sources import DRAWN, Sources, count, find_sources

OF_PHOTOGRAPHS = ("points", "faces")  # the files of the results of all photographs
WHOLE = "this network was trained on photographs like IMM's, with one face in the middle, and takes every photograph so"
CANNOT_USE = "files cannot be used"
NO_FACE = "pass its box (--box L,T,W,H), cut out the part around a small face, or use another --detector"
MAX_STEM_BYTES = MAX_NAME_BYTES - 20  # a number and a suffix follow, as in -12_3.pts


@dataclass
class _Output:
    """Where the results go: into a folder, with pictures, or to standard output."""

    folder: Path | None
    format: str
    names: dict[Path, str]  # of the results of each photograph
    upright: bool
    results: list[writers.Result] = field(default_factory=list)

    def add(self, file: Path, photograph: Photograph, faces: Sequence[Face]) -> None:
        """Take the faces of one photograph, and write what is written for each photograph.

        Raises:
            KpError: if a file cannot be written. The faces are taken nevertheless.
        """
        orientation = Orientation(photograph.upright.size) if self.upright else photograph.orientation
        written = [face.upright for face in faces] if self.upright else faces
        self.results.append(writers.Result(str(file), orientation, written))
        if self.folder is None:
            return
        if self.format == "pts":
            for number, face in enumerate(written, 1):
                write_text(self.folder / f"{self.names[file]}_{number}.pts", writers.as_pts(face))
        from kp_tf.predict.drawing import draw, save_picture  # what paints, which printing does not need

        save_picture(draw(photograph, faces), self.folder / DRAWN / f"{self.names[file]}.jpg")

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
        if self.format == "csv":
            write_text(self.folder / "faces.csv", writers.as_faces_csv(self.results))
        faces = count(sum(len(result.faces) for result in self.results), "face")
        photographs = count(len(self.results), "photograph")
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
    upright: bool = False,
    detector: str | Detector = DEFAULT,
) -> None:
    """Predict the landmarks of faces; print them, or write them and the pictures into a folder.

    Args:
        photographs: paths of photographs and clips, folders and patterns, see `sources.find_sources`.
        run: see `backends.load_network`.
        boxes: of the faces in a single photograph, in pixels as stored unless `upright`; None: faces are detected.
        out: folder for the points (`points.json`, `.csv` or `.xml`, or one `.pts` for each face; one file for each
            clip) and, in `drawn/`, the pictures and clips. None prints the points; clips need a folder.
        format: one of `writers.FORMATS`; `pts` and `xml` need `out` and are for photographs alone.
        upright: boxes and results are in pixels of the upright photograph.
        detector: see `detectors.find_detector`.

    Raises:
        KpError: if nothing could be done.
        PartialError: if some files could not be used; the results of the others are written.
    """
    if out is None and format in ("pts", "xml"):
        raise KpError(f"--format {format} writes files and needs --out DIR")
    sources = find_sources(photographs, _why_no_clips(out, format, boxes))
    if boxes and len(sources.photographs) > 1:
        raise KpError(f"--box takes one photograph, not {len(sources.photographs)}")
    if format == "xml" and out is not None:
        _leave_out_names(sources, out)
    predictor = Predictor.load(run, detector)
    say_network(predictor.info)
    if boxes is None:
        if predictor.info.recipe.takes_whole_photographs:
            print(f"note: {WHOLE}", file=sys.stderr)
        elif detector != NETWORK:
            check_installed(detector)
    made = [] if out is None else _make_folders(out)
    done = {}
    if sources.photographs:
        output = _Output(out, format, _result_names(sources.photographs), upright)
        stored = _stored_boxes(boxes, sources.photographs[0]) if boxes and upright else boxes
        done |= _predict_photographs(predictor, sources, stored, output)
    if out is not None and sources.clips:
        done |= _predict_clips(predictor, sources, out, format, upright)
    _report(sources, done)
    if not done:
        _remove_empty(made)
    if sources.problems:
        raise (PartialError if done else KpError)(format_problems(sources.problems, CANNOT_USE))


def _report(sources: Sources, done: dict[Path, int]) -> None:
    """Say which files have no face, and what was left out."""
    if empty := [file for file, faces in done.items() if not faces]:
        what = f"no face in {empty[0]}" + (f" and {count(len(empty) - 1, 'other file')}" if len(empty) > 1 else "")
        print(f"{what}: {NO_FACE} (docs/predict.md#face-detection)", file=sys.stderr)
    if line := sources.skipped_line():
        print(line, file=sys.stderr)


def _why_no_clips(out: Path | None, format: str, boxes: object) -> str:
    """Why clips cannot be predicted with these options; empty if they can."""
    if out is None:
        return "clips need --out DIR"
    if boxes:
        return "clips cannot be used with --box"
    return "" if format in writers.CLIP_FORMATS else f"clips cannot be written as {format}"


def _stored_boxes(boxes: object, photograph: Path) -> np.ndarray:
    return read_orientation(photograph).boxes_to_stored(check_boxes(str(photograph), boxes))


def _predict_photographs(predictor: Predictor, sources: Sources, boxes: object, output: _Output) -> dict[Path, int]:
    """Predict and write the photographs; returns the number of faces in each that could be used."""
    files, done = sources.photographs, {}
    results = predictor.results(files, None if boxes is None else [boxes])
    for file, result in zip(files, _with_progress(results, len(files)), strict=True):
        try:
            if isinstance(result, KpError):
                raise result
            photograph, faces = result
            done[file] = len(faces)
            if photograph.num_frames > 1:
                sources.skipped["further frame", f"of {file.suffix.lower()}"] += photograph.num_frames - 1
            output.add(file, photograph, faces)
        except KpError as error:
            sources.problems.append(_line(error))
    if done:
        output.finish(predictor)
    return done


def _predict_clips(predictor: Predictor, sources: Sources, out: Path, format: str, upright: bool) -> dict[Path, int]:
    """Predict and write the clips, each into files of its own; returns the number of faces in each."""
    from kp_tf.predict.video import predict_clip  # photographs need none of it

    alone, done = len(sources.clips) == 1 and not sources.photographs, {}
    for clip, name in _result_names(sources.clips, OF_PHOTOGRAPHS, ("", "-faces")).items():
        texts = OF_PHOTOGRAPHS if alone else (name, f"{name}-faces")
        points, table, drawn = out / f"{texts[0]}.{format}", out / f"{texts[1]}.csv", out / DRAWN / f"{name}.mp4"
        try:
            check_regular(clip)
            frames, done[clip] = predict_clip(predictor, clip, points, table, drawn, upright)
        except KpError as error:
            sources.problems.append(_line(error))
        else:
            faces = count(done[clip], "face")
            print(f"{faces} in {count(frames, 'frame')}: {points}, the clip with points: {drawn}")
    return done


def _leave_out_names(sources: Sources, folder: Path) -> None:
    """Turn the photographs that an XML in the folder cannot name into problems.

    Raises:
        KpError: if there are no others.
    """
    named = []
    for file in sources.photographs:
        try:
            writers.name_in(folder, str(file))
            named.append(file)
        except KpError as error:
            sources.problems.append(_line(error))
    if not named:
        raise KpError(format_problems(sources.problems, CANNOT_USE))
    sources.photographs = named


def _line(error: KpError) -> str:
    """The message, whatever the name of the file, on one line."""
    return str(error).replace("\n", "\\n")


def _result_names(files: Sequence[Path], taken: Iterable[str] = (), endings: Sequence[str] = ("",)) -> dict[Path, str]:
    """The name of each file's results: its stem, shortened if need be, with a number if one of them is taken.

    Results have this name with one of the endings.
    """
    names, taken = {}, set(taken)
    for file in files:
        stem = shortened(file.stem, MAX_STEM_BYTES)
        name, number = stem, 1
        while not taken.isdisjoint(name + ending for ending in endings):
            number += 1
            name = f"{stem}-{number}"
        taken.update(name + ending for ending in endings)
        names[file] = name
    return names


def _make_folders(out: Path) -> list[Path]:
    """Make the folder of the results and that of the pictures; returns those that were not there, the inner first."""
    made = [folder for folder in (out / DRAWN, *(out / DRAWN).parents) if not folder.exists()]
    try:
        (out / DRAWN).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise KpError(f"--out {out}: cannot make the folder: {error.strerror}") from None
    return made


def _remove_empty(folders: Iterable[Path]) -> None:
    for folder in folders:
        if not any(folder.iterdir()):
            folder.rmdir()


def _with_progress(results: Iterator, count: int) -> Iterable:
    """A progress bar for many photographs on a terminal, if tqdm is installed."""
    if count == 1 or not find_spec("tqdm"):
        return results
    from tqdm import tqdm

    return tqdm(results, total=count, unit=" photographs", disable=None)
