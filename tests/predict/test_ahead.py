import time

import pytest

from kp_tf.core.budget import Budget
from kp_tf.core.errors import KpError
from kp_tf.predict import ahead
from kp_tf.predict.ahead import Ahead


@pytest.fixture(autouse=True)
def budget(monkeypatch):
    """A budget of ten pixels, and eight threads."""
    monkeypatch.setenv("KP_TF_MAX_PIXELS", "10")
    monkeypatch.setattr(ahead, "BUDGET", Budget())
    monkeypatch.setattr(ahead, "available_cores", lambda: 8)
    return ahead.BUDGET


def test_results_come_in_order_with_their_errors(budget):
    def halve(number, admit):
        admit(1)
        if number % 2:
            raise KpError(f"{number} is odd")
        return number // 2

    with Ahead(halve, range(20)) as jobs:
        results = [(number, result if isinstance(result, int) else str(result)) for number, result in jobs]
    assert results == [(n, f"{n} is odd" if n % 2 else n // 2) for n in range(20)]
    budget.keep_ahead(10, lambda: False, lambda: True)  # all has been released


def test_no_more_is_admitted_ahead_than_the_budget_holds():
    admitted = []

    def job(number, admit):
        admit(4)
        admitted.append(number)

    with Ahead(job, range(30)) as jobs:
        for number, _ in jobs:
            time.sleep(0.01)  # for the others
            assert len(admitted) <= number + 3  # two have room, and the one whose turn it is needs none
            jobs.release([number])
    assert sorted(admitted) == list(range(30))


def test_what_has_room_is_what_comes_next():
    admitted = []

    def job(number, admit):
        time.sleep(0.02 / (1 + number))  # the later ones ask first
        admit(8)
        admitted.append(number)

    with Ahead(job, range(8)) as jobs:
        for number, _ in jobs:
            jobs.release([number])
    assert admitted == list(range(8))


def test_those_not_released_hold_up_none_whose_turn_it_is():
    def job(number, admit):
        admit(8)
        return number

    with Ahead(job, range(10)) as jobs:
        assert [number for number, _ in jobs] == list(range(10))


def test_an_end_in_the_middle_releases_all_and_decodes_no_more(budget):
    decoded = []

    def job(number, admit):
        admit(8)
        decoded.append(number)

    with Ahead(job, range(10)) as jobs:
        next(jobs)
    assert decoded == [0]
    budget.keep_ahead(10, lambda: False, lambda: True)
