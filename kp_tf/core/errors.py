"""The project's error: which file and entry, what was expected, what was found."""

from collections.abc import Sequence

SHOWN = 20  # of many problems, so that a terminal still shows the first


class KpError(Exception):
    """Something the user can mend. Its text is complete: no traceback is shown with it."""

    status = 2  # of the command


class PartlyError(KpError):
    """Some of the work could not be done, and the rest is done."""

    status = 1


def raise_all(problems: Sequence[str], what: str, skipped: list[str] | None = None) -> None:
    """Raise one error that names the first twenty problems and counts all; do nothing when there are none.

    Args:
        problems: one line each, naming file and entry, what was expected and what was found.
        what: the head line, such as "images that cannot be read".
        skipped: where the caller goes on without what is bad: gets the problems, and nothing is raised.

    Raises:
        KpError: if there is a problem.
    """
    if skipped is not None:
        skipped.extend(problems)
        return
    if not problems:
        return
    raise KpError(listed(problems, what))


def listed(problems: Sequence[str], what: str) -> str:
    """One problem as it is; of many their count, `what` they are, and the first twenty."""
    if len(problems) == 1:
        return problems[0]
    rest = [f"  … and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
    lines = [f"  {problem}" for problem in problems[:SHOWN]]
    return "\n".join([f"{len(problems)} {what}:", *lines, *rest])
