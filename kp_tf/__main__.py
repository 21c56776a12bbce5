"""python -m kp_tf: what is not training or the competition."""

import argparse
import sys
from pathlib import Path

from kp_tf import __version__
from kp_tf.core.environment import PRECISIONS, exit_status


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m kp_tf",
        description="Facial keypoints. Training is `python train.py`, the competition `python predict_kaggle.py`.",
    )
    parser.add_argument("--version", action="version", version=f"kp_tf {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    download = commands.add_parser("download", help="fetch and unpack a published data set")
    download.add_argument("archive", choices=("imm", "ibug"), help="the IMM face database, or iBUG 300-W (1.7 GB)")
    download.add_argument("--data", metavar="DIR", type=Path, default=Path("data"), help="default: data/")
    predict = commands.add_parser("predict", help="find faces and their points in photographs or a clip")
    predict.add_argument("photographs", metavar="PHOTO", nargs="+", help="files, folders, patterns; or one clip")
    predict.add_argument(
        "--run", metavar="RUN", help="a run, an exported or packed file, compact (default) or large"
    )
    predict.add_argument(
        "--box", metavar="L,T,W,H", dest="boxes", type=_box, action="append", help="a face's box; may be repeated"
    )
    predict.add_argument(
        "--out", metavar="DIR", type=Path, help="write points and pictures (default: print points)"
    )
    predict.add_argument("--format", choices=("json", "csv", "pts", "xml"), default="json", help="default: json")
    demo = commands.add_parser("demo", help="a page in the browser: see, correct, mark and save")
    demo.add_argument(
        "--run", metavar="RUN", dest="runs", action="append", help="offer this network first; may be repeated"
    )
    demo.add_argument("--port", metavar="N", type=int, default=8000, help="on this machine (default: 8000)")
    demo.add_argument("--no-browser", dest="browser", action="store_false", help="do not open it")
    evaluate = commands.add_parser("evaluate", help="score a network on labelled photographs")
    evaluate.add_argument("--labels", metavar="PATH", type=Path, required=True, help="dlib's XML, or IMM's folder")
    evaluate.add_argument("--run", metavar="RUN", help="a run directory, compact or large (default: newest part 3)")
    evaluate.add_argument("--split", choices=("all", "validation"), default="all", help="default: all")
    evaluate.add_argument("--json", metavar="FILE", type=Path, help="write numbers, CED plot and faces")
    evaluate.add_argument("--found", action="store_true", help="find the faces instead of taking the given boxes")
    evaluate.add_argument("--precision", choices=PRECISIONS, default="float32", help="default: float32")
    evaluate.add_argument("--flips", action="store_true", help="mean with the prediction of the mirrored face")
    pack = commands.add_parser("pack", help="write a run's weights as one small file, in half precision")
    pack.add_argument("--run", metavar="DIR", type=Path, required=True, help="a completed run")
    pack.add_argument("--out", metavar="FILE", type=Path, required=True, help="the .npz to write")
    export = commands.add_parser("export", help="write a network as a file that runs without TensorFlow")
    export.add_argument("--to", choices=("litert", "onnx"), required=True)
    export.add_argument("--run", metavar="RUN", help="a run directory, compact or large (default: newest part 3)")
    export.add_argument("--out", metavar="FILE", type=Path, help="the .tflite or .onnx to write")
    weights = export.add_mutually_exclusive_group()
    for name, text in (("float16", "half the size"), ("int8", "a quarter of the size; LiteRT alone")):
        weights.add_argument(
            f"--{name}", dest="precision", action="store_const", const=name, help=f"weights: {text}"
        )
    export.add_argument("--labels", metavar="XML", type=Path, help="report the error before and after on these")
    export.set_defaults(precision="float32")
    arguments = vars(parser.parse_args())
    return exit_status(COMMANDS[arguments.pop("command")], **arguments)


def _box(text: str) -> list[float]:
    """`argparse` tells of a ValueError in its own words."""
    numbers = [float(part) for part in text.split(",")]
    if len(numbers) != 4:
        raise ValueError(text)
    return numbers


COMMANDS = {
    "demo": "kp_tf.apps.demo.server:demo",
    "download": "kp_tf.data.download:download",
    "evaluate": "kp_tf.evaluate.command:evaluate",
    "export": "kp_tf.apps.export:export",
    "predict": "kp_tf.predict.command:predict",
    "pack": "kp_tf.backends.inference:pack",
}

if __name__ == "__main__":
    sys.exit(main())
