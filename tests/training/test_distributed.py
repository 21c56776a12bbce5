import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import keras
import numpy as np
import pytest

from kp_tf.artifacts.runs import load_run
from kp_tf.backends.inference import load_model
from kp_tf.core.environment import exit_status
from kp_tf.core.errors import KpError
from kp_tf.training import networks
from kp_tf.training import train as training
from kp_tf.training.distributed import EXAMPLE, machines, strategy_of

REPOSITORY = Path(__file__).parents[2]
# the same few steps of plain SGD on one part of the CPU and on two
TWICE = """
import keras, numpy as np, sys
from kp_tf.training.distributed import strategy_of, synchronize
from kp_tf.models.heatmap import heatmap_network
from kp_tf.input.pipeline import fixed_batches, training_batches
import tensorflow as tf

two = strategy_of(2, 4)
crops = np.random.default_rng(0).integers(0, 256, (11, 32, 32, 1), np.uint8)
units = np.random.default_rng(1).uniform(0, 1, (11, 3, 2)).astype(np.float32)
found = []
for strategy in (tf.distribute.get_strategy(), two):
    with strategy.scope():
        model = heatmap_network((32, 32), 3, seed=0, widths=(8, 8, 16), depths=(1, 1, 1))
        if strategy is two and "apart" not in sys.argv:
            synchronize(model)
        model.compile(keras.optimizers.SGD(0.01), "mse")
    batches = training_batches(crops, units, 4, 0, lambda images, points, draws: (images, points), 1, parts=2)
    logs = model.fit(
        batches, steps_per_epoch=3, epochs=2, validation_data=fixed_batches(crops, units, 4, 2), verbose=0,
        shuffle=False,
    )
    found.append([*model.get_weights(), np.array(logs.history["loss"] + logs.history["val_loss"])])
print(strategy.num_replicas_in_sync, max(np.abs(a - b).max() for a, b in zip(*found)))
"""


def difference(*arguments):
    command = [sys.executable, "-c", TWICE, *arguments]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    replicas, largest = done.stdout.split()
    assert replicas == "2"
    return float(largest)


@pytest.mark.slow
def test_two_devices_learn_as_one():
    assert difference() < 1e-5
    assert difference("apart") > 1e-4, "without common statistics"


def test_devices_need_equal_parts_of_a_batch():
    with pytest.raises(KpError, match="--devices 3: expected a batch size of equal parts, found 4"):
        strategy_of(3, 4)


def test_machines_of_tf_config(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert machines() == (1, 0)
    cluster = {"worker": ["b:1", "c:1"], "chief": ["a:1"]}
    for place, number in (("chief", 0), 0), (("worker", 0), 1), (("worker", "1"), 2):
        task = dict(zip(("type", "index"), place, strict=True))
        monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": task}))
        assert machines() == (3, number)
    with pytest.raises(
        KpError, match="TF_CONFIG: 3 machines of 1 devices: expected a batch size of equal parts, found 4"
    ):
        strategy_of(None, 4)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("worker", "expected JSON such as .* found: Expecting value"),
        ("[1]", r"expected one such as .*, found \[1\]"),
        ('{"task": {"type": "worker", "index": 0}}', "expected one such as"),
        (EXAMPLE.replace('["a:2222", "b:2222"]', '"a:2222"'), "expected lists of addresses"),
        (EXAMPLE.replace("0}}", "2}}"), "expected one of chief and worker in its cluster as its task"),
        (EXAMPLE.replace('"worker", "index"', '"chief", "index"'), "expected one of chief and worker"),
        (EXAMPLE.replace('{"worker":', '{"ps": [], "worker":'), "expected one of chief and worker"),
    ],
)
def test_bad_tf_config_is_one_line(monkeypatch, capsys, text, found):
    monkeypatch.setenv("TF_CONFIG", text)
    assert exit_status("kp_tf.training.train:train", part=1) == 2
    with pytest.raises(KpError, match=f"^TF_CONFIG: {found}") as caught:
        machines()
    assert capsys.readouterr().err == f"error: {caught.value}\n"


