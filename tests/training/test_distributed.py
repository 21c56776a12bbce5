"""Training on several devices and on several machines."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from training_steps import history, prepare, read

from kp_tf.artifacts.runs import read_run
from kp_tf.backends.keras_backend import load_model
from kp_tf.cli import exit_status
from kp_tf.core.errors import KpError
from kp_tf.training import distributed
from kp_tf.training.config import new_config
from kp_tf.training.distributed import EXAMPLE, divided, machines, num_steps, shards_of, strategy_of
from kp_tf.training.fitting import fit
from kp_tf.training.options import Options
from kp_tf.training.report import finish, write_metrics
from kp_tf.training.train import train

REPOSITORY = Path(__file__).parents[2]
# the same few steps of plain SGD on one part of the CPU and on two
TWICE = """
import keras, numpy as np, sys
from kp_tf.training.distributed import divided, strategy_of, synchronize_batch_norm
from kp_tf.models.heatmap import heatmap_network
from kp_tf.input.batches import fixed_batches, training_batches
import tensorflow as tf

two = strategy_of(2, 4)
crops = np.random.default_rng(0).integers(0, 256, (11, 32, 32, 1), np.uint8)
points_norm = np.random.default_rng(1).uniform(0, 1, (11, 3, 2)).astype(np.float32)
results = []
for strategy in (tf.distribute.get_strategy(), two):
    with strategy.scope():
        model = heatmap_network((32, 32), 3, seed=0, widths=(8, 8, 16), depths=(1, 1, 1))
        if "unsynchronized" not in sys.argv:
            synchronize_batch_norm(model, strategy)
        model.compile(keras.optimizers.SGD(0.01, use_ema="averaged" in sys.argv, ema_momentum=0.8), "mse")
    divide = divided(two, None)
    batches = training_batches(
        crops, points_norm, 4, 0, lambda images, points, draws: (images, points), divide=divide
    )
    logs = model.fit(
        batches, steps_per_epoch=3, epochs=2, validation_data=fixed_batches(crops, points_norm, 4, divide), verbose=0,
        shuffle=False, callbacks=[keras.callbacks.SwapEMAWeights()] if "averaged" in sys.argv else [],
    )
    results.append([*model.get_weights(), np.array(logs.history["loss"] + logs.history["val_loss"])])
print(strategy.num_replicas_in_sync, max(np.abs(a - b).max() for a, b in zip(*results)))
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
    assert difference("averaged") < 1e-5
    assert difference("unsynchronized") > 1e-4, "without common statistics"


def test_devices_need_equal_parts_of_a_batch():
    with pytest.raises(KpError, match="--devices 3: a batch of 4 cannot be divided equally"):
        strategy_of(3, 4)


def test_machines_of_tf_config(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert machines() == (1, 0)
    cluster = {"worker": ["b:1", "c:1"], "chief": ["a:1"]}
    for place, number in (("chief", 0), 0), (("worker", 0), 1), (("worker", "1"), 2):
        task = dict(zip(("type", "index"), place, strict=True))
        monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": task}))
        assert machines() == (3, number)
    with pytest.raises(KpError, match="TF_CONFIG: 3 machines of 1 devices: a batch of 4 cannot be divided equally"):
        strategy_of(None, 4)


def on_machine(monkeypatch, number, together):
    cluster = {"worker": [f"{host}:1" for host in "abcd"[:together]]}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": {"type": "worker", "index": number}}))


def devices(count):
    """All that dividing batches asks of a strategy."""
    return SimpleNamespace(num_replicas_in_sync=count)


def rows_of(batches):
    return [list(rows) for rows in batches.as_numpy_iterator()]


def test_the_last_batch_is_trimmed_for_all_devices(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)

    def rows(count):
        return rows_of(divided(devices(count), None)(tf.range(11), 4))

    assert rows(1) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]
    assert rows(2) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert rows(4) == [[0, 1, 2, 3], [4, 5, 6, 7]], "a last batch of fewer rows than devices is none"
    assert [num_steps(devices(count), 11, 4) for count in (1, 2, 4)] == [3, 3, 2]


