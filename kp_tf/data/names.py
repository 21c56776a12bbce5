"""The names of photographs in label files: what other tools write, and which file each of them means."""

import os
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path, PurePosixPath, PureWindowsPath

from kp_tf.core.errors import KpError, printable
from kp_tf.data.samples import check_inside
from kp_tf.data.xml_elements import NOT_IN_XML


def check_name(file: str) -> None:
    """Refuse a file name that XML cannot hold.

    Raises:
        KpError: if it has control characters, or bytes that are not in the encoding of file names.
    """
    if NOT_IN_XML.search(file):
        raise KpError(f"{printable(file)}: XML cannot hold this name; rename the file")


def spellings(file: str) -> list[str]:
    """The names that an entry may mean, the likeliest first.

    imglab copies the bytes of a name into a file that claims to be in ISO-8859-1, and programs on Windows write `\\`.
    """
    names = [file]
    with suppress(UnicodeError):
        names.append(os.fsdecode(file.encode("latin-1")))
    return list(dict.fromkeys([*names, *(name.replace("\\", "/") for name in names)]))


class PhotographFinder:
    """Finds the photographs of a folder by the names in a label file.

    Folders are listed once, and only where a name is not that of a file.
    """

    def __init__(self, root: Path, allow_outside: bool | None = None) -> None:
        """Find photographs in a folder; `allow_outside` as of `samples.check_inside`."""
        self._root, self._allow_outside = root, allow_outside
        self._listings: dict[tuple[Path, Callable], dict[str, str]] = {}

    def find(self, file: str) -> str:
        """The photograph that an entry names.

        Args:
            file: the name in the entry; an absolute path must lie in the folder.

        Returns:
            Its name relative to the folder. If there is no such photograph, the name as it is.

        Raises:
            KpError: if the name is empty or leaves the folder, or if a file's name differs from it in upper and lower
                case alone.
        """
        names = [self._relative(name) for name in spellings(file)]
        for name in names:
            check_inside(self._root, name, self._allow_outside)
            if os.path.isfile(self._root / name):
                return name
        for name in names:
            if found := self._alike(name, _composed):
                return found
        for name in names:
            if found := self._alike(name, _folded):
                raise KpError(f"there is no {name}, but {found}: upper and lower case differ")
        if PureWindowsPath(file).is_absolute():
            raise KpError(f"expected a name relative to {self._root}, found a path of another computer")
        return names[0]

    def _relative(self, file: str) -> str:
        """The name relative to the folder if it is absolute and lies in the folder, else as it is."""
        if not Path(file).is_absolute():
            return file
        with suppress(OSError, RuntimeError, ValueError):  # links that form a circle; another folder
            return Path(file).resolve().relative_to(self._root.resolve()).as_posix()
        return file

    def _alike(self, file: str, form: Callable[[str], str]) -> str | None:
        """The file whose name is the same in some form, if there is one inside the folder."""
        place, parts = self._root, []
        for part in PurePosixPath(file).parts:
            if not os.path.lexists(place / part):
                part = self._listing(place, form).get(form(part))
                if part is None:
                    return None
            place /= part
            parts.append(part)
        found = "/".join(parts)
        check_inside(self._root, found, self._allow_outside)
        return found if os.path.isfile(place) else None

    def _listing(self, folder: Path, form: Callable[[str], str]) -> dict[str, str]:
        key = folder, form
        if key not in self._listings:
            try:
                self._listings[key] = {form(name): name for name in os.listdir(folder)}
            except OSError:  # no folder, or one that may not be read
                self._listings[key] = {}
        return self._listings[key]


def _composed(name: str) -> str:
    """A name with composed umlauts, which macOS decomposes."""
    return unicodedata.normalize("NFC", name)


def _folded(name: str) -> str:
    return _composed(name).casefold()