# `train` on one of two machines, with plain SGD if asked; `at` machine and epoch it gets a signal
MACHINE = """
import json, os, signal, sys
import keras, numpy as np, tensorflow as tf
from kp_tf.training import distributed as devices
from kp_tf.training import networks
from kp_tf.training import train as training
from kp_tf.core.environment import exit_status
from pathlib import Path

arguments, sgd, at = json.loads(sys.argv[1])
for drawing in ("draw_training", "draw_validation"):
    setattr(training, drawing, lambda *_, **__: None)
if sgd:
    networks._optimizer = lambda recipe, steps: keras.optimizers.SGD(0.1)
fitted, compiled = [], training.compiled
training.compiled = lambda *given: fitted.append(compiled(*given)) or fitted[-1]
begin = training.Finite.on_epoch_begin
def begin_epoch(self, epoch, logs=None):
    if [devices.machines()[1], epoch] == at[:2]:
        os.kill(os.getpid(), at[2])
    begin(self, epoch, logs)
training.Finite.on_epoch_begin = begin_epoch

status = exit_status("kp_tf.training.train:train", **arguments | {"out": Path(arguments["out"])})
if status == 0:
    np.savez(f"weights{devices.machines()[1]}.npz", *fitted[0].get_weights())
    strategy = fitted[0].distribute_strategy
    with strategy.scope():
        plain = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        plain.compile("sgd", "mse")
    try:
        data = tf.data.Dataset.from_tensors((np.ones((1, 1)), np.ones((1, 1))))
        plain.fit(devices.shared(strategy, lambda mine: data), steps_per_epoch=1, verbose=0)
        print("PLAIN FIT WORKS")
    except (TypeError, ValueError) as error:
        print("plain fit fails:", type(error).__name__)
sys.exit(status)
"""


def on_two_machines(folders, arguments, sgd=False, at=()):
    """Two processes: their exit statuses, and for each what it said and its errors; neither outlives the other."""
    with ExitStack() as open_ports:
        sockets = [open_ports.enter_context(socket.socket()) for _ in folders]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    processes, ends = [], {}
    for number, folder in enumerate(folders):
        folder.mkdir(exist_ok=True)
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": number}}
        environment = {**os.environ, "TF_CONFIG": json.dumps(config), "PYTHONPATH": str(REPOSITORY)}
        command = [sys.executable, "-c", MACHINE, json.dumps([arguments, sgd, at])]
        out, error = (open(folder / f"{name}{number}.txt", "w") for name in ("out", "error"))  # noqa: SIM115
        with out, error:
            processes.append(subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=error))
    try:
        while len(ends) < len(processes):
            for number, process in enumerate(processes):
                if process.poll() is not None:
                    ends.setdefault(number, time.monotonic())
            time.sleep(0.1)
            assert not ends or time.monotonic() - min(ends.values()) < 60, "the other hangs"
    finally:
        for process in processes:
            process.kill()
    said = [
        [(folder / f"{name}{k}.txt").read_text() for name in ("out", "error")] for k, folder in enumerate(folders)
    ]
    return [process.returncode for process in processes], said


def learned(file):
    with np.load(file) as archive:
        return [archive[name] for name in archive.files]


def history(folder):
    return np.array([row.split(",")[:-1] for row in (folder / "history.csv").read_text().splitlines()[1:]], float)


