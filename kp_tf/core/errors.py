"""The errors that a user can fix; their text is complete, and no traceback is shown with it."""

import errno
import os
import re
from collections.abc import Sequence

MAX_LISTED = 20  # of many problems, so that a terminal still shows the first
# packages of requirements.txt that are absent where the project was installed without them: import and package
_PACKAGES = {"PIL": "pillow"} | {
    name: name
    for name in ("defusedxml", "filelock", "keras", "matplotlib", "numpy", "pandas", "psutil", "tensorflow", "tqdm")
}


class KpError(Exception):
    """An error that the user can fix. Its text says what failed and what to do."""

    status = 2  # exit status of the command


class PartialError(KpError):
    """Some of the work could not be done; the rest has been done."""

    status = 1


def as_kp_error(error: BaseException) -> KpError | None:
    """What a user can fix about an error: a file that may not be read, a full disk, a package that is not installed.

    Returns:
        The error itself if it is a KpError; None if it may be a mistake in the code.
    """
    if isinstance(error, KpError):
        return error
    if isinstance(error, OSError) and isinstance(error.filename, str | bytes):
        return KpError(f"cannot use {os.fsdecode(error.filename)}: {error.strerror}")
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:  # of a write, which does not name its file
        return KpError(f"cannot write: {error.strerror}. Free some space and try again")
    if isinstance(error, ModuleNotFoundError) and (package := _PACKAGES.get(str(error.name).split(".")[0])):
        every = "pip install -r requirements.txt for everything"
        return KpError(f"this command needs {package}, which is not installed: pip install {package}, or {every}")
    return None


def raise_problems(problems: Sequence[str], what: str) -> None:
    """Raise one error for all problems, or do nothing if there are none.

    Args:
        problems: one line each, naming the file and the entry.
        what: the heading, such as "images cannot be read".

    Raises:
        KpError: if there is a problem. Its text lists the first twenty and counts them all.
    """
    if problems:
        raise KpError(format_problems(problems, what))


def format_problems(problems: Sequence[str], what: str) -> str:
    """A single problem as it is; several as a count, a heading and the first twenty."""
    if len(problems) == 1:
        return problems[0]
    rest = [f"  … and {len(problems) - MAX_LISTED} more"] if len(problems) > MAX_LISTED else []
    lines = [f"  {problem}" for problem in problems[:MAX_LISTED]]
    return "\n".join([f"{len(problems)} {what}:", *lines, *rest])


def printable(text: str) -> str:
    """Text with escapes for what would upset a terminal or cannot be encoded; line breaks stay."""
    return re.sub(r"[^\n -~\xa0-\ud7ff\ue000-\U0010ffff]", lambda match: ascii(match[0])[1:-1], text)