def test_photographs_are_shared_out_with_all_their_faces(monkeypatch):
    files = ["a", "b", "a", "a", "c", "d", "b"]
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert shards_of(files) is None
    on_machine(monkeypatch, 0, together=2)
    assert shards_of(files).tolist() == [0, 1, 0, 0, 1, 0, 1]


def test_each_machine_takes_its_own_faces_in_the_common_order(monkeypatch):
    order, shards = tf.constant([6, 2, 9, 4, 1, 0, 8, 3, 5, 7, 10]), np.array([0, 0, 1] * 3 + [1, 0])
    parts = []
    for number in range(2):
        on_machine(monkeypatch, number, together=2)
        parts.append(rows_of(divided(devices(2), shards)(order, 6)))
    assert parts == [[[6, 4, 1], [0]], [[2, 9, 8], [5]]], "as many of each machine as the smaller one has"
    assert num_steps(devices(2), 11, 6, shards) == 2


@pytest.mark.parametrize(("count", "size", "parts", "together"), [(37, 8, 4, 2), (16, 8, 8, 4), (5, 6, 2, 2)])
def test_machines_have_equal_parts_of_equally_many_batches(monkeypatch, count, size, parts, together):
    order, every = np.random.default_rng(0).permutation(count), []
    for number in range(together):
        on_machine(monkeypatch, number, together)
        shards = shards_of([str(row) for row in range(count)])
        every.append(rows_of(divided(devices(parts), shards)(tf.constant(order), size)))
        places = [list(order).index(row) for part in every[-1] for row in part]
        assert all(shards[row] == number for part in every[-1] for row in part)
        assert places == sorted(places)
    assert {len(rows) for rows in every} == {num_steps(devices(parts), count, size, shards) * parts // together}
    assert all(len({len(part) for part in at_once}) == 1 for at_once in zip(*every, strict=True))
    seen = [row for rows in every for part in rows for row in part]
    assert len(seen) == len(set(seen)) > count - 2 * parts


def test_more_devices_than_faces_are_refused():
    with pytest.raises(KpError, match=r"--devices 4 needs as many faces .* one side has 3"):
        num_steps(devices(4), 3, 4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("worker", "TF_CONFIG is not JSON such as .*: Expecting value"),
        ("[1]", r"TF_CONFIG must look like .*, not \[1\]"),
        ('{"task": {"type": "worker", "index": 0}}', "TF_CONFIG must look like "),
        (EXAMPLE.replace('["a:2222", "b:2222"]', '"a:2222"'), "TF_CONFIG must hold lists of addresses"),
        (EXAMPLE.replace("0}}", "2}}"), "TF_CONFIG: the task must be a chief or worker of the cluster"),
        (EXAMPLE.replace('"worker", "index"', '"chief", "index"'), "TF_CONFIG: the task must be a chief or worker"),
        (EXAMPLE.replace('{"worker":', '{"ps": [], "worker":'), "TF_CONFIG: the task must be a chief or worker"),
    ],
)
def test_bad_tf_config_is_one_line(work, monkeypatch, capsys, text, message):
    monkeypatch.setenv("TF_CONFIG", text)
    assert exit_status("kp_tf.training.train:train", part=1) == 2
    with pytest.raises(KpError, match=f"^{message}") as caught:
        machines()
    assert capsys.readouterr().err == f"error: {caught.value}\n"
    assert not list(work.parent.glob("cache/*")), "no faces are drawn for nothing"


