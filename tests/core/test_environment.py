"""What has to happen before TensorFlow is imported and before anything is printed."""

import io
import json
import os
import sys

import pytest

from kp_tf.core.environment import DEFAULTS, captured_stderr, escape_output, set_environment_defaults


def test_defaults_leave_what_the_user_has_set(monkeypatch):
    monkeypatch.setattr(os, "environ", {"TF_CPU_ALLOCATOR_USE_BFC": "0"})
    set_environment_defaults()
    assert os.environ == DEFAULTS | {"TF_CPU_ALLOCATOR_USE_BFC": "0"}


def test_messages_of_a_block_that_succeeds_are_dropped(capfd):
    with captured_stderr():
        os.write(2, b"of C++ code")
    os.write(2, b"afterwards")
    assert capfd.readouterr().err == "afterwards"


def test_messages_of_a_block_that_fails_are_shown(capfd):
    def fail():
        os.write(2, b"the reason")
        raise ValueError("this one")

    with pytest.raises(ValueError, match="this one"), captured_stderr():
        fail()
    assert capfd.readouterr().err == "the reason"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_what_an_encoding_cannot_hold_is_printed_as_an_escape_of_json(monkeypatch, encoding):
    printed = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed, encoding))
    escape_output()
    text = "é 人 😀 \udce9"
    print(json.dumps(text, ensure_ascii=False), flush=True)
    assert json.loads(printed.getvalue().decode(encoding)) == text
