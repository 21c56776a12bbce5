import json
import os
import shutil
import signal
from types import SimpleNamespace

import pytest
from helpers import picture, wait_for, write_xml
from page_steps import fake_training

from kp_tf.apps.demo.project import Project
from kp_tf.apps.demo.project_service import ProjectService
from kp_tf.apps.demo.proposals import Proposals
from kp_tf.apps.demo.trainings import Trainings
from kp_tf.core.errors import KpError

BOX = "<box left='1' top='2' width='30' height='20'><part name='a' x='5' y='6'/><part name='b' x='9' y='6'/></box>"


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "cups"
    folder.mkdir()
    for number in range(3):
        picture(60, 40, number).save(folder / f"{number}.png")
    write_xml(folder / "points.xml", [f"<image file='{number}.png'>{BOX}</image>" for number in range(2)])
    return folder


def test_a_training_is_watched_to_its_end(folder, tmp_path):
    trainings = Trainings(Project(folder), fake_training(tmp_path))
    assert trainings.status() == {"state": "none"}
    trainings.start("compact", 3)
    wait_for(lambda: trainings.status()["state"] == "finished")
    status = trainings.status()
    assert (status["run"], status["epochs"], status["seconds_left"]) == ("001", 3, None)
    assert [row["val_nme"] for row in status["rows"]] == [4, 2, pytest.approx(4 / 3)]
    assert status["progress"]["epoch"] == 3
    options = json.loads((folder / "runs/options.json").read_text())[1:]
    labels = ["--labels", ".training.xml", "--scheme", ".training.json"]
    assert options == [*labels, "--epochs", "3", "--init", "compact", "--skip-bad", "--out", "runs/001"]
    assert (folder / ".training.xml").read_bytes() == (folder / "points.xml").read_bytes()
    assert json.loads((folder / ".training.json").read_text())["names"] == ["a", "b"]
    assert [*Project(folder).photographs] == ["0.png", "1.png", "2.png"]
    trainings.start(None, 1)
    assert trainings.status()["run"] == "002"
    wait_for(lambda: trainings.status()["state"] == "finished")


def test_it_goes_on_without_the_server_and_is_found_stopped_and_continued_by_the_next_one(folder, tmp_path):
    first = Trainings(Project(folder), fake_training(tmp_path, "2"))
    first.start(None, 4)
    wait_for(lambda: len(first.status()["rows"]) == 2)
    next_one = Trainings(Project(folder), fake_training(tmp_path))
    assert (next_one.status()["state"], next_one.status()["seconds_left"]) == ("running", 240)
    with pytest.raises(KpError, match="a training runs already; stop it first"):
        next_one.start(None, 1)
    next_one.stop()
    wait_for(lambda: first.status()["state"] == "stopped")
    assert next_one.status()["state"] == "stopped"
    next_one.stop()  # nothing happens
    (folder / "points.xml").unlink()  # what is marked meanwhile does not matter
    next_one.go_on(4)
    wait_for(lambda: next_one.status()["state"] == "finished")
    assert len(next_one.status()["rows"]) == 4
    assert json.loads((folder / "runs/options.json").read_text())[1:4] == ["--resume", "--epochs", "4"]


def test_ctrl_c_of_the_server_does_not_reach_it(folder, tmp_path):
    trainings = Trainings(Project(folder), fake_training(tmp_path, "1"))
    trainings.start(None, 2)
    process = json.loads((folder / "runs/training.json").read_text())["process"]
    assert os.getpgid(process) != os.getpgid(0)
    wait_for(lambda: trainings.status()["rows"])
    os.kill(process, signal.SIGKILL)
    wait_for(lambda: trainings.status()["state"] == "stopped")


def test_a_training_that_fails_says_why(folder, tmp_path):
    trainings = Trainings(Project(folder), fake_training(tmp_path, "1", "--fail"))
    trainings.start(None, 2)
    wait_for(lambda: trainings.status()["state"] == "failed")
    assert trainings.status()["message"] == "error: no luck"


def test_an_error_after_the_first_epoch_is_said(folder, tmp_path):
    trainings = Trainings(Project(folder), fake_training(tmp_path, "1"))
    trainings.start(None, 2)
    wait_for(lambda: trainings.status()["rows"])
    with (folder / "runs/001.log").open("a") as log:
        log.write("error: cannot write runs/001/checkpoint.npz\n")
    os.kill(json.loads((folder / "runs/training.json").read_text())["process"], signal.SIGKILL)
    wait_for(lambda: trainings.status()["state"] == "failed")
    assert trainings.status()["message"] == "error: cannot write runs/001/checkpoint.npz"


def test_a_training_whose_error_has_no_room_on_the_disk_is_explained(folder, tmp_path, monkeypatch):
    trainings = Trainings(Project(folder), fake_training(tmp_path, "1", "--fail-silently"))
    trainings.start(None, 2)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=4096))
    wait_for(lambda: trainings.status()["state"] == "failed")
    assert trainings.status()["message"] == "error: the disk is full. Free some space and try again"


def test_a_training_that_cannot_be_written_down_does_not_begin(folder, tmp_path):
    (folder / "runs/training.json").mkdir(parents=True)
    trainings = Trainings(Project(folder), fake_training(tmp_path, "1"))
    with pytest.raises(KpError, match=r"cannot write .*training\.json"):
        trainings.start(None, 2)
    assert trainings.status() == {"state": "none"}
    trainings._child.wait()


def test_labels_and_scheme_of_a_training_are_written_together(folder, tmp_path):
    trainings = Trainings(Project(folder), fake_training(tmp_path))
    (folder / ".training.xml").write_text("before")
    (folder / ".training.json").mkdir()
    with pytest.raises(KpError, match=r"cannot write .*\.training\.json"):
        trainings.start(None, 2)
    assert (folder / ".training.xml").read_text() == "before"


def test_another_process_of_the_same_number_is_not_taken_for_the_training(folder, tmp_path):
    (folder / "runs").mkdir()
    latest = {"run": "001", "epochs": 3, "process": os.getpid(), "started": 1.0}
    (folder / "runs/training.json").write_text(json.dumps(latest))
    trainings = Trainings(Project(folder), fake_training(tmp_path))
    assert trainings.status()["state"] == "failed"
    trainings.stop()  # not this process


def test_two_photographs_are_needed(folder, tmp_path):
    write_xml(folder / "points.xml", [f"<image file='0.png'>{BOX}</image>"])
    trainings = Trainings(Project(folder), fake_training(tmp_path))
    with pytest.raises(KpError, match="mark all points in at least 2 photographs first"):
        trainings.start(None, 1)
    with pytest.raises(KpError, match="there is no training to continue"):
        trainings.go_on(1)
    assert not (folder / "runs").exists()


@pytest.mark.parametrize("asked", [{}, {"epochs": 0}, {"epochs": 5, "init": "../../x"}, {"epochs": 5, "init": "007"}])
def test_the_page_cannot_start_anything_else(folder, tmp_path, asked):
    project = Project(folder)
    service = ProjectService(project, Proposals(), Trainings(project, fake_training(tmp_path)))
    service.open(b"", "p")
    with pytest.raises(KpError, match="invalid request"):
        service.train(json.dumps(asked).encode(), "p")
    assert service.training(b"") == {"state": "none", "runs": [], "hardly_better": None}
