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
        with pytest.raises(KpError, match="another process is training in"):
            runs.locked(work).__enter__()
        (work / "config.json").touch()
        with pytest.raises(KpError, match="another process is training in"):
            runs.new_run("part1-course", work, overwrite=True)
        assert (work / "config.json").exists()
        other.kill()
        other.wait()
    with runs.locked(work):
        pass


def test_the_lock_file_stays_so_that_all_processes_lock_the_same_one(work):
    with runs.locked(work):
        first = (work / "lock").stat().st_ino
    with runs.locked(work):
        assert (work / "lock").stat().st_ino == first


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


def test_hidden_files_of_the_user_are_not_leftovers(work):
    for name in (".notes-2024.txt", ".model-copy.keras", "figures/.losses-old.png", "mine/.history-7.csv"):
        (work / name).parent.mkdir(exist_ok=True)
        (work / name).touch()
    (work / ".split-1.json").mkdir()
    runs.clear_leftovers(work)
    assert len(list(work.rglob(".*-*"))) == 5


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
    with pytest.raises(KpError, match="cannot make the folder runs: Permission denied"):
        runs.new_run("part1-course", None, False)
    with pytest.raises(KpError, match="cannot write lock: Permission denied"):
        runs.locked(Path(".")).__enter__()
