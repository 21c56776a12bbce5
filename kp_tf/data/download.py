"""Download of the published data sets: fetch an archive, unpack it and check what came out.

The publishers give no checksums. A download is verified by its length, by the checksums inside the archive, and by
the number of files and labelled images that it contains.
"""

import os
import shutil
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from kp_tf.core.errors import KpError, raise_problems
from kp_tf.core.files import read_json, write_json
from kp_tf.core.keypoints import IBUG68
from kp_tf.data.dlib_xml import read_dlib_xml
from kp_tf.data.layout import FOLDERS
from kp_tf.data.unpack import DISK_FULL, unpack


@dataclass(frozen=True)
class Archive:
    """A published data set.

    Attributes:
        folder: name of its folder inside the data folder.
        addresses: URLs of the archive, in the order in which they are tried.
        counts: what a complete folder contains: the number of files that match a pattern, or of image entries in
            a dlib XML file, whose image files must exist.
    """

    folder: str
    addresses: tuple[str, ...]
    counts: Mapping[str, int]


IMM = Archive(
    folder=FOLDERS["imm"],
    addresses=(
        "https://web.archive.org/web/20210305094647/http://www2.imm.dtu.dk/~aam/datasets/imm_face_db.tar.gz",
        "http://datasets.openimaj.org/imm_face_db.zip",
    ),
    counts={"*.jpg": 240, "*.asf": 240},
)
IBUG = Archive(
    folder=FOLDERS["ibug"],
    addresses=("http://dlib.net/files/data/ibug_300W_large_face_landmark_dataset.tar.gz",),
    counts={"labels_ibug_300W_train.xml": 6666, "labels_ibug_300W_test.xml": 1008},
)
ARCHIVES = {"imm": IMM, "ibug": IBUG}


def download(archive: str | Archive, data: Path, timeout: float = 60) -> None:
    """Download a data set and unpack it into its folder inside the data folder, unless it is there already.

    Args:
        archive: "imm", "ibug" or any other `Archive`.
        data: the data folder; created if it does not exist.
        timeout: seconds to wait for a server that sends nothing.

    Raises:
        KpError: if the data set's folder exists but is incomplete, if no address provides a complete archive, or
            if the disk is full. An interrupted download is kept, and the next call continues it.
    """
    archive = ARCHIVES[archive] if isinstance(archive, str) else archive
    target = Path(data) / archive.folder
    if any(what.endswith(".xml") for what in archive.counts):
        import_module("defusedxml")  # the check needs it: fails now instead of after the download
    if os.path.lexists(target):
        try:
            _check(archive, target)
        except KpError as error:
            raise KpError(f"{target} is incomplete: {error}. Move it, or use another data folder") from error
        print(f"{target} is already complete; nothing to download")
        return
    # Everything unfinished lies in one folder per address. Its name is ours, since a URL could name any path.
    works = [target.with_name(f"{target.name}.{n}.part") for n in range(1, len(archive.addresses) + 1)]
    failures = []
    for address, work in zip(archive.addresses, works, strict=True):
        if failures:
            print(f"{failures[-1]}. Trying the next address", file=sys.stderr)
        try:
            _fetch(address, work, timeout)
            _install(archive, work, target)
            break
        except (KpError, HTTPException, OSError, ValueError) as error:
            if getattr(error, "errno", None) in DISK_FULL:
                raise KpError(f"cannot write to {work}: {error}. Free some space and run the command again") from error
            failures.append(f"cannot download {address}: {error}")
    else:
        raise_problems(failures, "failed downloads")
    for work in works:
        shutil.rmtree(work, ignore_errors=True)
    print(f"{target} is complete")


def _fetch(address: str, work: Path, timeout: float) -> None:
    """Download a file to `work/archive`; continue an earlier attempt unless the file has changed on the server."""
    file, note = work / "archive", work / "about.json"
    known, start = {}, 0
    with suppress(KpError, KeyError, OSError):  # there is nothing to continue
        known = read_json(note)
        start = file.stat().st_size if known["address"] == address else 0
    if start and start == known.get("size"):
        return
    headers = {"User-Agent": "kp_tf"}
    if start and known.get("validator"):  # without a validator nothing would tell that the file has changed
        headers |= {"Range": f"bytes={start}-", "If-Range": known["validator"]}
    print(f"downloading {address}", file=sys.stderr)
    try:
        with urlopen(Request(address, headers=headers), timeout=timeout) as response:
            start = start if response.status == 206 else 0
            about = _identity(address, response, start)
            if not start:
                shutil.rmtree(work, ignore_errors=True)
                work.mkdir(parents=True)
                write_json(note, about)
            if not start or about == known:
                return _append(response, file, start, about["size"])
    except HTTPError as error:
        error.close()
        if error.code != 416 or "Range" not in headers:  # 416: the file is now shorter than `start`
            raise
    shutil.rmtree(work)
    _fetch(address, work, timeout)


def _identity(address: str, response: HTTPResponse, start: int) -> dict[str, Any]:
    """Describe the whole file that a response holds from byte `start` on. If-Range accepts no weak ETag."""
    etag = response.headers.get("ETag", "W/")
    validator = response.headers.get("Last-Modified") if etag.startswith("W/") else etag
    size = None if response.length is None else start + response.length
    return {"address": address, "validator": validator, "size": size}


def _append(response: HTTPResponse, file: Path, start: int, size: int | None) -> None:
    with file.open("ab") as out, _with_progress(response, size, start) as body:
        shutil.copyfileobj(body, out)
    received = file.stat().st_size
    if size not in (None, received):
        raise KpError(f"connection lost after {received:,} of {size:,} bytes. Run the command again to continue")


def _with_progress(response: HTTPResponse, size: int | None, start: int) -> AbstractContextManager:
    """The response, with a progress bar if tqdm is installed."""
    if not find_spec("tqdm"):
        return nullcontext(response)
    from tqdm import tqdm

    return tqdm.wrapattr(response, "read", size, initial=start)


def _install(archive: Archive, work: Path, target: Path) -> None:
    """Unpack `work/archive`, and rename the folder that holds the data set to `target` if it is complete.

    Raises:
        KpError: if the archive is damaged, hostile or incomplete. It is deleted, since it would fail again.
        OSError: if the disk is full. The archive is kept.
    """
    unpacked = work / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)  # from an attempt that was killed
    print(f"unpacking {work / 'archive'}", file=sys.stderr)
    try:
        unpack(work / "archive", unpacked)
        files = (path for what in archive.counts for path in sorted(unpacked.rglob(what)))
        root = next((path.parent for path in files), unpacked)
        _check(archive, root)
        root.rename(target)
    except KpError as error:
        shutil.rmtree(work, ignore_errors=True)
        raise KpError(f"unusable archive: {error}") from error
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)


def _check(archive: Archive, folder: Path) -> None:
    """Raise KpError unless a folder contains everything that `archive.counts` asks for."""
    for what, expected in archive.counts.items():
        if what.endswith(".xml"):
            samples = read_dlib_xml(folder / what, IBUG68, labelled=False).checked()
            kind, count, names = "image entries in", len(set(samples.entries)), samples.files
        else:
            names = [path.name for path in folder.glob(what)]
            kind, count = "files that match", len(names)
        if count != expected:
            raise KpError(f"expected {expected:,} {kind} {what}, found {count:,}")
        if missing := [name for name in dict.fromkeys(names) if not (folder / name).is_file()]:
            raise KpError(f"images missing from {what}: {len(missing):,}, the first is {missing[0]}")
