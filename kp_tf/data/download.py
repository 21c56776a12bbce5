"""The published archives: fetched, going on where an earlier attempt stopped, checked and unpacked.

Nobody publishes check sums of them: what arrived is known by its length, by the archive's own check sums and
by the number of files and entries.
"""

import gzip
import shutil
import stat
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PurePosixPath, PureWindowsPath
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse
from tqdm import tqdm

from kp_tf.core.errors import KpError, raise_all
from kp_tf.core.files import read_json, write_json

CHUNK = 1 << 16  # bytes held at a time
TIMEOUT = 60  # seconds without a byte
UNPACKED_LIMIT = 20  # unpacked bytes per byte of the archive; photographs are near 1
FAULTS = (  # of the archive itself, so that fetching it again is the only help
    EOFError,
    RuntimeError,
    ValueError,
    gzip.BadGzipFile,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True)
class Archive:
    """A published set of photographs.

    Attributes:
        folder: its folder in the data folder.
        addresses: where it is published, in the order they are tried.
        counts: what a complete folder holds. A key such as ".jpg" counts the files that end so; any other key
            is a dlib XML file, whose `<image>` entries are counted and whose photographs must be there.
    """

    folder: str
    addresses: tuple[str, ...]
    counts: Mapping[str, int]


IMM = Archive(
    folder="imm_face_db",
    addresses=(
        "https://web.archive.org/web/20210305094647/http://www2.imm.dtu.dk/~aam/datasets/imm_face_db.tar.gz",
        "http://datasets.openimaj.org/imm_face_db.zip",
    ),
    counts={".jpg": 240, ".asf": 240},
)
IBUG = Archive(
    folder="ibug_300W_large_face_landmark_dataset",
    addresses=("http://dlib.net/files/data/ibug_300W_large_face_landmark_dataset.tar.gz",),
    counts={"labels_ibug_300W_train.xml": 6666, "labels_ibug_300W_test.xml": 1008},
)
ARCHIVES = {"imm": IMM, "ibug": IBUG}


def download(archive: str | Archive, data: Path) -> None:
    """Fetch and unpack an archive into its folder of the data folder; a complete folder is left alone.

    Args:
        archive: "imm", "ibug" or any other `Archive`.
        data: the data folder, made where it is missing.

    Raises:
        KpError: if the folder is there and not complete, or no address gives a complete archive. The folder
            is then as it was; a part of the archive may stay beside it for the next attempt.
    """
    archive = ARCHIVES[archive] if isinstance(archive, str) else archive
    target = Path(data) / archive.folder
    if target.exists():
        if found := _problems(archive, target):
            raise KpError(f"{target} is in the way: {found}. Move it, or choose another data folder")
        print(f"{target} is complete already; nothing was fetched.")
        return
    failures = []
    for address in archive.addresses:
        if failures:
            print(f"{failures[-1]}. Trying the next address", file=sys.stderr)
        try:
            _obtain(archive, address, target)
            break
        except KpError as error:
            failures.append(str(error))
    else:
        raise_all(failures, "addresses that did not give the archive")
    for address in archive.addresses:
        _drop(_part(address, target))
    print(f"{', '.join(_counted(*pair) for pair in archive.counts.items())} are now in {target}")


def _obtain(archive: Archive, address: str, target: Path) -> None:
    """Fetch one address and unpack it into the target folder, or raise KpError and leave no target."""
    part = _part(address, target)
    print(f"fetching {address}", file=sys.stderr)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _fetch(address, part)
    except (OSError, HTTPException, ValueError) as error:
        found = str(error) or type(error).__name__
        raise KpError(f"{address}: expected an archive, found: {found}") from error
    print(f"unpacking {part}", file=sys.stderr)
    try:
        _install(archive, part, target)
    except (KpError, *FAULTS) as error:
        _drop(part)
        raise KpError(f"{address}: what arrived cannot be used: {error}") from error
    except OSError as error:  # a full disk: what was fetched is kept
        raise KpError(f"{part}: could not be unpacked: {error}. It is kept for the next attempt") from error


# Fetching: FILE.part holds the bytes so far, FILE.json what the server said of the whole file.


def _part(address: str, target: Path) -> Path:
    return target.parent / f"{PurePosixPath(urlsplit(address).path).name}.part"


def _drop(part: Path) -> None:
    part.unlink(missing_ok=True)
    part.with_suffix(".json").unlink(missing_ok=True)


def _about(address: str, response: HTTPResponse, start: int) -> dict:
    """What identifies the whole file. If-Range takes no weak ETag."""
    etag = response.headers.get("ETag", "W/")
    validator = response.headers.get("Last-Modified") if etag.startswith("W/") else etag
    size = None if response.length is None else start + response.length
    return {"address": address, "validator": validator, "size": size}


def _earlier(address: str, part: Path) -> tuple[int, dict]:
    """Bytes held from an earlier attempt at this address, and what was known of the file; else 0 and {}."""
    try:
        about = read_json(part.with_suffix(".json"))
        if about["address"] == address and (about["validator"] or about["size"]):
            return part.stat().st_size, about
    except (KpError, OSError, LookupError):
        pass  # no earlier attempt, or one that broke off at once: start afresh
    return 0, {}


