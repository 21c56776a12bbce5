import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kp_tf import shell

REPOSITORY = Path(__file__).parents[1]


def test_settle_leaves_the_users_environment(monkeypatch):
    monkeypatch.setattr(os, "environ", {"TF_CPU_ALLOCATOR_USE_BFC": "0"})
    shell.settle()
    assert os.environ == shell.SETTINGS | {"TF_CPU_ALLOCATOR_USE_BFC": "0"}


def test_settings_are_there_before_tensorflow_starts(monkeypatch):
    monkeypatch.setattr(os, "environ", {})
    seen = []
    monkeypatch.setattr(shell.importlib, "import_module", lambda _: seen.append(dict(os.environ)) or shell)
    shell.exit_status("kp_tf.shell:settle")
    assert seen == [shell.SETTINGS]


@pytest.mark.parametrize("arguments", [["train.py"], ["predict_kaggle.py"], ["-m", "kp_tf"]], ids=" ".join)
def test_help_imports_nothing_large(arguments):
    command = [sys.executable, *arguments, "--help"]
    seconds = []
    for _ in range(3):  # the best of three, because the machine may be busy
        start = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY)
        seconds.append(time.perf_counter() - start)
    assert "usage:" in done.stdout
    assert min(seconds) < 0.3
    listing = subprocess.run(
        [command[0], "-X", "importtime", *command[1:]], capture_output=True, text=True, cwd=REPOSITORY
    )
    for name in ("tensorflow", "keras", "numpy", "pandas", "PIL"):
        assert f" {name}\n" not in listing.stderr
