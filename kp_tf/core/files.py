"""Atomic writing of files, and readers for formats that several rooms use."""

import hashlib
import json
import math
import os
import re
import tempfile
import tokenize
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np

from kp_tf.core.errors import KpError

MAX_NAME_BYTES = 255  # of a file, in most file systems
ESCAPE = "backslashreplace"  # for what UTF-8 cannot hold, which becomes an escape as JSON has it
MAX_DEPTH = 50  # levels of JSON; ours has six


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a file under a temporary name beside it and rename it once the block has succeeded.

    A link is followed, so that its target is replaced. What exists and is not a regular file, such as /dev/stdout,
    gets the finished content written into it.

    Args:
        path: the file to write or replace.

    Yields:
        The temporary path, with the same suffix. It is removed if the block fails.

    Raises:
        KpError: if the file cannot be written (no such folder, no permission, a full disk).
    """
    is_special = _is_special(path)
    target = Path(tempfile.gettempdir(), path.name) if is_special else Path(os.path.realpath(path))
    temporary = target.with_name(temporary_name(target.name, os.getpid()))
    try:
        yield temporary
        if is_special:
            with path.open("wb") as file:
                file.write(temporary.read_bytes())
        else:
            os.replace(temporary, target)
    except OSError as error:
        raise KpError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # it is not there
            temporary.unlink()


def check_writable(path: Path) -> None:
    """Refuse a path that `replacing` could not write, before the work whose result it is for.

    Raises:
        KpError: if its folder is missing or may not be written to, or if it is a folder itself.
    """
    if not os.path.isdir(path.parent):
        raise KpError(f"cannot write {path}: there is no folder {path.parent}")
    if os.path.isdir(path):
        raise KpError(f"cannot write {path}: it is a folder")
    if _is_special(path):
        return
    try:
        tempfile.TemporaryFile(dir=Path(os.path.realpath(path)).parent).close()
    except OSError as error:
        raise KpError(f"cannot write {path}: {error.strerror}") from None


def _is_special(path: Path) -> bool:
    return os.path.exists(path) and not os.path.isfile(path)  # unlike Path's methods, these never raise


def temporary_name(name: str, process: int | str) -> str:
    """The name under which a process writes a file before it renames it; shortened where it would be too long."""
    path, ending = Path(name), f"-{process}{Path(name).suffix}"
    digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:8]
    short = shortened(path.stem, MAX_NAME_BYTES - len(os.fsencode(f".{ending}")), f"-{digest}")
    return f".{short}{ending}"


def shortened(name: str, most: int, ending: str = "") -> str:
    """The name, or its beginning and this ending where it has more than `most` bytes."""
    if len(os.fsencode(name)) <= most:
        return name
    return os.fsencode(name)[: max(most - len(os.fsencode(ending)), 0)].decode(errors="ignore") + ending


def is_unicode(file: str) -> bool:
    """Whether all bytes of a file name are in the encoding of file names."""
    return not re.search(r"[\ud800-\udfff]", file)


def write_json(path: Path, content: object) -> None:
    """Write JSON that a person can read. Raises KpError if the file cannot be written."""
    with replacing(path) as temporary:
        temporary.write_bytes(json_bytes(content))


def json_bytes(content: object) -> bytes:
    """The content of a JSON file that a person can read."""
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode(errors=ESCAPE)


def read_json(path: Path) -> dict:
    """Read a JSON object from a file.

    Raises:
        KpError: if the file is missing or does not hold a JSON object.
    """
    check_regular(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise KpError(f"cannot read {path}: {error.strerror or error}") from None
    except ValueError as error:
        raise KpError(f"cannot read {path} as JSON: {error}") from error
    return parse_json(text, path)


def parse_json(text: str, where: object) -> dict:
    """Read a JSON object from text.

    Args:
        text: the JSON.
        where: the file it comes from, for messages.

    Raises:
        KpError: if it is not a JSON object, or is nested too deeply.
    """
    try:
        content = json.loads(text)
        _check_depth(content)
    except (ValueError, RecursionError) as error:
        raise KpError(f"cannot read {where} as JSON: {error}") from error
    if not isinstance(content, dict):
        raise KpError(f"{where}: expected a JSON object, found {type(content).__name__}")
    return content


def _check_depth(content: object) -> None:
    level = [content]
    for _ in range(MAX_DEPTH):
        inner = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)]
        level = [value for values in inner for value in values]
    if level:
        raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep")


def check_regular(path: Path) -> None:
    """Refuse a path that is missing, may not be read, or is a folder, or a pipe or device that might never end.

    Raises:
        KpError: saying which of these it is.
    """
    try:
        if not path.is_file():
            raise KpError(f"cannot read {path}: {'not a regular file' if path.exists() else 'no such file'}")
        path.open("rb").close()
    except OSError as error:  # of a folder that may not be entered as well, or a name that is too long
        raise KpError(f"cannot read {path}: {error.strerror}") from None


def visible(paths: Iterable[Path], folder: Path) -> list[Path]:
    """Those of the paths below a folder that are not hidden, sorted. macOS writes `._a.jpg` beside `a.jpg`."""
    return sorted(path for path in paths if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def list_folder(folder: Path) -> list[Path]:
    """What a folder holds, sorted. Raises KpError if it is none or may not be read."""
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise KpError(f"cannot read the folder {folder}: {error.strerror}") from None


def write_text(path: Path, text: str) -> None:
    r"""Write a text file as UTF-8, with \udcXX for each byte of a file name that is not UTF-8.

    Raises:
        KpError: if it cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_text(text, "utf-8", ESCAPE)


def write_files(contents: Mapping[Path, bytes]) -> None:
    """Write several files, of which none changes unless all can be written. Folders are made where they are missing.

    Raises:
        KpError: if a file cannot be written.
    """
    with ExitStack() as stack:
        for path, content in contents.items():
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                stack.enter_context(replacing(path)).write_bytes(content)
            except OSError as error:
                raise KpError(f"cannot write {path}: {error.strerror or error}") from error


def read_npz(path: Path, what: str) -> dict[str, np.ndarray]:
    """Read the arrays of an `.npz` as `np.savez` writes it. Nothing is unpickled or decompressed.

    Args:
        path: the file.
        what: what it should hold, for messages.

    Raises:
        KpError: if the file is missing or damaged, or claims arrays that are larger than the file.
    """
    check_regular(path)
    try:
        # opened here, because NumPy does not close a damaged file
        with path.open("rb") as file:
            with zipfile.ZipFile(file) as archive:
                for member in archive.infolist():
                    _check_stored(archive, member)
            file.seek(0)
            with np.load(file, allow_pickle=False) as arrays:
                return dict(arrays)
    except (
        *(OSError, ValueError, LookupError, TypeError, EOFError, RuntimeError, zipfile.BadZipFile),
        *(SyntaxError, tokenize.TokenError),  # NumPy reads an array's header as Python
    ) as error:
        raise KpError(f"{path}: expected {what}, found: {error}") from None


def _check_stored(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Refuse a member that is compressed, or an array whose header claims more bytes than it has."""
    if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
        raise ValueError(f"{member.filename} is compressed")
    with archive.open(member) as file:
        if (version := np.lib.format.read_magic(file)) != (1, 0):
            raise ValueError(f"{member.filename} is of version {version}")
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    if math.prod(shape) * dtype.itemsize > member.file_size:
        raise ValueError(f"{member.filename} claims {shape} values of {dtype}")