# one of two machines learns in steps, with plain SGD: Adam would enlarge the last bits of a gradient near 0
LEARN = """
import json, sys
import keras, numpy as np, tensorflow as tf
from pathlib import Path
from kp_tf.training import distributed
from kp_tf.training.config import new_config
from kp_tf.training.options import Options
from kp_tf.training.faces import load
from kp_tf.training.fitting import build, fit
from kp_tf.training.report import device_name, finish, write_metrics

options = json.loads(sys.argv[1])
config, device, strategy = new_config(Options(**options)), device_name(), distributed.strategy_of(None, 2)

def make_directory(label):
    Path("run").mkdir()
    return Path("run")

faces = load(config, device, strategy)
fitting = build(config, faces, strategy, make_directory)
with strategy.scope():
    fitting.fitted.compile(keras.optimizers.SGD(0.1), config.recipe.loss)
fit(fitting)
if distributed.is_chief():
    write_metrics(finish(fitting), fitting, device)
np.savez(f"weights{distributed.machines()[1]}.npz", *fitting.fitted.get_weights())
print("keeps", *(faces.training.samples.files[row] for row in faces.training.own))

with strategy.scope():
    plain = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    plain.compile("sgd", "mse")
try:
    data = tf.data.Dataset.from_tensors((np.ones((1, 1)), np.ones((1, 1))))
    plain.fit(distributed.distribute(strategy, lambda: data), steps_per_epoch=1, verbose=0)
    print("PLAIN FIT WORKS")
except (TypeError, ValueError) as error:
    print("plain fit fails:", type(error).__name__)
"""

# `train` on one of two machines; `at` machine and epoch it gets a signal. The signal has to come at a known step of
# either machine, so a callback that runs on both is replaced; it also tells which model is trained.
TRAIN = """
import json, os, sys
import numpy as np
from pathlib import Path
from kp_tf.cli import exit_status
from kp_tf.training import distributed, fitting

options, at = json.loads(sys.argv[1])
models = []

class Signal(fitting.StopOnNonFinite):
    def on_epoch_begin(self, epoch, logs=None):
        models.append(self.model)
        if [distributed.machines()[1], epoch] == at[:2]:
            os.kill(os.getpid(), at[2])
        super().on_epoch_begin(epoch, logs)

fitting.StopOnNonFinite = Signal
status = exit_status("kp_tf.training.train:train", **options, out=Path("run"), figures=False)
if status == 0:
    np.savez(f"weights{distributed.machines()[1]}.npz", *models[0].get_weights())
sys.exit(status)
"""


def on_two_machines(folders, script, arguments):
    """Two processes: their exit statuses, and the texts of stdout and stderr of each; neither outlives the other."""
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
        command = [sys.executable, "-c", script, json.dumps(arguments)]
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
    texts = [[(folder / f"{name}{k}.txt").read_text() for name in ("out", "error")] for k, folder in enumerate(folders)]
    return [process.returncode for process in processes], texts


def learned(file):
    with np.load(file) as archive:
        return [archive[name] for name in archive.files]


def losses(run):
    return np.array([list(row.values()) for row in history(run)])


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def in_the_order_of_two(strategy, shards):
    """Batches of two on one machine, one face from each half of those that two machines would keep."""

    def divide(order, size):
        halves = [tf.boolean_mask(order, order % 2 == number) for number in range(2)]
        return tf.data.Dataset.from_tensor_slices(tf.reshape(tf.stack(halves, axis=1), [-1])).batch(size)

    return divide


