import pytest

from kp_tf.core.errors import KpError, PartialError, format_problems, raise_problems


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
