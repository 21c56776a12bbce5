import threading

import pytest

from kp_tf.core.budget import DEFAULT_MAX_PIXELS, Budget, max_pixels
from kp_tf.core.errors import KpError

YES, NO = (lambda: True), (lambda: False)


@pytest.fixture(autouse=True)
def ten(monkeypatch):
    monkeypatch.setenv("KP_TF_MAX_PIXELS", "10")


def test_the_limit_comes_from_the_environment(monkeypatch):
    assert max_pixels() == 10
    monkeypatch.delenv("KP_TF_MAX_PIXELS")
    assert max_pixels() == DEFAULT_MAX_PIXELS
    for text in ("many", "0", "-1", "1e9"):
        monkeypatch.setenv("KP_TF_MAX_PIXELS", text)
        with pytest.raises(KpError, match=r"\$KP_TF_MAX_PIXELS must be a number of pixels, such as .*, found '"):
            max_pixels()


def started(function):
    """An event that is set once the function has returned, in a thread of its own."""
    done = threading.Event()
    threading.Thread(target=lambda: (function(), done.set()), daemon=True).start()
    return done


def decode(budget, pixels):
    with budget.decoding(pixels):
        pass


def test_decoding_waits_for_room():
    budget = Budget()
    with budget.decoding(6):
        assert started(lambda: decode(budget, 4)).wait(10)
        waiting = started(lambda: decode(budget, 5))
        assert not waiting.wait(0.05)
    assert waiting.wait(10)


def test_what_is_larger_than_the_limit_is_decoded_alone():
    budget = Budget()
    with budget.decoding(1):
        waiting = started(lambda: decode(budget, 11))
        assert not waiting.wait(0.05)
    assert waiting.wait(10)


def test_an_error_while_decoding_leaves_its_room():
    budget = Budget()
    with pytest.raises(KpError), budget.decoding(10):
        raise KpError("damaged")
    assert started(lambda: decode(budget, 10)).wait(10)


def test_ahead_of_its_turn_is_what_has_room_beside_what_waits():
    budget = Budget()
    budget.keep_ahead(8, NO, YES)
    decode(budget, 10)  # not ahead of its turn
    waiting = started(lambda: budget.keep_ahead(3, NO, YES))
    assert not waiting.wait(0.05)
    budget.release(8)
    assert waiting.wait(10)


def test_what_comes_ahead_keeps_its_order():
    budget, is_next = Budget(), threading.Event()
    waiting = started(lambda: budget.keep_ahead(1, NO, is_next.is_set))
    assert not waiting.wait(0.05)
    is_next.set()
    budget.wake()
    assert waiting.wait(10)


def test_what_is_wanted_now_does_not_wait():
    budget, wanted = Budget(), threading.Event()
    budget.keep_ahead(8, NO, YES)
    waiting = started(lambda: budget.keep_ahead(30, wanted.is_set, NO))
    assert not waiting.wait(0.05)
    wanted.set()
    budget.wake()
    assert waiting.wait(10)
