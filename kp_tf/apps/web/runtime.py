"""LiteRT.js, which runs a network in the browser: the files of its packages, whose versions and contents are pinned."""

import base64
import gzip
import hashlib
import io
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kp_tf.core.errors import KpError

SECONDS = 300  # that a download may take
PAGE = "docs/web.md#the-runtime"


@dataclass(frozen=True)
class Package:
    """A package of npm: its name, its version, and the SHA-512 of its archive as npm states it."""

    name: str
    version: str
    integrity: str

    @property
    def archive(self) -> str:
        """The name that `npm pack` gives its archive."""
        return f"{self.name.removeprefix('@').replace('/', '-')}-{self.version}.tgz"


CORE = Package(
    "@litertjs/core",
    "2.5.3",
    "sha512-PlGmbMOq9WitX7FO0jhbdJw9GthatsyuCQXjTt/wJZo0FLaw48q4tz8IwqgqCIkviYGr9OFDL1kCnN4nzWoyJQ==",
)
LOADER = Package(
    "@litertjs/wasm-utils",
    "2.5.3",
    "sha512-4fJiw6tBQnIs+0jH/OQ16nYOiSl8/+zZnn5h2ul8aTKHi05sVqZW580Tmk78pC2kT39A9OYBVdFawteZ/sI1kQ==",
)
KINDS = ("litert_wasm_internal", "litert_wasm_compat_internal")  # with relaxed SIMD, and without


def runtime_files(folder: Path | None) -> dict[str, bytes]:
    """The runtime's files of a site, by their names in its folder `runtime`.

    Args:
        folder: with the archives that `npm pack` writes. None: the user's own npm fetches them.

    Raises:
        KpError: if there is no npm, it fails, or an archive is missing or has other contents than those pinned.
    """
    binaries = [f"wasm/{kind}.{ending}" for kind in KINDS for ending in ("js", "wasm")]
    with _archives(folder) as found:
        core = _members(CORE, found, ["dist/index.js", *binaries])
        loader = _members(LOADER, found, ["dist/index.js"])["dist/index.js"]
    # a browser does not resolve the names of packages
    index = core["dist/index.js"].replace(f'"{LOADER.name}"'.encode(), b'"./loader.js"')
    files = {"index.js": index, "loader.js": loader}
    for kind in KINDS:
        files[f"{kind}.js"] = core[f"wasm/{kind}.js"]
        files[f"{kind}.wasm.gz"] = gzip.compress(core[f"wasm/{kind}.wasm"], mtime=0)
    return files


@contextmanager
def _archives(folder: Path | None) -> Iterator[Path]:
    """The folder with the archives, or one into which npm fetches them."""
    if folder is not None:
        yield folder
        return
    if not (npm := shutil.which("npm")):
        raise KpError(
            f"--to web fetches LiteRT.js with npm, which is not installed: install Node.js, or name a folder that has"
            f" {CORE.archive} and {LOADER.archive} with --runtime ({PAGE})"
        )
    with tempfile.TemporaryDirectory() as temporary:
        names = [f"{package.name}@{package.version}" for package in (CORE, LOADER)]
        command = [npm, "pack", "--loglevel=error", "--ignore-scripts", "--pack-destination", temporary, *names]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, errors="replace", timeout=SECONDS, check=False, cwd=temporary
            )
        except subprocess.TimeoutExpired:
            raise KpError(f"npm took over {SECONDS} seconds: try again, or use --runtime ({PAGE})") from None
        if done.returncode:
            what = " and ".join(names)
            raise KpError(f"npm could not fetch {what}: {_reason(done.stderr)}; or use --runtime ({PAGE})")
        yield Path(temporary)


def _reason(said: str) -> str:
    """What npm gives as the reason, whose first line is a code."""
    lines = [re.sub(r"^npm (error|ERR!)", "", line).strip() for line in said.splitlines()]
    return next((line for line in lines if line and not line.startswith("code ")), "it gives no reason")


def _members(package: Package, folder: Path, names: list[str]) -> Mapping[str, bytes]:
    """Files of a package by their names, from its archive in this folder. Raises KpError."""
    path = folder / package.archive
    try:
        content = path.read_bytes()
    except OSError as error:
        command = f"npm pack {package.name}@{package.version}"
        raise KpError(f"cannot read {path}: {error.strerror}; `{command}` writes it") from None
    digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
    if f"sha512-{digest}" != package.integrity:
        raise KpError(f"{path} is not {package.name} {package.version} as it was published: its SHA-512 differs")
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return {name: archive.extractfile(f"package/{name}").read() for name in names}  # type: ignore[union-attr]
