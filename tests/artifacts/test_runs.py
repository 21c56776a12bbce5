import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kp_tf.artifacts import runs
from kp_tf.core.errors import KpError

REPOSITORY = Path(__file__).parents[2]
HOLD = """
import sys
from pathlib import Path
from kp_tf.artifacts.runs import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_lock_keeps_another_process_out_until_it_ends_in_any_way(work):
    command = [sys.executable, "-c", HOLD, str(work)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=REPOSITORY, **pipes) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(KpError, match="expected a folder that no training is in, found another process"):
            runs.locked(work).__enter__()
        (work / "config.json").touch()
        with pytest.raises(KpError, match="found another process"):
            runs.new_run("part1-course", work, overwrite=True)
        assert (work / "config.json").exists()
        other.kill()
        other.wait()
    assert (work / "lock").exists()
    with runs.locked(work):
        pass
    assert not (work / "lock").exists()


def test_lock_that_was_removed_meanwhile_is_none(work, monkeypatch):
    class Fcntl:
        LOCK_EX = LOCK_NB = 0

        @staticmethod
        def flock(file, how):
            (work / "lock").unlink()  # by the one that held it, between open and lock

    monkeypatch.setattr(runs, "fcntl", Fcntl)
    with pytest.raises(KpError, match="found another process"):
        runs.locked(work).__enter__()


def test_overwrite_of_a_run_that_was_killed_before_its_first_file(work):
    Path("killed").mkdir()
    (work / "killed/lock").touch()
    assert runs.new_run("part1-course", Path("killed"), overwrite=True) == Path("killed")


def test_trainings_at_the_same_moment_get_different_numbers(work):
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: runs.new_run("part1-course", None, False), range(40)))
    assert sorted(path.name for path in made) == [f"part1-course-{k:03d}" for k in range(1, 41)]


def test_leftovers_of_a_killed_training_are_cleared(work):
    (work / "figures").mkdir()
    for name in (".checkpoint-17.npz", "figures/.losses-17.png", "model.keras", "figures/losses.png"):
        (work / name).touch()
    runs.clear_leftovers(work)
    assert sorted(path.name for path in work.rglob("*.*")) == ["losses.png", "model.keras"]


@pytest.fixture
def nobody():
    """Without the rights of root, who may write anywhere."""
    if os.geteuid() == 0:
        os.seteuid(65534)
        yield
        os.seteuid(0)
    else:
        yield


def test_a_folder_that_is_read_only_is_named(work, nobody, monkeypatch):
    if os.getuid() != 0:
        work.chmod(0o500)
    with pytest.raises(KpError, match="runs: expected to make a folder, found: Permission denied"):
        runs.new_run("part1-course", None, False)
    with pytest.raises(KpError, match="lock: expected to write this file, found: Permission denied"):
        runs.locked(Path(".")).__enter__()
