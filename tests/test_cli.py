"""The commands as a user meets them: help, refused options, exit statuses."""

import argparse
import importlib
import inspect
import os
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
from helpers import picture

import kp_tf
from kp_tf import cli
from kp_tf.core.environment import DEFAULTS
from kp_tf.training import train as training
from kp_tf.training.options import Options

REPOSITORY = Path(__file__).parents[1]
LEAST = {
    "train": ["--part", "1"],
    "predict": ["a.jpg"],
    "evaluate": ["--labels", "a.xml"],
    "convert": ["a.xml", "b.json", "--to", "coco"],
    "export": ["--to", "onnx"],
    "pack": ["--run", "a", "--out", "b.npz"],
    "download": ["imm"],
    "train-detector": ["--pictures", "a.json", "--out", "b"],
}


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Runs lines of Python as a command, in an environment that is empty before."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(os, "environ", {})
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # it would outlast the next lines within the same second

    def run(lines, **options):
        (tmp_path / "a_command.py").write_text(lines)
        sys.modules.pop("a_command", None)
        importlib.invalidate_caches()
        return cli.exit_status("a_command:run", **options)

    return run


RAISE = """
from kp_tf.core.errors import KpError, PartialError
def run(kind):
    raise {"whole": KpError, "part": PartialError, "interrupt": KeyboardInterrupt}[kind]("it says why")
"""


@pytest.mark.parametrize(
    ("kind", "status", "message"),
    [("whole", 2, "error: it says why\n"), ("part", 1, "error: it says why\n"), ("interrupt", 130, "interrupted\n")],
)
def test_exit_status_of_failures(command, capsys, kind, status, message):
    assert command(RAISE, kind=kind) == status
    assert capsys.readouterr().err == message


def test_a_file_that_may_not_be_used_is_one_line(command, capsys):
    assert command("def run(): open('/nowhere/a\\x1b.txt')") == 2
    assert capsys.readouterr().err == "error: cannot use /nowhere/a\\x1b.txt: No such file or directory\n"
    with pytest.raises(OSError, match="a mistake"):
        command("def run(): raise OSError('a mistake')")


