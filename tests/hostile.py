"""Changed JSON and arrays: every entry of a file, each replaced with values that no training writes."""

import json
from contextlib import suppress

import numpy as np

from kp_tf.core.errors import KpError

VALUES = (None, "", "\ud800", "a\0b", -1, 0, 1e308, float("nan"), 10**40, True, [], [[[1]]], {}, {"a": 1})
ARRAYS = (
    *(np.zeros(()), np.zeros(0), np.zeros((3, 1, 2)), np.array("text"), np.array([True]), np.array([1j])),
    *(np.array(np.nan), np.array(2**63, np.uint64), np.array(-1)),
)


def changed_json(content):
    """The name of each entry and value, and the content with the value there; also without it, and with another."""
    for path in _places(content):
        *above, last = path
        name = ".".join(map(str, path))
        for value in VALUES:
            yield f"{name} = {value!r}", _with(content, above, last, value)
        yield f"{name} is missing", _with(content, above, last)
        if isinstance(_at(content, path), dict):
            yield f"{name} has an extra entry", _with(content, path, "extra", 1)
    for value in VALUES:
        yield f"the whole is {value!r}", value


def changed_arrays(arrays):
    """The same for the arrays of an `.npz`, and each array of other types and with numbers that are not finite."""
    for name, array in arrays.items():
        others = [array[None], array.astype("S8"), np.ones(array.shape, np.complex128)]
        if array.dtype.kind == "f":
            others += [array.astype(np.int32), np.full_like(array, np.nan), np.full_like(array, np.inf)]
        for value in (*ARRAYS, *others):
            yield f"{name} = {value.dtype} {value.shape} {value.ravel()[:1]}", arrays | {name: value}
        yield f"{name} is missing", {other: value for other, value in arrays.items() if other != name}
    yield "an extra array", arrays | {"extra": np.zeros(3)}


def escapes(changes, write, *readers):
    """What the readers raised for each changed content, but for the project's own error."""
    found = []
    for name, content in changes:
        write(content)
        for read in readers:
            try:
                with suppress(KpError):
                    read()
            except Exception as error:
                found.append(f"{name}: {error!r}")
    return found


def json_writer(path):
    return lambda content: path.write_text(json.dumps(content))


def npz_writer(path):
    return lambda arrays: np.savez(path, **arrays)


def read_arrays(path):
    with np.load(path) as arrays:
        return dict(arrays)


def _places(content, path=()):
    """Paths to every entry; of a list, to its first alone."""
    inner = content.items() if isinstance(content, dict) else enumerate(content[:1])
    for key, value in inner:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from _places(value, (*path, key))


def _at(content, path):
    for key in path:
        content = content[key]
    return content


def _with(content, above, last, *value):
    copy = json.loads(json.dumps(content))
    inner = _at(copy, above)
    if value:
        inner[last] = value[0]
    else:
        del inner[last]
    return copy
