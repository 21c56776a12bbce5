"""The commands and their options. A command's module is imported only when the command runs."""

import argparse
import gc
import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kp_tf import __version__
from kp_tf.core.choices import DETECTOR, DETECTORS, LABEL_FORMATS, LABELS, OUTSIDE, PACKED_RUN, PRECISIONS, RUN
from kp_tf.core.environment import (
    captured_stderr,
    drop_unwritable_output,
    escape_output,
    is_stdout_closed,
    set_environment_defaults,
)
from kp_tf.core.errors import KpError, as_kp_error, printable
from kp_tf.training.arguments import add_options as _train
from kp_tf.training.detector.options import add_options as _train_detector


def main(arguments: Sequence[str] | None = None, program: str = "kp-tf") -> int:
    """Parse the arguments of `kp-tf` and run the command; returns the exit status."""
    escape_output()
    every = all_commands(program)
    if not (sys.argv[1:] if arguments is None else arguments):
        every.print_help(sys.stderr)
        return 2
    found, unknown = every.parse_known_args(arguments)
    options = vars(found)
    parser: argparse.ArgumentParser = options.pop("parser")
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    return exit_status(COMMANDS[options.pop("command")][2], **options)


def all_commands(program: str = "kp-tf") -> argparse.ArgumentParser:
    """The parser of every command and its options, which `shtab` can read for shell completion."""
    parser = argparse.ArgumentParser(
        prog=program,
        description="Train networks for facial keypoints, and predict, evaluate and export with them.",
        epilog=f"`{program} COMMAND --help` lists the options of a command.",
    )
    parser.add_argument("--version", action="version", version=f"kp-tf {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (summary, add_options, _) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=_sentence(summary))
        command.set_defaults(parser=command)  # its usage explains an option that it does not have
        add_options(command)
    return parser


def run_command(name: str, program: str, arguments: Sequence[str] | None = None) -> int:
    """Run one command as a program of its own, such as train.py; returns the exit status."""
    escape_output()
    summary, add_options, function = COMMANDS[name]
    parser = argparse.ArgumentParser(prog=program, description=_sentence(summary))
    add_options(parser)
    return exit_status(function, **vars(parser.parse_args(arguments)))


def _sentence(summary: str) -> str:
    return f"{summary[0].upper()}{summary[1:]}."


def exit_status(command: str, **options: object) -> int:
    """Run a command for the shell.

    Args:
        command: `module:function`.
        **options: of the function.

    Returns:
        0; 2 if the command failed and 1 if it did a part of its work, with the reason on stderr; 130 after Ctrl-C;
        141, as the shell has it, if the program that reads the output has ended.
    """
    module, function = command.split(":")
    set_environment_defaults()
    try:
        with captured_stderr():
            imported = importlib.import_module(module)
        getattr(imported, function)(**options)
        sys.stdout.flush()
    except BrokenPipeError:
        if not is_stdout_closed():
            raise
        return 141
    except (KpError, OSError, ModuleNotFoundError) as error:
        failure = as_kp_error(error)
        if failure is None:
            raise
        drop_unwritable_output()
        print(f"error: {printable(str(failure))}", file=sys.stderr)
        return failure.status
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    finally:
        gc.collect()  # an iterator of tf.data that calls Python hangs if Python is already shutting down
    return 0


def train(submit: Path | None = None, **options: Any) -> None:
    """Train and, if asked, write the submission in the same process.

    Args:
        submit: the CSV of the submission.
        **options: of `training.train.train`, with its errors.
    """
    with captured_stderr():
        if not options.get("resume"):
            importlib.import_module("kp_tf.training.options").check(**options)
        training = importlib.import_module("kp_tf.training.train")
    if submit is not None:
        options["submission"] = importlib.import_module("kp_tf.apps.kaggle").Submission(submit)
    training.train(**options)


def _submit(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--run", metavar="RUN", help=f"{PACKED_RUN}, with 68 points (default: the newest part 3, or large)")
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--data",
        metavar="DIR",
        help="folder of the data sets (default: $KP_TF_DATA, or data), or `sample` for synthetic faces",
    )
    source.add_argument(
        "--labels", metavar="XML", type=Path, help="photographs and boxes in dlib's XML, instead of --data"
    )
    add("--allow-outside", action="store_true", help=f"with --labels: {OUTSIDE}")
    add("--out", metavar="CSV", type=Path, help="default: submission.csv")
    add(
        "--flips",
        action=argparse.BooleanOptionalAction,
        help="average with the prediction of the mirrored face (default: for all recipes but course)",
    )
    add("--precision", choices=PRECISIONS, default="float32", help="default: float32")
    shards = parser.add_mutually_exclusive_group()
    shards.add_argument(
        "--shard", metavar="I/N", help="predict only the I-th of N shards; each may run on another machine"
    )
    shards.add_argument("--merge", action="store_true", help="join the shards, once all of them are beside --out")


def _predict(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("photographs", metavar="PHOTO", nargs="+", help="photographs, clips, folders and patterns")
    add("--run", metavar="RUN", help=f"{RUN} (default: compact)")
    add(
        "--box",
        metavar="L,T,W,H",
        dest="boxes",
        type=_box,
        action="append",
        help="left, top, width and height of a face, instead of detection; repeatable; --box=L,T,W,H if L is negative",
    )
    add("--detector", metavar="NAME", default=DETECTORS[0], help=DETECTOR)
    add("--out", metavar="DIR", type=Path, help="write points and pictures to this folder (default: print the points)")
    add("--format", choices=("json", "csv", "pts", "xml"), default="json", help="default: json")
    add("--upright", action="store_true", help="give and take pixels of the upright photograph, not as stored")


def _evaluate(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--labels", metavar="PATH", type=Path, required=True, help=f"labelled faces: {LABELS}")
    add("--allow-outside", action="store_true", help=OUTSIDE)
    add("--run", metavar="RUN", help=f"{RUN} (default: the newest part 3, or large)")
    add("--split", choices=("all", "validation"), default="all", help="default: all")
    add("--json", metavar="FILE", type=Path, help="write the scores to this file, and plots next to it")
    add("--by", metavar="CSV", type=Path, help="score also by the columns of this file; file names the photographs")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--detect", action="store_true", help="detect the faces, instead of taking their boxes")
    mode.add_argument("--flips", action="store_true", help="average with the prediction of the mirrored face")
    add("--detector", metavar="NAME", default=DETECTORS[0], help=f"with --detect: {DETECTOR}")
    add("--precision", choices=PRECISIONS, default="float32", help="default: float32")


def _convert(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("source", metavar="SOURCE", type=Path, help="labels: a file, or a folder for labelme, pts and imm")
    add("target", metavar="TARGET", type=Path, help="file to write, or folder for labelme and pts")
    add("--to", choices=LABEL_FORMATS[:-1], required=True, help="format to write")
    add("--from", dest="source_format", choices=LABEL_FORMATS, help="format to read (default: by its content)")
    add("--skip-bad", action="store_true", help="leave out entries that cannot be used, instead of stopping")
    add("--allow-outside", action="store_true", help=OUTSIDE)
    add("--overwrite", action="store_true", help="replace files that exist")


def _export(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--to", choices=("litert", "onnx", "web"), required=True, help="format of the file; web: a page for a web host")
    add("--run", metavar="RUN", help=f"{PACKED_RUN} (default: the newest part 3, or large)")
    add("--out", metavar="FILE", type=Path, help="the .tflite, .onnx or folder to write (default: named after the run)")
    weights = parser.add_mutually_exclusive_group()
    for name, text in (("float16", "half the size"), ("int8", "a quarter of the size; not for --to onnx")):
        weights.add_argument(
            f"--{name}", dest="precision", action="store_const", const=name, help=f"store the weights in {name}: {text}"
        )
    add("--labels", metavar="PATH", type=Path, help="report the error before and after on these faces")
    add("--runtime", metavar="DIR", type=Path, help="take LiteRT.js from this folder instead of npm; --to web alone")
    add("--title", metavar="TEXT", help="heading of the page (default: kp_tf); --to web alone")


def _pack(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run", metavar="DIR", type=Path, required=True, help="directory of a completed run")
    parser.add_argument("--out", metavar="FILE", type=Path, required=True, help="the .npz to write")


def _demo(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("folder", metavar="FOLDER", nargs="?", type=Path, help="open a project: photographs, their labels and networks")
    add("--run", metavar="RUN", dest="runs", action="append", help=f"offer this network first: {RUN}; repeatable")
    add("--detector", metavar="NAME", default=DETECTORS[0], help=DETECTOR)
    add("--port", metavar="N", type=int, default=8000, help="port on this machine (default: 8000)")
    add("--no-browser", dest="browser", action="store_false", help="do not open a browser")


def _download(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("archive", choices=("imm", "ibug"), help="the IMM face database, or iBUG 300-W (1.7 GB)")
    parser.add_argument("--data", metavar="DIR", type=Path, default=Path("data"), help="data folder (default: data)")


def _box(text: str) -> list[float]:
    try:
        left, top, width, height = (float(number) for number in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected four numbers L,T,W,H, found {text!r}") from None
    return [left, top, width, height]


COMMANDS: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None], str]] = {  # help, options, function
    "train": ("train a part of the course, or a network for points of your own", _train, "kp_tf.cli:train"),
    "train-detector": ("train the network that finds faces", _train_detector, "kp_tf.training.detector.train:train"),
    "submit": ("write the submission for the course's competition", _submit, "kp_tf.apps.kaggle:predict_kaggle"),
    "predict": ("predict landmarks in photographs and clips", _predict, "kp_tf.predict.command:predict"),
    "evaluate": ("score a network on labelled photographs", _evaluate, "kp_tf.evaluate.command:evaluate"),
    "convert": ("convert labels between the formats of annotation tools", _convert, "kp_tf.data.convert:convert"),
    "export": ("write a network as a file without TensorFlow, or as a web page", _export, "kp_tf.apps.export:export"),
    "pack": ("write the weights of a run as one small file", _pack, "kp_tf.apps.export:pack"),
    "demo": ("serve a web page to see, correct, label and save landmarks", _demo, "kp_tf.apps.demo.server:demo"),
    "download": ("download and unpack a published data set", _download, "kp_tf.data.download:download"),
}
