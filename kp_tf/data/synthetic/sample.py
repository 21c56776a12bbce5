"""Drawn faces in the files of the real data sets, for machines that have none of them.

A sample is drawn once per machine and kept in the user's cache folder. Every photograph is drawn from a stateless
seed of its own, (seed, set, number), so the same seed gives the same bytes however many processes draw.
"""

import operator
import os
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import Any

from tqdm import tqdm

from kp_tf.core.errors import KpError
from kp_tf.core.hardware import available_cores
from kp_tf.core.workers import follow_parent
from kp_tf.data.layout import FOLDERS, TEST_XMLS, TRAIN_XML
from kp_tf.data.synthetic.photographs import draw_ibug, draw_imm

VERSION = 2  # of the drawings, in the folders' names: raise it when they change
PEOPLE, FACES = 200, 1100
_ALONE = 100  # so many photographs are not worth the start of other processes
_XML = "<?xml version='1.0' encoding='ISO-8859-1'?>\n<dataset>\n<images>\n{}</images>\n</dataset>\n"


def sample_folder(dataset: str, test_only: bool = False, progress: bool = True) -> Path:
    """Return the folder with the synthetic faces of a data set; draw them where the cache does not have them yet.

    The folder holds the data set's folder, laid out as the real one. Where `test_only` asks for no more, `ibug` is
    drawn without its train XML.

    Raises:
        KpError: if the cache folder cannot be written.
    """
    folder = sample_path(dataset)
    if test_only and not folder.is_dir():
        folder = sample_path(dataset, test_only)
    draw_sample(folder, dataset, test_only=test_only, progress=progress)
    return folder


def sample_path(dataset: str, test_only: bool = False) -> Path:
    """Where the cache keeps a data set of this version of the drawings.

    Folders of other versions stay where they are, because another installation of the package may use them.
    """
    return cache_folder() / f"faces-v{VERSION}-{dataset}{'-test' if test_only else ''}"


def cache_folder() -> Path:
    """The package's folder among the user's caches, which $XDG_CACHE_HOME moves on every system."""
    if caches := os.environ.get("XDG_CACHE_HOME") or (sys.platform == "win32" and os.environ.get("LOCALAPPDATA")):
        return Path(caches) / "kp_tf"
    return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "kp_tf"


def draw_sample(
    folder: Path,
    dataset: str,
    count: int | None = None,
    seed: int = 0,
    test_only: bool = False,
    progress: bool = False,
    processes: int | None = None,
) -> None:
    """Draw a sample, unless its folder is there already; the folder appears whole or not at all.

    Several processes may draw the same folder at once: the first one to finish leaves it, and all drew the same bytes.

    Args:
        folder: where the data set's folder goes.
        dataset: `imm` or `ibug`.
        count: people of `imm`, with six photographs each, or faces in `ibug`'s train XML, whose test XML then has a
            thirtieth as many and at least four. None: the whole sample.
        seed: of all drawings.
        test_only: draw only the photographs of `ibug`'s test XML.
        progress: show a bar on stderr.
        processes: that draw. None: one per core, up to four, or this one alone if there is little to draw.

    Raises:
        KpError: if there is something else in the folder's place, or it cannot be written.
    """
    if (folder / FOLDERS[dataset]).is_dir():
        return
    if folder.exists():
        raise KpError(f"cannot draw faces into {folder}: there is something else in its place, which has to be moved")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
            content = Path(temporary, folder.name)
            _write_sample(content / FOLDERS[dataset], dataset, count, seed, test_only, progress, processes)
            try:
                content.rename(folder)
            except OSError:
                if not (folder / FOLDERS[dataset]).is_dir():
                    raise
    except OSError as error:
        advice = "set XDG_CACHE_HOME to a folder that can be written, or name your data with --data"
        raise KpError(f"cannot draw faces into {folder}: {error.strerror or error}; {advice}") from error


def _write_sample(
    folder: Path, dataset: str, count: int | None, seed: int, test_only: bool, progress: bool, processes: int | None
) -> None:
    if dataset == "imm":
        folder.mkdir(parents=True)
        numbers = range(1, (count or PEOPLE) + 1)
        _run([partial(draw_imm, folder, seed, k, n) for k in numbers for n in range(1, 7)], progress, processes)
        return
    faces = count or FACES
    sets = [(True, "sample_test", TEST_XMLS[0], max(4, faces // 30)), (False, "sample", TRAIN_XML, faces)]
    for test, name, xml, number in sets[:1] if test_only else sets:
        (folder / name).mkdir(parents=True)
        jobs = [partial(draw_ibug, folder, seed, test, k) for k in range(1, number + 1)]
        (folder / xml).write_text(_XML.format("".join(_run(jobs, progress, processes))), encoding="ascii")


def _run(jobs: list[partial[Any]], progress: bool, processes: int | None) -> list[Any]:
    """Call the jobs in several processes; return their results in order."""
    if processes is None:
        processes = min(available_cores(), 4) if len(jobs) >= _ALONE else 1
    bar = partial(tqdm, total=len(jobs), desc="drawing faces", unit="photograph", disable=not progress)
    if processes == 1:
        return [job() for job in bar(jobs)]
    with ProcessPoolExecutor(processes, get_context("spawn"), follow_parent) as pool:
        try:
            with _main_module_left_alone():
                results = pool.map(operator.call, jobs)
            return list(bar(results))
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _main_module_left_alone() -> Iterator[None]:
    """Processes that are started in this block do not run the program's main module again.

    They need nothing of it, and a script that calls the package without `if __name__ == "__main__"` would fail there.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
