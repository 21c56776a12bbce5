"""From the arguments of `predict` to the files it takes, and a count of those it leaves out."""

import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kp_tf.core.errors import KpError, format_problems
from kp_tf.core.image_files import SUFFIXES, is_photograph

CLIPS = frozenset([".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".3gp", ".mpg", ".mpeg", ".mts", ".m2ts", ".wmv"])
DRAWN = "drawn"  # the folder of pictures below --out, so that predicting that folder again does not take them


@dataclass
class Sources:
    """The files to predict.

    Attributes:
        photographs: in the order of the arguments, and sorted within a folder.
        clips: likewise.
        problems: folders that cannot be read or hold nothing to predict, one line each.
        skipped: how many files of each kind were left out of folders; a kind is a noun, and what follows it.
    """

    photographs: list[Path] = field(default_factory=list)
    clips: list[Path] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    skipped: Counter[tuple[str, str]] = field(default_factory=Counter)

    def skipped_line(self) -> str:
        """What was left out, by kind, the most frequent first; empty if nothing was."""
        kinds = (f"{count(number, noun)} {rest}" for (noun, rest), number in self.skipped.most_common())
        return f"skipped: {', '.join(kinds)}" if self.skipped else ""


def find_sources(arguments: Sequence[str], no_clips: str = "") -> Sources:
    """Find the photographs and clips that the arguments name.

    A file is taken as it is named, a pattern stands for what it matches, and a folder for the photographs and clips
    in it and in its subfolders. In a folder, hidden files and those in subfolders called `drawn`, which hold results,
    are left out; a file is a photograph if its content or its name says so.

    Args:
        arguments: paths, folders and patterns.
        no_clips: why clips cannot be predicted; those in folders are then left out.

    Raises:
        KpError: if there is nothing to predict, a pattern matches nothing, or clips are named and cannot be predicted.
    """
    sources = Sources()
    for argument in arguments:
        for path in _matches(argument):
            if os.path.isdir(path):  # unlike Path.is_dir, it takes names that are too long
                _add_folder(sources, path, no_clips)
            elif not _is_clip(path):
                sources.photographs.append(path)
            elif no_clips:
                raise KpError(f"{path}: {no_clips}")
            else:
                sources.clips.append(path)
    sources.photographs = list(dict.fromkeys(sources.photographs))
    sources.clips = list(dict.fromkeys(sources.clips))
    if not sources.photographs and not sources.clips:
        raise KpError(format_problems(sources.problems, "folders cannot be used"))
    return sources


def count(number: int, noun: str) -> str:
    """A number and its noun."""
    return f"{number} {noun}s" if noun and number != 1 else f"{number} {noun}".rstrip()


def _matches(argument: str) -> list[Path]:
    """The path, or what a pattern matches."""
    if os.path.exists(argument) or not glob.has_magic(argument):
        return [Path(argument)]
    if not (matched := sorted(glob.glob(argument, recursive=True))):
        raise KpError(f"no photograph matches {argument}")
    return [Path(path) for path in matched]


def _add_folder(sources: Sources, folder: Path, no_clips: str) -> None:
    skipped: Counter[tuple[str, str]] = Counter()
    before = len(sources.photographs) + len(sources.clips) + len(sources.problems)
    for path in _files_below(folder, sources.problems):
        suffix = path.suffix.lower()
        if DRAWN in path.relative_to(folder).parts[:-1]:
            skipped["file", f"in {DRAWN}"] += 1
        elif _is_clip(path):
            if no_clips:
                skipped["clip", f"({no_clips})"] += 1
            else:
                sources.clips.append(path)
        elif suffix in SUFFIXES or is_photograph(path):
            sources.photographs.append(path)
        else:
            skipped[("", suffix) if suffix else ("file", "without a suffix")] += 1
    if len(sources.photographs) + len(sources.clips) + len(sources.problems) == before:
        found = Sources(skipped=skipped).skipped_line()
        problem = f"there are no photographs or clips in the folder {folder}"
        sources.problems.append(f"{problem} ({found})" if found else problem)
    sources.skipped += skipped


def _files_below(folder: Path, problems: list[str]) -> Iterator[Path]:
    """The files in a folder and its subfolders, also linked ones, that are not hidden."""

    def note(error: OSError) -> None:
        problems.append(f"cannot read the folder {error.filename}: {error.strerror}")

    visited = set()
    for root, folders, files in os.walk(folder, onerror=note, followlinks=True):
        real = os.path.realpath(root)
        folders[:] = [] if real in visited else sorted(name for name in folders if not name.startswith("."))
        if real not in visited:
            yield from (Path(root, name) for name in sorted(files) if not name.startswith("."))
        visited.add(real)


def _is_clip(path: Path) -> bool:
    return path.suffix.lower() in CLIPS and not is_photograph(path)
