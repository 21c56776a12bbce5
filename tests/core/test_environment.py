import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from kp_tf.core import environment as shell

REPOSITORY = Path(__file__).parents[2]


def test_settle_leaves_the_users_environment(monkeypatch):
    monkeypatch.setattr(os, "environ", {"TF_CPU_ALLOCATOR_USE_BFC": "0"})
    shell.settle()
    assert os.environ == shell.SETTINGS | {"TF_CPU_ALLOCATOR_USE_BFC": "0"}


def test_settings_are_there_before_tensorflow_starts(monkeypatch):
    monkeypatch.setattr(os, "environ", {})
    seen = []
    monkeypatch.setattr(shell.importlib, "import_module", lambda _: seen.append(dict(os.environ)) or shell)
    shell.exit_status("kp_tf.core.environment:settle")
    assert seen == [shell.SETTINGS]


def processor_seconds():
    """Of the programs that this one has run; a busy machine changes it little."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@pytest.mark.parametrize("arguments", [["train.py"], ["predict_kaggle.py"], ["-m", "kp_tf"]], ids=" ".join)
def test_help_imports_nothing_large(arguments):
    command = [sys.executable, *arguments, "--help"]
    before = processor_seconds()
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert processor_seconds() - before < 0.3, "it is 0.05 on an idle machine"
    assert "usage:" in done.stdout
    listing = subprocess.run(
        [command[0], "-X", "importtime", *command[1:]], capture_output=True, text=True, cwd=REPOSITORY
    )
    for name in ("tensorflow", "keras", "numpy", "pandas", "PIL"):
        assert f" {name}\n" not in listing.stderr