@pytest.mark.long
def test_two_machines_learn_as_one_and_only_the_chief_writes(tmp_path, imm_data, monkeypatch):
    options = {"part": 2, "data": str(imm_data), "batch_size": 2, "epochs": 1}
    folders = [tmp_path / "chief", tmp_path / "worker"]
    status, texts = on_two_machines(folders, LEARN, options)
    assert status == [0, 0], texts

    monkeypatch.setattr(distributed, "divided", in_the_order_of_two)
    fitting = prepare(new_config(Options(**options)), tmp_path / "alone")
    fitting.fitted.compile(keras.optimizers.SGD(0.1), "mse")
    begun = fitting.model.get_weights()
    fit(fitting)
    write_metrics(finish(fitting), fitting, "CPU")
    alone = fitting.model.get_weights()
    assert max(np.abs(one - other).max() for one, other in zip(alone, begun, strict=True)) > 1e-3
    for weights in (
        learned(folders[0] / "weights0.npz"),
        learned(folders[1] / "weights1.npz"),
        load_model(read_run(folders[0] / "run")).get_weights(),
    ):
        for one, other in zip(alone, weights, strict=True):
            np.testing.assert_allclose(other, one, atol=1e-5)
    np.testing.assert_allclose(losses(folders[0] / "run"), losses(tmp_path / "alone"), atol=1e-5)
    assert files(folders[0] / "run") == files(tmp_path / "alone")
    assert files(folders[1]) == ["error1.txt", "out1.txt", "weights1.npz"]
    assert read(folders[0] / "run/metrics.json")["machines"] == 2
    kept = [re.search("keeps (.*)", out)[1].split() for out, _ in texts]
    assert kept == [["31-1m.jpg", "32-1m.jpg"], ["31-3m.jpg", "32-3m.jpg"]]
    for out, _ in texts:
        assert "plain fit fails" in out, (
            "keras.Model.fit does it now: distributed._Keras20585 may go (keras-team/keras 20585)"
        )


@pytest.mark.parametrize(
    "number", [pytest.param(1, marks=pytest.mark.long), pytest.param(0, marks=pytest.mark.slow, id="chief")]
)
def test_a_machine_that_is_killed_ends_the_other_and_both_go_on(tmp_path, imm_data, monkeypatch, number):
    options = {"part": 1, "data": str(imm_data), "batch_size": 2, "epochs": 2}
    folders = [tmp_path / "shared"] * 2
    run = folders[0] / "run"
    status, texts = on_two_machines(folders, TRAIN, [options, [number, 1, signal.SIGKILL]])
    assert status == ([2, -9] if number else [-9, 2]), texts
    error = texts[1 - number][1]
    assert error.splitlines()[-1].startswith("error: TF_CONFIG: one of the 2 machines is gone or out of reach")
    assert "Traceback" not in error
    assert len(history(run)) == 1
    status, texts = on_two_machines(folders, TRAIN, [options | {"resume": True}, []])
    assert status == [0, 0], texts
    monkeypatch.setattr(distributed, "divided", in_the_order_of_two)
    alone = train(**options, out=tmp_path / "alone", figures=False)
    np.testing.assert_allclose(losses(run), losses(alone), atol=1e-4)
    for one, other in zip(learned(folders[0] / "weights1.npz"), learned(folders[0] / "weights0.npz"), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_ctrl_c_on_one_machine_ends_all_after_the_batch(tmp_path, imm_data):
    options = {"part": 1, "data": str(imm_data), "batch_size": 2, "epochs": 3}
    status, texts = on_two_machines([tmp_path / "0", tmp_path / "1"], TRAIN, [options, [1, 1, signal.SIGINT]])
    assert status == [130, 130], texts
    assert read(tmp_path / "0/run/metrics.json")["interrupted"] == {"epoch": 2, "batch": 1}


@pytest.mark.slow
@pytest.mark.parametrize("file", ["34-3m", "32-3m"], ids=["validation", "training"])
def test_machines_with_different_photographs_are_refused(tmp_path, imm_data, file):
    shutil.copytree(imm_data, tmp_path / "1/faces")
    for path in (tmp_path / "1/faces/imm_face_db").glob(f"{file}.*"):
        path.unlink()
    (tmp_path / "0").mkdir()
    (tmp_path / "0/faces").symlink_to(imm_data)
    options = {"part": 1, "data": "faces", "batch_size": 2, "epochs": 1}
    status, texts = on_two_machines([tmp_path / "0", tmp_path / "1"], TRAIN, [options, []])
    assert status == [2, 2], texts
    for _, error in texts:
        assert "TF_CONFIG: the machines have different commands, photographs or checkpoints" in error
    assert not (tmp_path / "0/run").exists()
