"""Commands of kp-tf in processes of their own."""

import os
import sys
from pathlib import Path

# -P: a file in the project's folder must not be taken for a module
PROGRAM = (sys.executable, "-P", "-m", "kp_tf")
PACKAGE = Path(__file__).parents[3]
ERROR = "error: "  # begins the line in which a command says why it ends


def environment() -> dict[str, str]:
    """Of a process that finds this package, wherever it runs, and whose output is there at once."""
    paths = [str(PACKAGE), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}


def last_words(output: str) -> str:
    """The last error in what a command has printed or, if there is none, its last line; empty if it printed nothing."""
    lines = [line.strip() for line in output.splitlines()]
    errors = [line for line in lines if line.startswith(ERROR)]
    return (errors or [line for line in lines if line] or [""])[-1]
