"""The commands and their options. A command's module is imported only when the command runs."""

import argparse
import gc
import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from kp_tf import __version__
from kp_tf.core.environment import captured_stderr, set_environment_defaults
from kp_tf.core.errors import KpError
from kp_tf.recipes import PRECISIONS

RUN = "a run directory, a packed or exported file, compact or large"


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m kp_tf`: parse the arguments and run the command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m kp_tf", description="Facial keypoints.")
    parser.add_argument("--version", action="version", version=f"kp_tf {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (text, add_options, _) in COMMANDS.items():
        add_options(commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}."))
    options = vars(parser.parse_args(arguments))
    return exit_status(COMMANDS[options.pop("command")][2], **options)


def run_command(name: str, program: str) -> int:
    """Run one command as a program of its own, such as train.py; returns the exit status."""
    text, add_options, function = COMMANDS[name]
    parser = argparse.ArgumentParser(prog=program, description=f"{text[0].upper()}{text[1:]}.")
    add_options(parser)
    return exit_status(function, **vars(parser.parse_args()))


def exit_status(command: str, **options: object) -> int:
    """Run a command for the shell.

    Args:
        command: `module:function`.
        **options: of the function.

    Returns:
        0; 2 if the command failed and 1 if it did a part of its work, with the reason on stderr; 130 after Ctrl-C.
    """
    module, function = command.split(":")
    set_environment_defaults()
    with captured_stderr():
        imported = importlib.import_module(module)
    try:
        getattr(imported, function)(**options)
    except KpError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    finally:
        gc.collect()  # an iterator of tf.data that calls Python hangs if Python is already shutting down
    return 0


def _train(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--part", type=int, choices=(1, 2, 3), help="1 nose, 2 IMM, 3 iBUG 300-W")
    what.add_argument("--labels", metavar="XML", type=Path, help="points of your own, in dlib's format")
    add("--val-labels", metavar="XML", type=Path, help="labels for validation (default: a tenth of the photographs)")
    add(
        "--scheme",
        metavar="JSON",
        dest="scheme_file",
        type=Path,
        help="names, flip partners and eyes of your points",
    )
    add(
        "--recipe",
        choices=("course", "strong", "large"),
        help="default: course, or strong with --labels; large is for part 3",
    )
    add("--init", metavar="RUN", help="start from the weights of a run, compact or large")
    add("--teacher", metavar="RUN", help="learn from the points of a run, compact or large as well")
    add("--data", metavar="DIR", help="folder of the data sets, or `sample` for drawn faces")
    add("--epochs", metavar="N", type=int, help="total, instead of the recipe's")
    add("--batch-size", metavar="N", type=int, help="instead of the recipe's")
    add("--learning-rate", metavar="R", type=float, help="instead of the recipe's")
    add("--precision", choices=PRECISIONS, help="auto: by the hardware (default; float32 for the recipe course)")
    add("--seed", metavar="N", type=int, help="of weights, order and augmentation (default: 0)")
    add("--devices", metavar="N", type=int, help="GPUs that share each batch (default: all)")
    add("--deterministic", action="store_true", help="the same weights to the last bit, slower")
    add("--skip-bad", action="store_true", help="leave out photographs that cannot be used")
    add("--out", metavar="DIR", type=Path, help="run directory (default: runs/partN-RECIPE-001 …)")
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--overwrite", action="store_true", help="let --out replace a run")
    again.add_argument("--resume", action="store_true", help="continue --out, or the newest unfinished run")


def _kaggle(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--run", metavar="RUN", help="a part 3, compact or large (default: the newest part 3, or large)")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--data", metavar="DIR", help="folder of the data sets, or `sample` for drawn faces")
    source.add_argument("--labels", metavar="XML", type=Path, help="photographs and boxes in dlib's format")
    add("--out", metavar="CSV", type=Path, help="default: submission.csv")
    add(
        "--flips",
        action=argparse.BooleanOptionalAction,
        help="average with the prediction of the mirrored face (default: for all recipes but course)",
    )
    add("--precision", choices=PRECISIONS, default="float32", help="default: float32")
    part = parser.add_mutually_exclusive_group()
    part.add_argument("--shard", metavar="I/N", help="predict the I-th of N shards alone, on any machine")
    part.add_argument("--merge", action="store_true", help="join the shards, once all are in one folder")


def _predict(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("photographs", metavar="PHOTO", nargs="+", help="files, folders and patterns; or one clip")
    add("--run", metavar="RUN", help=f"{RUN} (default: compact)")
    add("--box", metavar="L,T,W,H", dest="boxes", type=_box, action="append", help="box of a face; repeatable")
    add("--out", metavar="DIR", type=Path, help="write points and pictures there (default: print the points)")
    add("--format", choices=("json", "csv", "pts", "xml"), default="json", help="default: json")


def _evaluate(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--labels", metavar="PATH", type=Path, required=True, help="dlib's XML, or IMM's folder")
    add("--run", metavar="RUN", help=f"{RUN} (default: the newest part 3, or large)")
    add("--split", choices=("all", "validation"), default="all", help="default: all")
    add("--json", metavar="FILE", type=Path, help="write the figures, and a CED plot and faces beside them")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--found", action="store_true", help="detect the faces instead of taking their boxes")
    how.add_argument("--flips", action="store_true", help="average with the prediction of the mirrored face")
    add("--precision", choices=PRECISIONS, default="float32", help="default: float32")


def _export(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--to", choices=("litert", "onnx"), required=True, help="the format")
    add("--run", metavar="RUN", help="a run directory, a packed file, compact or large (default: newest part 3)")
    add("--out", metavar="FILE", type=Path, help="the .tflite or .onnx (default: named after the run)")
    weights = parser.add_mutually_exclusive_group()
    for name, text in (("float16", "half the size"), ("int8", "a quarter of the size; LiteRT alone")):
        weights.add_argument(f"--{name}", dest="precision", action="store_const", const=name, help=f"weights: {text}")
    add("--labels", metavar="XML", type=Path, help="report the error before and after on these faces")
    parser.set_defaults(precision="float32")


def _pack(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run", metavar="DIR", type=Path, required=True, help="a completed run")
    parser.add_argument("--out", metavar="FILE", type=Path, required=True, help="the .npz to write")


def _demo(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--run", metavar="RUN", dest="runs", action="append", help=f"offer this network first ({RUN}); repeatable")
    add("--port", metavar="N", type=int, default=8000, help="on this machine (default: 8000)")
    add("--no-browser", dest="browser", action="store_false", help="do not open a browser")


def _download(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("archive", choices=("imm", "ibug"), help="the IMM face database, or iBUG 300-W (1.7 GB)")
    parser.add_argument("--data", metavar="DIR", type=Path, default=Path("data"), help="default: data/")


def _box(text: str) -> list[float]:
    """`argparse` reports a ValueError in its own words."""
    numbers = [float(part) for part in text.split(",")]
    if len(numbers) != 4:
        raise ValueError(text)
    return numbers


# a line of help, its options, and what runs
COMMANDS: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None], str]] = {
    "train": ("train one part of the course, or points of your own", _train, "kp_tf.training.train:train"),
    "kaggle": ("write the submission of the course's competition", _kaggle, "kp_tf.apps.kaggle:predict_kaggle"),
    "predict": ("predict landmarks in photographs or a clip", _predict, "kp_tf.predict.command:predict"),
    "evaluate": ("score a network on labelled photographs", _evaluate, "kp_tf.evaluate.command:evaluate"),
    "export": ("write a network as a file that runs without TensorFlow", _export, "kp_tf.apps.export:export"),
    "pack": ("write a run's weights as one small file, in half precision", _pack, "kp_tf.apps.export:pack"),
    "demo": ("serve a page to see, correct, mark and save landmarks", _demo, "kp_tf.apps.demo.server:demo"),
    "download": ("download and unpack a published data set", _download, "kp_tf.data.download:download"),
}
