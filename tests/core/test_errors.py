import pytest

from kp_tf.core.errors import KpError, PartialError, as_kp_error, format_problems, printable, raise_problems


def test_no_problem_is_no_error():
    raise_problems([], "images cannot be used")


def test_a_single_problem_is_its_own_message():
    with pytest.raises(KpError, match=r"^a\.jpg: it is empty$"):
        raise_problems(["a.jpg: it is empty"], "images cannot be used")


def test_twenty_problems_are_listed_and_all_are_counted():
    lines = format_problems([f"{k}.jpg" for k in range(22)], "images cannot be used").splitlines()
    assert lines[0] == "22 images cannot be used:"
    assert lines[1:21] == [f"  {k}.jpg" for k in range(20)]
    assert lines[21:] == ["  … and 2 more"]
    assert format_problems([str(k) for k in range(20)], "images").splitlines()[-1] == "  19"


def test_exit_statuses():
    assert (KpError.status, PartialError.status) == (2, 1)
    assert issubclass(PartialError, KpError)


def test_files_and_packages_are_what_a_user_can_fix():
    known = KpError("known")
    assert as_kp_error(known) is known
    denied = as_kp_error(PermissionError(13, "Permission denied", b"locked/a.xml"))
    assert str(denied) == "cannot use locked/a.xml: Permission denied"
    missing = as_kp_error(ModuleNotFoundError("…", name="PIL.Image"))
    assert str(missing).startswith("this command needs pillow, which is not installed: pip install pillow, or ")
    mistakes = [OSError("no file is named"), OSError(9, "Bad file descriptor", 7), ImportError("…", name="tqdm")]
    assert [as_kp_error(error) for error in [*mistakes, ModuleNotFoundError("…", name="kp_tf.tqdm"), ValueError()]] == [
        None
    ] * 5


def test_what_would_upset_a_terminal_is_escaped():
    assert printable("Größe 人\n\x1b[2J\udce9\x85") == "Größe 人\n\\x1b[2J\\udce9\\x85"