def _fetch(address: str, part: Path) -> None:
    """Stream the file at an address into `part`, from where an earlier attempt at the same file stopped.

    Raises:
        KpError: if the connection ends early.
        OSError, HTTPException: if it fails in another way.
    """
    start, about = _earlier(address, part)
    if start and start == about["size"]:
        return
    start = start if about.get("validator") else 0  # without one, the file may have changed
    request = Request(address, headers={"User-Agent": "kp_tf"})
    if start:
        request.add_header("Range", f"bytes={start}-")
        request.add_header("If-Range", about["validator"])
    try:
        with urlopen(request, timeout=TIMEOUT) as response:
            start = start if response.status == 206 else 0
            if not start or _about(address, response, start) == about:
                return _stream(response, address, part, start)
    except HTTPError as error:
        error.close()  # it holds the connection
        if error.code != 416 or not start:  # 416: the file is no longer than what is held
            raise
    _drop(part)
    _fetch(address, part)


def _stream(response: HTTPResponse, address: str, part: Path, start: int) -> None:
    """Write the body of a response to `part` from byte `start` on, and check the length of the whole."""
    about = _about(address, response, start)
    if not start:
        _drop(part)  # before the note, which must never stand beside bytes of another file
        write_json(part.with_suffix(".json"), about)
    bar = tqdm(desc=part.stem, total=about["size"], initial=start, unit="B", unit_scale=True)
    with part.open("ab") as file, bar:
        while chunk := response.read(CHUNK):
            file.write(chunk)
            bar.update(len(chunk))
    if about["size"] not in (None, found := part.stat().st_size):
        raise KpError(
            f"{address}: expected {about['size']:,} bytes, found {found:,}: the connection ended early; "
            "run the same command to go on"
        )


# Unpacking: into a folder beside the target, which appears by one rename.


def _install(archive: Archive, part: Path, target: Path) -> None:
    """Unpack, find the folder that holds the set (the top or one below it), check it, give it its name."""
    staging = target.with_name(f"{target.name}.unpacking")
    shutil.rmtree(staging, ignore_errors=True)  # of an attempt that was killed
    try:
        staging.mkdir()
        _unpack(part, staging)
        folders = [staging, *sorted(path for path in staging.iterdir() if path.is_dir())]
        best = max(folders, key=lambda folder: sum(len(_names(folder, what)) for what in archive.counts))
        if found := _problems(archive, best):
            raise KpError(found)
        best.rename(target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _unpack(path: Path, into: Path) -> None:
    """Unpack a tar.gz or zip, known by its first bytes, into a folder.

    Raises:
        KpError: for a member that leaves the folder, is no file or folder, or makes the whole too large.
    """
    with path.open("rb") as file:
        head = file.read(40)
    members = _tar_members if head.startswith(b"\x1f\x8b") else _zip_members if head[:2] == b"PK" else None
    if members is None:
        raise KpError(f"expected a tar.gz or zip archive, found a file that begins with {head!r}")
    room = UNPACKED_LIMIT * path.stat().st_size
    for name, size, is_plain, extract in members(path):
        inside = PureWindowsPath(name)  # splits at / and \, knows drives: strict on every system
        if inside.anchor or ".." in inside.parts:
            raise KpError(f"member {name!r} leaves the folder")
        if not is_plain:
            raise KpError(f"member {name!r} is a link or device")
        room -= size
        if room < 0:
            raise KpError(f"unpacked it passes {UNPACKED_LIMIT} times the archive's own size at {name!r}")
        extract(path=into)


Member = tuple[str, int, bool, Callable[..., object]]  # name, bytes, is it file or folder, extract(path=…)


def _tar_members(path: Path) -> Iterator[Member]:
    with tarfile.open(path, "r:gz") as tar:
        tar.extraction_filter = getattr(tarfile, "data_filter", None)  # from Python 3.11.4 on
        for member in tar:
            is_plain = member.isfile() or member.isdir()
            # a file gets the user's own permissions; a folder is made for its owner alone until it gets its own
            yield member.name, member.size, is_plain, partial(tar.extract, member, set_attrs=member.isdir())
        while tar.fileobj.read(CHUNK):  # to its end, where gzip compares its check sum
            pass


def _zip_members(path: Path) -> Iterator[Member]:
    with zipfile.ZipFile(path) as file:
        for member in file.infolist():
            kind = stat.S_IFMT(member.external_attr >> 16)  # 0 where the archive was not made on Unix
            is_plain = kind in (0, stat.S_IFREG, stat.S_IFDIR)
            yield member.filename, member.file_size, is_plain, partial(file.extract, member)


def _names(folder: Path, what: str) -> list[str]:
    """The files in a folder that end in a suffix, or the photographs its XML file lists; see `Archive`."""
    if what.startswith("."):
        return [path.name for path in folder.iterdir() if path.suffix.lower() == what]
    if not (folder / what).is_file():
        return []
    names = []
    try:
        with (folder / what).open("rb") as file:
            for _, element in iterparse(file):
                if element.tag == "image":
                    names.append(element.get("file", ""))
                    element.clear()
    except (ParseError, DefusedXmlException) as error:
        raise KpError(f"{folder / what}: no valid XML: {error}") from error
    return names


def _counted(what: str, count: int) -> str:
    return f"{count:,} {what} files" if what.startswith(".") else f"{count:,} <image> entries of {what}"


def _problems(archive: Archive, folder: Path) -> str:
    """What a folder lacks of the counts of an archive, in one line; empty if it is complete."""
    problems = []
    for what, expected in archive.counts.items():
        names = _names(folder, what) if folder.is_dir() else []
        missing = [name for name in names if not (folder / name).is_file()]
        if len(names) != expected:
            problems.append(f"expected {_counted(what, expected)}, found {len(names):,}")
        elif missing:
            problems.append(f"{what}: {len(missing):,} photographs are not there, first {missing[0]!r}")
    return "; ".join(problems)
