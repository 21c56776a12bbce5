import json

import pytest
from helpers import CONFIG

from kp_tf.artifacts.find import find_model, source_of
from kp_tf.artifacts.weights import WEIGHTS, committed
from kp_tf.core.errors import KpError


def write_run_files(folder, completed, **config):
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG | config))
    (folder / "metrics.json").write_text(json.dumps({"completed": completed}))


def test_without_a_name_the_newest_run_on_real_faces_is_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    best = min((committed(name) for name in WEIGHTS), key=lambda info: info.metrics["val_nme"])
    assert find_model(None).path == best.path, "there is no run"
    write_run_files(tmp_path / "runs" / "a", "2026-01-02T00:00:00+00:00")
    write_run_files(tmp_path / "runs" / "b", "2026-01-01T00:00:00+00:00")
    write_run_files(tmp_path / "runs" / "drawn", "2026-01-03T00:00:00+00:00", sample=True)
    write_run_files(tmp_path / "runs" / "part2", "2026-01-03T00:00:00+00:00", recipe=CONFIG["recipe"] | {"part": 2})
    assert find_model(None).name == "a"


def test_runs_and_weights_are_found_by_name(tmp_path):
    write_run_files(tmp_path / "b", "2026-01-01T00:00:00+00:00")
    assert find_model(str(tmp_path / "b")).path == tmp_path / "b"
    assert find_model("compact").path == committed("compact").path
    with pytest.raises(KpError, match="nothing-there is not a run"):
        find_model("nothing-there")


def test_weights_of_the_project_are_called_by_their_name_and_others_by_their_path(tmp_path):
    write_run_files(tmp_path / "b", "2026-01-01T00:00:00+00:00")
    assert source_of(find_model("compact")) == "compact"
    assert source_of(find_model(str(tmp_path / "b"))) == str(tmp_path / "b")