def test_a_reader_of_the_output_that_ends_ends_the_command(tmp_path):
    (tmp_path / "a_command.py").write_text("def run():\n    for number in range(100_000):\n        print(number)\n")
    program = "import sys; from kp_tf import cli; sys.exit(cli.exit_status('a_command:run'))"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([*sys.path, str(tmp_path)])}
    with subprocess.Popen([sys.executable, "-c", program], stdout=-1, stderr=-1, env=environment) as process:
        assert process.stdout.readline() == b"0\n"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_a_full_disk_cannot_take_is_one_line(tmp_path, unbuffered):
    (tmp_path / "a_command.py").write_text("def run():\n    print(1)\n")
    program = "import sys; from kp_tf import cli; sys.exit(cli.exit_status('a_command:run'))"
    paths = os.pathsep.join([*sys.path, str(tmp_path)])
    environment = os.environ | {"PYTHONPATH": paths, "PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("w") as full:
        process = subprocess.run([sys.executable, "-c", program], stdout=full, stderr=-1, env=environment, check=False)
    assert process.stderr == b"error: cannot write: No space left on device. Free some space and try again\n"
    assert process.returncode == 2


def test_a_package_that_is_not_installed_is_named(command, capfd):
    needs = "raise ModuleNotFoundError('No module', name='pandas.core')"
    for lines in (needs, f"def run(): {needs}"):
        assert command(lines) == 2
        assert "error: this command needs pandas, which is not installed: pip install pandas" in capfd.readouterr().err
    with pytest.raises(ModuleNotFoundError):
        command("import kp_tf.no_such_module")


def test_a_command_finds_its_environment_when_it_is_imported(command):
    seen = {}
    assert command("import os\nseen = dict(os.environ)\ndef run(into): into.update(seen)", into=seen) == 0
    assert DEFAULTS.items() <= seen.items()


def test_an_import_that_is_interrupted_or_fails(command, capfd):
    assert command("raise KeyboardInterrupt") == 130
    with pytest.raises(ImportError):
        command("import os; os.write(2, b'the reason'); raise ImportError")
    assert capfd.readouterr().err == "interrupted\nthe reason"


@pytest.mark.parametrize(
    "arguments",
    [
        "train --part 1 --labels a.xml",
        "train --part 1 --overwrite --resume",
        "train --part 4",
        "submit --data data --labels a.xml",
        "submit --shard 1/2 --merge",
        "evaluate --labels a.xml --detect --flips",
        "export --to onnx --float16 --int8",
        "predict a.jpg --box 1,2,3",
        "predict a.jpg --box 1,2,3,four",
        "predict",
        "nothing",
    ],
)
def test_wrong_options_are_refused_before_anything_is_imported(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments.split())
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("usage: kp-tf")
    assert "error: " in said


@pytest.mark.parametrize(
    ("text", "message"),
    [("1,2,3", "expected four numbers L,T,W,H, found '1,2,3'"), ("-1,2,3,4", "expected one argument")],
)
def test_a_box_that_is_none(text, message, capsys):
    with pytest.raises(SystemExit):
        cli.main(["predict", "a.jpg", "--box", text])
    assert f"argument --box: {message}" in capsys.readouterr().err


def parsed(name, arguments):
    parser = argparse.ArgumentParser()
    cli.COMMANDS[name][1](parser)
    return vars(parser.parse_args(arguments))


def test_without_arguments_all_commands_are_listed(capsys):
    assert cli.main([]) == 2
    printed = capsys.readouterr().err
    listed = {line.split()[0] for line in printed.splitlines() if line.startswith("    ")}
    assert set(cli.COMMANDS) <= listed


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_options_are_parameters_of_the_function(name):
    options = parsed(name, LEAST.get(name, []))
    module, function = cli.COMMANDS[name][2].split(":")
    signature = inspect.signature(getattr(importlib.import_module(module), function))
    bound = signature.bind(**options).arguments
    if name == "train":
        signature = inspect.signature(training.train)
        Options(**signature.bind(**bound.pop("options")).arguments.pop("options"))
    for parameter in signature.parameters.values():  # what a user does not set has the default of the function
        if parameter.default is not parameter.empty:
            assert options.get(parameter.name, parameter.default) == parameter.default, parameter


def test_boxes_and_switches_arrive_as_values():
    boxes = parsed("predict", ["a.jpg", "--box=-1,2,3.5,4", "--box", "0,0,9,9"])["boxes"]
    assert boxes == [[-1, 2, 3.5, 4], [0, 0, 9, 9]]
    assert [parsed("submit", text.split())["flips"] for text in ("", "--flips", "--no-flips")] == [None, True, False]
    assert parsed("export", ["--to", "litert", "--int8"])["precision"] == "int8"
    assert parsed("train", ["--labels", "a.xml", "--scheme", "s.json"])["scheme_file"] == Path("s.json")


def test_an_unknown_option_is_answered_with_the_options_of_the_command(capsys):
    with pytest.raises(SystemExit):
        cli.main(["predict", "a.jpg", "--ot", "b"])
    error = capsys.readouterr().err
    assert error.startswith("usage: kp-tf predict [-h]")
    assert error.endswith("kp-tf predict: error: unrecognized arguments: --ot b\n")


def test_the_installed_command_runs_this_module():
    scripts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    assert scripts == {"kp-tf": f"{cli.main.__module__}:{cli.main.__name__}"}
    if not (installed := Path(sys.executable).with_name("kp-tf")).exists():
        pytest.skip("kp-tf is not installed in this environment")
    done = subprocess.run([installed, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"kp-tf {kp_tf.__version__}\n"


PROGRAMS = [["train.py"], ["predict_kaggle.py"], ["-m", "kp_tf"], *(["-m", "kp_tf", name] for name in cli.COMMANDS)]


@pytest.mark.parametrize("arguments", PROGRAMS, ids=" ".join)
def test_help_imports_nothing_large(arguments):
    command = [sys.executable, "-X", "importtime", *arguments, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert f"usage: {' '.join(arguments).replace('-m', 'python -m')}" in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert {"argparse", "kp_tf.cli"} <= imported
    assert not imported & {"tensorflow", "keras", "numpy", "pandas", "PIL", "dataclasses", "importlib.resources"}


@pytest.mark.parametrize("arguments", [[], ["--part", "1", "--recipe", "large"], ["--part", "2", "--scheme", "a.json"]])
def test_options_that_do_not_fit_are_refused_before_tensorflow_is_imported(arguments):
    code = "import sys; from kp_tf.cli import main; print(main(['train', *sys.argv[1:]]), 'tensorflow' in sys.modules)"
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert done.stdout == "2 False\n"
    assert done.stderr.startswith("error: ")


@pytest.mark.skipif(not find_spec("ai_edge_litert"), reason="needs LiteRT, without which TensorFlow predicts")
def test_a_jpeg_is_predicted_without_what_other_files_need(drawn_jpeg):
    """A cold start imports no reader of labels, no plugins of rare formats, and nothing that paints."""
    code = "import sys; from kp_tf.cli import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    command = [sys.executable, "-c", code, "predict", str(drawn_jpeg), "--box", "8,8,40,40"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY)
    imported = set(done.stderr.split())
    assert {"numpy", "PIL.Image"} <= imported
    assert not imported & {"tensorflow", "pandas", "xml.etree.ElementTree", "PIL.ImageDraw", "pillow_heif"}


@pytest.fixture
def drawn_jpeg(tmp_path):
    picture(64, 64).save(tmp_path / "a.jpg")
    return tmp_path / "a.jpg"


@pytest.mark.parametrize(("program", "name"), [("train.py", "train"), ("predict_kaggle.py", "submit")])
def test_programs_have_the_options_of_their_commands(program, name, capsys):
    shown = []
    for run in (lambda: cli.run_command(name, program, ["--help"]), lambda: cli.main([name, "--help"])):
        with pytest.raises(SystemExit):
            run()
        usage, _, options = capsys.readouterr().out.partition("\n\n")
        assert usage.startswith("usage: ")
        shown.append(options)
    assert shown[0] == shown[1]