def files(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def undrawn(monkeypatch):
    for drawing in ("draw_training", "draw_validation"):
        monkeypatch.setattr(training, drawing, lambda *_, **__: None)


@pytest.mark.long
def test_two_machines_learn_as_one_and_only_the_chief_writes(tmp_path, imm, monkeypatch, undrawn):
    arguments = {"part": 2, "data": str(imm), "batch_size": 2, "epochs": 1, "out": "run"}
    folders = [tmp_path / "chief", tmp_path / "worker"]
    status, said = on_two_machines(folders, arguments, sgd=True)
    assert status == [0, 0], said

    monkeypatch.setattr(networks, "_optimizer", lambda recipe, steps: keras.optimizers.SGD(0.1))
    begun, compiled = [], training.compiled
    monkeypatch.setattr(
        training, "compiled", lambda model, *given: begun.append(model.get_weights()) or compiled(model, *given)
    )
    run = training.train(**arguments | {"out": tmp_path / "alone"})
    alone = load_model(load_run(run)).get_weights()
    assert max(np.abs(one - other).max() for one, other in zip(alone, begun[0], strict=True)) > 1e-3
    for weights in (
        learned(folders[0] / "weights0.npz"),
        learned(folders[1] / "weights1.npz"),
        load_model(load_run(folders[0] / "run")).get_weights(),
    ):
        for one, other in zip(alone, weights, strict=True):
            np.testing.assert_allclose(other, one, atol=1e-5)
    np.testing.assert_allclose(history(folders[0] / "run"), history(run), atol=1e-5)
    assert files(folders[0] / "run") == files(run)
    assert files(folders[1]) == ["error1.txt", "out1.txt", "weights1.npz"]
    for out, _ in said:
        assert "plain fit fails" in out, (
            "keras.Model.fit does it now: kp_tf/training/keras20585.py may go (keras-team/keras 20585)"
        )


@pytest.mark.parametrize(
    "number", [pytest.param(1, marks=pytest.mark.long), pytest.param(0, marks=pytest.mark.slow, id="chief")]
)
def test_a_machine_that_is_killed_ends_the_other_and_both_go_on(tmp_path, imm, undrawn, number):
    arguments = {"part": 1, "data": str(imm), "batch_size": 2, "epochs": 2, "out": "run"}
    folders = [tmp_path / "shared"] * 2
    status, said = on_two_machines(folders, arguments, at=[number, 1, signal.SIGKILL])
    assert status == ([2, -9] if number else [-9, 2]), said
    error = said[1 - number][1]
    assert error.splitlines()[-1].startswith("error: TF_CONFIG: expected all 2 machines to the end, found one gone")
    assert "Traceback" not in error
    assert len(history(folders[0] / "run")) == 1
    status, said = on_two_machines(folders, arguments | {"resume": True})
    assert status == [0, 0], said
    run = training.train(**arguments | {"out": tmp_path / "alone"})
    np.testing.assert_allclose(history(folders[0] / "run"), history(run), atol=1e-4)
    for one, other in zip(learned(folders[0] / "weights1.npz"), learned(folders[0] / "weights0.npz"), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_ctrl_c_on_one_machine_ends_all_after_the_batch(tmp_path, imm):
    arguments = {"part": 1, "data": str(imm), "batch_size": 2, "epochs": 3, "out": "run"}
    status, said = on_two_machines([tmp_path / "0", tmp_path / "1"], arguments, at=[1, 1, signal.SIGINT])
    assert status == [130, 130], said
    metrics = json.loads((tmp_path / "0/run/metrics.json").read_text())
    assert metrics["interrupted"] == {"epoch": 2, "batch": 1}


@pytest.mark.slow
def test_machines_with_different_photographs_are_refused(tmp_path, imm):
    shutil.copytree(imm, tmp_path / "1/faces")
    for path in (tmp_path / "1/faces/imm_face_db").glob("34-3m.*"):
        path.unlink()
    (tmp_path / "0").mkdir()
    (tmp_path / "0/faces").symlink_to(imm)
    arguments = {"part": 1, "data": "faces", "batch_size": 2, "epochs": 1, "out": "run"}
    status, said = on_two_machines([tmp_path / "0", tmp_path / "1"], arguments)
    assert status == [2, 2], said
    for _, error in said:
        assert "TF_CONFIG: expected all machines to have the same command, photographs and checkpoint" in error
    assert not (tmp_path / "0/run").exists()
