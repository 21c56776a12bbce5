"""Coverage-guided fuzzing of every reader: bytes with which one neither returns nor raises KpError.

Needs the extra `fuzz` (atheris, on Linux). Each reader gets an equal share of the time, in a process of its own. An
input that ends in another exception is recorded once for each place that raises, and the search goes on; one that
takes ten seconds of the processor is recorded as well; one that does not end, or takes two gigabytes, ends the
process, which is started again.
"""

import argparse
import hashlib
import importlib
import math
import re
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from kp_tf.core.errors import KpError

INSTRUMENTED = ["kp_tf", "PIL", "defusedxml", "starlette", "zipfile", "tarfile", "json", "xml"]
WITH_KERAS = ("keras", "checkpoint")
MAX_SECONDS, MAX_MEGABYTES = 10, 2048  # of the processor for one input, and of the process
MAX_WAIT = 120  # seconds by the clock, which other programs prolong
PRINTED = {  # by the process of a reader
    "begin": r"begin: (\d+)",
    "inputs": r"stat::number_of_executed_units:\s*(\d+)",
    "coverage": r"cov: (\d+)",
}


def main() -> None:
    """Fuzz all readers or one of them, print what was reached, and end with status 1 if an input escaped."""
    from benchmarks.fuzz_readers import READERS

    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60, help="in all, but for the starts of the processes (60)")
    parser.add_argument("--reader", choices=READERS, help="fuzz this one alone")
    out = Path(tempfile.gettempdir(), "kp_tf-fuzz")
    parser.add_argument("--out", metavar="DIR", type=Path, default=out, help=f"of logs and escapes (default: {out})")
    parser.add_argument("--inside", type=float, help=argparse.SUPPRESS)  # the seconds of the process of one reader
    options = parser.parse_args()
    if options.inside:
        _fuzz(options.reader, options.inside, options.out)
    names = [options.reader] if options.reader else list(READERS)
    print(f"{'reader':14}{'inputs':>12}{'inputs/s':>10}{'coverage':>10}{'escapes':>9}   of {options.out}", flush=True)
    escaped = 0
    for name in names:
        try:
            escaped += _share(name, 60 * options.minutes / len(names), options.out)
        except KpError as error:
            print(error, flush=True)
            escaped += 1
    sys.exit(escaped > 0)


def _share(name: str, seconds: float, out: Path) -> int:
    """Fuzz one reader for its share of the time; returns the number of inputs that escaped."""
    folder, passed, inputs, coverage = out / name, 0.0, 0, 0
    (folder / "found").mkdir(parents=True, exist_ok=True)
    known = set(_escapes(folder))
    with (folder / "log.txt").open("w+b") as log:
        while passed < seconds - 1:
            begin = log.tell()
            command = [sys.executable, "-m", "benchmarks.fuzz", "--reader", name, "--inside", str(seconds - passed)]
            subprocess.run([*command, "--out", str(out)], stdout=log, stderr=log, check=False)
            end = time.time()
            log.seek(begin)
            text = log.read().decode(errors="replace")
            counts = {what: [int(number) for number in re.findall(pattern, text)] for what, pattern in PRINTED.items()}
            inputs += sum(counts["inputs"])
            coverage = max([coverage, *counts["coverage"]])
            if not counts["begin"]:
                raise KpError(f"{name} did not begin; see {folder / 'log.txt'}")
            passed += end - counts["begin"][0]
    new = [path for path in _escapes(folder) if path not in known]
    print(f"{name:14}{inputs:>12,}{inputs / passed:>10.0f}{coverage:>10,}{len(new):>9}", flush=True)
    for path in new:
        print(f"    {path}", flush=True)
    return len(new)


def _escapes(folder: Path) -> list[Path]:
    kinds = ("escape-", "timeout-", "oom-", "crash-", "leak-")
    return sorted(path for path in folder.glob("*-*") if path.name.startswith(kinds) and path.suffix != ".txt")


def _fuzz(name: str, seconds: float, out: Path) -> None:
    """Search for inputs in this process, until libFuzzer ends it."""
    import atheris  # pyright: ignore[reportMissingImports]

    folder = out / name
    for package in ("numpy", *(("keras",) if name in WITH_KERAS else ())):
        importlib.import_module(package)  # without instrumentation, which would take minutes
    with atheris.instrument_imports(include=INSTRUMENTED):  # pyright: ignore[reportAttributeAccessIssue]
        from benchmarks.fuzz_readers import CORPUS, READERS

        read = READERS[name]
        seeds = [path.read_bytes() for path in sorted((CORPUS / name).glob("*"))]
        for seed in seeds:  # the reader imports its modules when it is called
            _attempt(read, seed, folder, math.inf)
    words = {word for seed in seeds for word in re.findall(rb"[A-Za-z_]{3,24}", seed)}
    (folder / "words.txt").write_bytes(b"".join(b'"%b"\n' % word for word in sorted(words)[:500]))
    settings = {
        "max_total_time": max(1, round(seconds)),
        "timeout": MAX_WAIT,
        "rss_limit_mb": MAX_MEGABYTES,
        "artifact_prefix": f"{folder}/",
        **({"dict": folder / "words.txt"} if words else {}),  # libFuzzer refuses an empty one
        "print_final_stats": 1,
        "max_len": max(4096, *(2 * len(seed) for seed in seeds)),
    }
    flags = [f"-{flag}={value}" for flag, value in settings.items()]
    atheris.Setup(
        [sys.argv[0], *flags, str(folder / "found"), str(CORPUS / name)], lambda data: _attempt(read, data, folder)
    )
    print("begin:", int(time.time()), flush=True)
    atheris.Fuzz()


def _attempt(read: Callable[[bytes], object], data: bytes, folder: Path, seconds: float = MAX_SECONDS) -> None:
    """Read an input; one that escapes is recorded, the first of each place in the code."""
    start, escape = time.process_time(), None
    try:
        read(data)
    except KpError:
        pass
    except Exception as error:
        escape = error
    if escape is None and (taken := time.process_time() - start) > seconds:
        escape = TimeoutError(f"it took {taken:.0f} seconds")
    if escape is None:
        return
    frames = traceback.extract_tb(escape.__traceback__)
    place = [(frame.filename, frame.lineno) for frame in frames if "kp_tf" in frame.filename]
    key = hashlib.sha256(repr((type(escape), place)).encode()).hexdigest()[:12]
    path = folder / f"escape-{type(escape).__name__}-{key}"
    if not path.exists():
        path.write_bytes(data)
        path.with_suffix(".txt").write_text("".join(traceback.format_exception(escape)), errors="backslashreplace")


if __name__ == "__main__":
    main()
