import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kp_tf.artifacts import runs
from kp_tf.core.errors import KpError

REPOSITORY = Path(__file__).parents[2]
OLD = Path(__file__).parent / "old_run"
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
    for _ in range(2):
        with runs.locked(work), pytest.raises(KpError, match="another process"):
            runs.locked(work).__enter__()


def test_the_lock_file_stays_so_that_all_processes_lock_the_same_one(work):
    with runs.locked(work):
        first = (work / "lock").stat().st_ino
    with runs.locked(work):
        assert (work / "lock").stat().st_ino == first


def test_overwriting_removes_everything_but_the_lock(work):
    run = work / "run"
    (run / "figures").mkdir(parents=True)
    for name in ("config.json", "lock", "figures/losses.png"):
        (run / name).touch()
    outside = work / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    (run / "logs").symlink_to(outside)
    assert runs.new_run("part1-course", run, overwrite=True) == run
    assert [path.name for path in run.iterdir()] == ["lock"]
    assert (outside / "kept").exists()


def test_what_is_no_run_is_not_overwritten(work):
    (work / "notes").mkdir()
    (work / "notes/diary.txt").touch()
    with pytest.raises(KpError, match="--out notes exists already; --overwrite replaces a run"):
        runs.new_run("part1-course", Path("notes"), overwrite=False)
    for path in ("notes", "notes/diary.txt"):
        with pytest.raises(
            KpError, match=f"--out {path} is not a run .it has no config.json., so it is not overwritten"
        ):
            runs.new_run("part1-course", Path(path), overwrite=True)
    assert (work / "notes/diary.txt").exists()


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


def test_a_folder_that_is_read_only_is_named(work, nobody):
    if os.getuid() != 0:
        work.chmod(0o500)
    with pytest.raises(KpError, match="cannot make the folder runs: Permission denied"):
        runs.new_run("part1-course", None, False)
    with pytest.raises(KpError, match="cannot write lock: Permission denied"):
        runs.locked(Path(".")).__enter__()


def test_a_name_that_is_not_in_utf_8_is_refused(work):
    with pytest.raises(KpError, match=r"--out r\\udce9n: choose a name in UTF-8"):
        runs.check_free(Path("r\udce9n"), False)


def write_run(name, completed=None, **metrics):
    """A run of the settings that an old one had, complete or not."""
    run = runs.RUNS / name
    run.mkdir(parents=True)
    shutil.copy(OLD / "part3-strong" / "config.json", run)
    if completed or metrics:
        (run / "metrics.json").write_text(json.dumps({"completed": completed} | metrics))
    return run


def test_a_run_is_complete_once_it_has_metrics_and_was_not_interrupted(work):
    assert not runs.is_complete(write_run("begun"))
    assert not runs.is_complete(write_run("stopped", "2026", interrupted=[1, 2]))
    assert runs.is_complete(write_run("whole", "2026"))


def test_the_newest_run_is_the_one_completed_last(work):
    assert runs.newest_run(3) is None
    for name, completed in (("a", "2026-01-02"), ("b", "2026-01-03"), ("c", "2026-01-01")):
        write_run(name, completed)
    write_run("begun")
    write_run("stopped", "2026-01-04", interrupted=[1, 2])
    assert runs.newest_run(3).name == "b"
    assert runs.newest_run(2) is None


def test_runs_of_a_label_from_the_newest_to_the_oldest(work):
    for age, name in enumerate(("part3-strong-002", "part3-strong-001", "part3-course-001")):
        os.utime(write_run(name) / "config.json", (1e9 - age, 1e9 - age))
    (runs.RUNS / "part3-strong-003").mkdir()
    assert [path.name for path in runs.runs_of("part3-strong")] == ["part3-strong-002", "part3-strong-001"]


def test_what_cannot_be_read_as_a_run_is_one_message(work):
    run = write_run("begun")
    with pytest.raises(KpError, match=r"runs/none is not a run \(a folder .*\); compact and large come with"):
        runs.read_run(runs.RUNS / "none")
    with pytest.raises(KpError, match=r"runs/begun: the training is not complete .*; --resume continues it"):
        runs.read_run(run)
    (run / "metrics.json").write_text("{}")
    with pytest.raises(KpError, match=r"metrics\.json, completed: the entry is missing"):
        runs.read_run(run)
    (run / "config.json").write_text('{"recipe": {}, "sample": false}')
    (run / "metrics.json").write_text('{"completed": "2026"}')
    with pytest.raises(KpError, match=r"config\.json, recipe.name: the entry is missing"):
        runs.read_run(run)


@pytest.mark.parametrize(("error", "hardly"), [(0.4, False), (0.74, False), (0.76, True), (1.5, True)])
def test_a_network_that_is_hardly_better_than_the_mean_shape_is_known_by_its_scores(error, hardly):
    assert runs.hardly_better({"val_mean_error_px": 20 * error, "mean_shape_error_px": 20}) == hardly
    assert not runs.hardly_better({}), "of another version"
