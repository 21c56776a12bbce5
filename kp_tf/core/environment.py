"""From the shell to a function and back to an exit status."""

import gc
import importlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from kp_tf.core.errors import KpError

PRECISIONS = ("auto", "float32", "mixed_bfloat16")  # see precision.py


# what TensorFlow reads when it starts; a user's own setting goes before
SETTINGS = {
    "TF_CPP_MIN_LOG_LEVEL": "3",  # what it cannot do without raises an error in Python too
    # else large activations go back to the kernel and are faulted in again: on two cores with avx512_bf16 ResNet18
    # predicted up to twice as fast with it in one run, and as fast in others
    "TF_CPU_ALLOCATOR_USE_BFC": "1",
}


def settle() -> None:
    """Set what helps every user, unless the environment has it; before TensorFlow is imported."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)


def exit_status(command: str, **arguments: object) -> int:
    """Run a command for the shell: 0; or the error's status (2; 1 where some was done) and its text on stderr; or
    130 after Ctrl-C.

    Args:
        command: `module:function`, imported only now, so that `--help` need not wait for TensorFlow.
        arguments: of the function.
    """
    name, function = command.split(":")
    settle()
    with held_stderr():
        module = importlib.import_module(name)
    try:
        getattr(module, function)(**arguments)
    except KpError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    finally:
        gc.collect()  # an iterator of tf.data that calls Python hangs where Python is already ending
    return 0


@contextmanager
def held_stderr() -> Iterator[None]:
    """Hold back TensorFlow's start-up chatter; show it where the import fails.

    Its C++ side writes some of it before any setting from Python is read, so the file descriptor itself is
    turned away.
    """
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
