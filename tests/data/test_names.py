"""Names of photographs as other tools write them."""

import os
import unicodedata

import pytest

from kp_tf.core.errors import KpError
from kp_tf.core.files import is_unicode
from kp_tf.data.names import PhotographFinder, check_name, spellings

JOERG = "Jörg.jpg"
AS_LATIN_1 = JOERG.encode().decode("latin-1")  # how a reader sees imglab's bytes
DECOMPOSED = unicodedata.normalize("NFD", JOERG)


@pytest.fixture
def root(tmp_path):
    """A folder that is reached through a link, with a photograph in a folder."""
    (tmp_path / "there" / "d").mkdir(parents=True)
    (tmp_path / "there" / "d" / JOERG).touch()
    (tmp_path / "root").symlink_to(tmp_path / "there")
    return tmp_path / "root"


@pytest.mark.parametrize(
    "written",
    [
        f"d/{JOERG}",
        f"d/{AS_LATIN_1}",
        f"d/{DECOMPOSED}",
        f"d/{DECOMPOSED}".encode().decode("latin-1"),
        f"d\\{JOERG}",
        f"d\\{AS_LATIN_1}",
    ],
)
def test_names_of_other_tools_are_found(root, written):
    assert PhotographFinder(root).find(written) == f"d/{JOERG}"


def test_an_absolute_path_in_the_folder_is_found(root):
    for folder in (root, root.resolve()):
        assert PhotographFinder(root).find(f"{folder}/d/{JOERG}") == f"d/{JOERG}"
    with pytest.raises(KpError, match="found a path that leaves it"):
        PhotographFinder(root).find(str(root.parent / "other.jpg"))
    with pytest.raises(KpError, match="found a path of another computer"):
        PhotographFinder(root).find(r"C:\photos\d\Jörg.jpg")


def test_the_name_as_it_is_comes_first(root):
    for name in (f"d\\{JOERG}", AS_LATIN_1, DECOMPOSED):
        (root / name).touch()
        assert PhotographFinder(root).find(name) == name


def test_bytes_that_are_not_unicode_are_found(root):
    name = os.fsdecode(b"J\xf6rg.jpg")
    (root / name).touch()
    assert PhotographFinder(root).find("Jörg.jpg") == name
    assert [is_unicode(each) for each in spellings("Jörg.jpg")] == [True, False]


def test_a_name_in_another_case_is_not_guessed(root):
    with pytest.raises(KpError, match=r"there is no D/jörg\.JPG, but d/Jörg\.jpg: upper and lower case differ"):
        PhotographFinder(root).find("D/jörg.JPG")


def test_a_missing_photograph_keeps_its_name(root):
    finder = PhotographFinder(root)
    for name in ("none.jpg", "none/a.jpg", f"d/{JOERG}/a.jpg"):
        assert finder.find(name) == name


def test_no_spelling_leaves_the_folder(root):
    (root.parent / "secret.jpg").touch()
    (root / unicodedata.normalize("NFC", "ö.jpg")).symlink_to(root.parent / "secret.jpg")
    for name in ("../secret.jpg", r"..\secret.jpg", "d/../../secret.jpg", unicodedata.normalize("NFD", "ö.jpg")):
        with pytest.raises(KpError, match="found a path that leaves it"):
            PhotographFinder(root).find(name)


@pytest.mark.parametrize("name", ["a\x01b.jpg", "\x1b.jpg", os.fsdecode(b"caf\xe9.jpg"), "a\uffff.jpg"])
def test_what_xml_cannot_hold(name):
    check_name("tab\tand line\nand é and 人.jpg")
    with pytest.raises(KpError, match="XML cannot hold this name; rename the file"):
        check_name(name)
