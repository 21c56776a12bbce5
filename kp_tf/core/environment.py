"""What has to happen before TensorFlow is imported and before anything is printed, and whether anybody reads it."""

import codecs
import io
import json
import os
import select
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

DEFAULTS = {
    "TF_CPP_MIN_LOG_LEVEL": "3",  # every failure that matters is raised in Python as well
    # Without it large activations go back to the kernel and are faulted in again: on two cores with avx512_bf16,
    # ResNet18 predicted up to twice as fast with it in one run, and equally fast in others.
    "TF_CPU_ALLOCATOR_USE_BFC": "1",
}


def set_environment_defaults() -> None:
    """Set what helps every user of TensorFlow. Existing environment variables take precedence."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)


def escape_output() -> None:
    """Print what the encoding of a terminal or pipe cannot hold as JSON's escapes, so that JSON stays JSON."""
    codecs.register_error("json", _json_escapes)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # not if the caller replaced it
            stream.reconfigure(errors="json")


def _json_escapes(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


@contextmanager
def captured_stderr() -> Iterator[None]:
    """Hold back the start-up messages of TensorFlow and LiteRT; print them if the block fails.

    Their C++ code writes before any setting from Python is read, so the file descriptor itself is redirected.
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


def is_stdout_closed() -> bool:
    """Whether nobody reads the output any more; it is then discarded, because Python writes the rest at its end."""
    poll = select.poll()
    poll.register(sys.stdout, 0)  # errors are always reported
    if closed := bool(poll.poll(0)):
        _discard_output()
    return closed


def drop_unwritable_output() -> None:
    """Discard the output if it cannot be written, such as to a full disk; Python would try again at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        _discard_output()


def _discard_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
