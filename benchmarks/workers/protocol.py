"""Requests to a child process and its answers, each as one line of JSON.

`Worker` is the parent's end and `serve` the child's. Workers also run in virtual environments in which kp_tf is not
installed, so this module imports the standard library alone; a worker imports it from its own folder.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Self, TypeVar, cast

T = TypeVar("T")
SHOWN = 2000  # characters of a failed worker's output that its error repeats: a traceback


class Worker:
    """A child process that answers requests until it is closed.

    Attributes:
        started: `time.perf_counter()` just before the process was started.
    """

    def __init__(self, python: str, script: Path, settings: Mapping[str, object], variables: Mapping[str, str]):
        """Start the process.

        Args:
            python: the interpreter.
            script: a program that calls `serve`.
            settings: what its call of `settings` returns; as JSON can hold them.
            variables: its environment variables.
        """
        self._script = script
        self._log = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 (closed by `close`)
        # a pipe of its own, because libraries print to stdout
        reading, writing = os.pipe()
        self.started = time.perf_counter()
        self._process = subprocess.Popen(
            [python, script, json.dumps(settings), str(writing)],
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            text=True,
            env=variables,
            pass_fds=[writing],
        )
        os.close(writing)
        self._requests, self._answers = cast(IO[str], self._process.stdin), os.fdopen(reading)

    def ask(self, task: str, **arguments: object) -> Any:
        """Return the answer to one request.

        Args:
            task: the name of one of the functions that the child passes to `serve`.
            arguments: that function's arguments, as JSON can hold them.

        Raises:
            KpError: if the process ended instead. The error repeats the end of what it printed.
        """
        with suppress(BrokenPipeError):
            self._requests.write(json.dumps([task, arguments]) + "\n")
            self._requests.flush()
        if line := self._answers.readline():
            return json.loads(line)
        from kp_tf.core.errors import KpError  # the parent alone has it

        self._process.wait()
        self._log.seek(0)
        raise KpError(f"{self._script.name} ended during {task}:\n{self._log.read()[-SHOWN:]}")

    def close(self) -> None:
        """End the process."""
        with suppress(BrokenPipeError):
            self._requests.close()
        self._process.wait()
        self._answers.close()
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def serve(*tasks: Callable) -> None:
    """Answer requests from stdin, each with the function of that name, until stdin is closed."""
    by_name = {task.__name__: task for task in tasks}
    with os.fdopen(int(sys.argv[2]), "w") as answers:
        for line in sys.stdin:
            name, arguments = json.loads(line)
            print(json.dumps(by_name[name](**arguments)), file=answers, flush=True)


def settings() -> dict:
    """Return the settings with which the parent started this worker."""
    return json.loads(sys.argv[1])


def part_of(image: Any, window: list[int] | None, scale: float) -> Any:
    """Return a window (left, top, width, height) of a Pillow image, or all of it, resized by a factor.

    Boxes that are found in it are in its own pixels.
    """
    if window:
        left, top, width, height = window
        image = image.crop((left, top, left + width, top + height))
    return image if scale == 1 else image.resize((round(image.width * scale), round(image.height * scale)))


def timed(function: Callable[..., T], *arguments: Any, **settings: Any) -> tuple[T, float]:
    """Call a function; return its result and the seconds that it took."""
    start = time.perf_counter()
    return function(*arguments, **settings), time.perf_counter() - start


def repeat(function: Callable[[], object], times: int) -> float:
    """Call a function so many times; return the seconds that they took together."""
    return timed(lambda: [function() for _ in range(times)])[1]


def seconds_of_call(function: Callable[[], object], seconds: float) -> float:
    """Call a function once to warm up and then for at least `seconds`; return the mean seconds of a call."""
    function()
    count, start = 0, time.perf_counter()
    while (passed := time.perf_counter() - start) < seconds:
        function()
        count += 1
    return passed / count
