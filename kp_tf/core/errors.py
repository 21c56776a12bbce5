"""The errors that a user can fix; their text is complete, and no traceback is shown with it."""

from collections.abc import Sequence

MAX_LISTED = 20  # of many problems, so that a terminal still shows the first


class KpError(Exception):
    """An error that the user can fix. Its text says what failed and what to do."""

    status = 2  # exit status of the command


class PartialError(KpError):
    """Some of the work could not be done; the rest has been done."""

    status = 1


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
