"""Commands of kp-tf in processes of their own."""

import os
import sys
from pathlib import Path

# -P: a file in the project's folder must not be taken for a module
PROGRAM = (sys.executable, "-P", "-m", "kp_tf")
PACKAGE = Path(__file__).parents[3]


def environment() -> dict[str, str]:
    """Of a process that finds this package, wherever it runs, and whose output is there at once."""
    paths = [str(PACKAGE), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}
