"""Files that are there whole or not at all."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kp_tf.errors import KpError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, with the same suffix, renamed to it at the end or removed on an error.

    Raises:
        KpError: if the file cannot be written (no such folder, no permission, a full disk).
    """
    temporary = path.with_name(f".{path.stem}-{os.getpid()}{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise KpError(f"{path}: expected to write this file, found: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: object) -> None:
    """Write JSON that a person can read."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> dict:
    """A JSON object from a file.

    Raises:
        KpError: if the file is missing, or holds no JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise KpError(f"{path}: expected a JSON file, found: {error}") from error
    if not isinstance(content, dict):
        raise KpError(f"{path}: expected a JSON object, found: {type(content).__name__}")
    return content
