"""From the shell to a function and back to an exit status."""

import importlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from kp_tf.errors import KpError


def exit_status(command: str, **arguments: object) -> int:
    """Run a command for the shell: 0, 2 and the error's text on stderr, or 130 after Ctrl-C.

    Args:
        command: `module:function`, imported only now, so that `--help` need not wait for TensorFlow.
        arguments: of the function.
    """
    name, function = command.split(":")
    with _held_stderr():
        module = importlib.import_module(name)
    try:
        getattr(module, function)(**arguments)
    except KpError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


@contextmanager
def _held_stderr() -> Iterator[None]:
    """Hold back TensorFlow's start-up chatter; show it where the import fails.

    Its C++ side writes some of it before any setting from Python is read, so the file descriptor itself is
    turned away.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what it cannot do without raises an error in Python too
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(stderr, held.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
