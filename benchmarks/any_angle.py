"""The picture at the top of the README: prints on a table, upright, lying, upside down and small.

    python -m benchmarks.any_angle --data DIR --astronaut astronaut.png --out docs/images/any_angle.jpg

The prints are scikit-image's astronaut (NASA, public domain) and faces of IMM.
"""

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageFilter

from kp_tf.cli import exit_status
from kp_tf.core.errors import KpError
from kp_tf.data.layout import FOLDERS
from kp_tf.predict.drawing import draw
from kp_tf.predict.predictor import Predictor

SIZE, TABLE = (1600, 1000), "#9a8468"
BORDER, SMOOTH = 0.04, 2  # of a print's longer side; times larger while it is rotated
SHADOW, BLUR = (8, 10), 10  # pixels


class Print(NamedTuple):
    """A photograph on the table.

    Attributes:
        name: of the file; None is the astronaut.
        width: of the print in pixels.
        angle: in degrees, clockwise.
        centre: in pixels.
    """

    name: str | None
    width: int
    angle: float
    centre: tuple[int, int]


PRINTS = (
    Print("39-1m.jpg", 330, -14, (240, 190)),
    Print("31-1m.jpg", 470, 97, (300, 640)),
    Print(None, 560, 8, (770, 330)),
    Print("35-3f.jpg", 400, 168, (760, 800)),
    Print("32-1m.jpg", 440, -62, (1250, 290)),
    Print("40-1m.jpg", 300, 231, (1220, 770)),
    Print("33-4m.jpg", 130, 35, (1500, 640)),
    Print("38-1m.jpg", 110, -97, (1490, 850)),
)


def make(data: Path, astronaut: Path, out: Path) -> None:
    """Write OUT.

    Raises:
        KpError: if a photograph is missing.
    """
    table = Image.new("RGB", SIZE, TABLE)
    for print_ in PRINTS:
        path = data / FOLDERS["imm"] / print_.name if print_.name else astronaut
        if not path.is_file():
            raise KpError(f"there is no {path}")
        with Image.open(path) as photograph:
            lay(table, photograph.convert("RGB"), print_)
    faces = Predictor.load().predict(table)
    draw(table, faces).crop((0, 0, *SIZE)).save(out, quality=88, optimize=True)  # without the enlarged faces below
    print(f"{len(faces)} faces in {len(PRINTS)} prints; wrote {out}")


def lay(table: Image.Image, photograph: Image.Image, print_: Print) -> None:
    """Paste a photograph with a white border, rotated, above its shadow."""
    width = SMOOTH * print_.width
    size = width, round(width * photograph.height / photograph.width)
    border = round(BORDER * max(size))
    sheet = Image.new("RGBA", (size[0] + 2 * border, size[1] + 2 * border), "white")
    sheet.paste(photograph.resize(size, Image.Resampling.LANCZOS), (border, border))
    sheet = sheet.rotate(-print_.angle, Image.Resampling.BICUBIC, expand=True)
    sheet = sheet.resize((sheet.width // SMOOTH, sheet.height // SMOOTH), Image.Resampling.LANCZOS)
    place = print_.centre[0] - sheet.width // 2, print_.centre[1] - sheet.height // 2
    shadow = Image.new("L", table.size)
    shadow.paste(sheet.getchannel("A"), (place[0] + SHADOW[0], place[1] + SHADOW[1]))
    shadow = shadow.filter(ImageFilter.GaussianBlur(BLUR)).point([value // 2 for value in range(256)])
    table.paste("black", (0, 0), shadow)
    table.paste(sheet, place, sheet)


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the picture at the top of the README.")
    parser.add_argument("--data", metavar="DIR", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--astronaut", metavar="FILE", type=Path, required=True, help="scikit-image's astronaut.png")
    parser.add_argument("--out", metavar="FILE", type=Path, default=Path("any_angle.jpg"))
    return exit_status("benchmarks.any_angle:make", **vars(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
