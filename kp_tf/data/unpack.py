"""Unpacking of archives from the internet, which may be damaged or hostile."""

import errno
import gzip
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath
from typing import IO

from kp_tf.core.errors import KpError

MAX_EXPANSION = 20  # unpacked bytes per byte of the archive; about 1 is normal, since photographs hardly compress
BLOCK = 4096  # bytes that even an empty file counts for
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)

Member = tuple[str, int, bool, IO[bytes] | None]  # name, bytes, is it a file or folder, content of a file


def unpack(path: Path, folder: Path) -> None:
    """Write the files of a tar.gz or zip archive, recognized by its first bytes, to a folder.

    Raises:
        KpError: if the file is neither or is damaged, or if a member leaves the folder, is a link or device, or
            makes the whole too large.
        OSError: if the disk is full.
    """
    try:
        with path.open("rb") as file:
            _write_members(file, MAX_EXPANSION * (path.stat().st_size + BLOCK), folder)
    except KpError:
        raise
    except Exception as error:  # damaged archives raise many types in tarfile and zipfile, OSError among them
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            raise
        raise KpError(f"the archive is damaged: {str(error) or type(error).__name__}") from error


def _write_members(file: IO[bytes], room: int, folder: Path) -> None:
    head = file.read(40)
    file.seek(0)
    if not head.startswith((b"\x1f\x8b", b"PK")):
        raise KpError(f"neither tar.gz nor zip: the file begins with {head!r}")
    members = _zip_members(file) if head.startswith(b"PK") else _tar_members(file)
    for name, size, is_plain, content in members:
        inside = PureWindowsPath(name)  # the strictest rules: / and \ both separate folders, and drives exist
        if inside.anchor or ".." in inside.parts:
            raise KpError(f"member {name!r} leaves the folder")
        if not is_plain:
            raise KpError(f"member {name!r} is a link or device")
        room -= size + BLOCK
        if room < 0:
            raise KpError(f"member {name!r} makes it more than {MAX_EXPANSION} times as large as the archive")
        if content:
            output = folder.joinpath(*inside.parts)
            output.parent.mkdir(parents=True, exist_ok=True)
            with content, output.open("wb") as out:
                shutil.copyfileobj(content, out)


def _tar_members(file: IO[bytes]) -> Iterator[Member]:
    with gzip.open(file) as unzipped, tarfile.open(fileobj=unzipped, mode="r:") as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isfile() else None
            yield member.name, member.size, member.isfile() or member.isdir(), content
        while unzipped.read(1 << 16):  # to its end, where gzip verifies the checksum
            pass


def _zip_members(file: IO[bytes]) -> Iterator[Member]:
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            kind = stat.S_IFMT(member.external_attr >> 16)  # 0 unless the archive was made on Unix
            content = None if member.is_dir() else archive.open(member)
            yield member.filename, member.file_size, kind in (0, stat.S_IFREG, stat.S_IFDIR), content
