"""`kp-tf convert`: labels from one format to another."""

import os
import tempfile
from dataclasses import replace
from pathlib import Path

from kp_tf.core.errors import KpError, format_problems
from kp_tf.core.files import write_files
from kp_tf.data.formats import FORMATS, find_format, kaggle_csv
from kp_tf.data.samples import Samples


def convert(
    source: Path,
    target: Path,
    to: str,
    source_format: str | None = None,
    skip_bad: bool = False,
    allow_outside: bool = False,
    overwrite: bool = False,
) -> None:
    """Write labels in another format. Photographs stay where they are; those inside Kaggle's CSV become PNGs.

    Args:
        source: the labels, a file or a folder.
        target: the file to write, or the folder if the format is one of many files.
        to: the format to write, a name in `formats.FORMATS`.
        source_format: the format to read. Default: the one that the content is in.
        skip_bad: leave out entries that cannot be used instead of failing.
        allow_outside: take and name photographs outside the folder of the labels.
        overwrite: replace files that exist.

    Raises:
        KpError: if the labels cannot be read, do not fit the format, or a file exists. Nothing is written then.
    """
    kind = FORMATS[to]
    if kind.render is None:
        raise KpError(f"--to {to}: this format is only read")
    folder = target if kind.is_folder else target.parent
    name = source_format or find_format(source)
    with tempfile.TemporaryDirectory() as unpacked:
        if name == "kaggle":
            samples, pictures = kaggle_csv.unpack(source, Path(unpacked))
        else:
            samples, pictures = FORMATS[name].read(source, allow_outside), ()
        if not skip_bad:
            samples.checked()
        if name != "kaggle" and kind.names_photographs:
            samples = _named_from(folder, samples, allow_outside and to != "pts")
        contents = kind.render(target, samples)
        contents |= {folder / picture: (samples.root / picture).read_bytes() for picture in pictures}
    if not overwrite and (existing := [path for path in contents if path.is_file()]):
        more = f" and {len(existing) - 1} more exist" if len(existing) > 1 else " exists"
        raise KpError(f"{existing[0]}{more} already; --overwrite replaces what is there")
    write_files(contents)
    if samples.problems:
        print(format_problems(samples.problems, "entries cannot be used; these are left out"))
    photographs = len(set(samples.files))
    print(f"{target}: {len(samples):,} faces on {photographs:,} photographs, {len(samples.scheme)} points")


def _named_from(folder: Path, samples: Samples, allow_outside: bool) -> Samples:
    """The samples with names relative to another folder.

    Raises:
        KpError: if there is no such folder, or a photograph lies outside it and that is not allowed.
    """
    if not folder.is_dir():
        raise KpError(f"there is no folder {folder}")
    old, new = os.path.realpath(samples.root), os.path.realpath(folder)
    files = tuple(os.path.relpath(os.path.join(old, file), new).replace(os.sep, "/") for file in samples.files)
    if not allow_outside and (outside := [file for file in files if file.startswith("../")]):
        raise KpError(
            f"{outside[0]} lies outside {folder}: write the labels into the folder of the photographs, {samples.root}, "
            "or add --allow-outside (not for pts)"
        )
    return replace(samples, root=folder, files=files)
