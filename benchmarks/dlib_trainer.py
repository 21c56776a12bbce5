"""dlib's own trainer as a process: dlib_trainer.py TRAIN_XML TEST_XML OUT.json OVERSAMPLING DEPTH

Runs in dlib's virtual environment. OUT.json: the points of the test XML's boxes in its order, parts sorted by name,
and the seconds that the training took.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from xml.etree import ElementTree

import dlib


def main():
    train, test, out = (Path(argument) for argument in sys.argv[1:4])
    options = dlib.shape_predictor_training_options()
    options.oversampling_amount, options.tree_depth = int(sys.argv[4]), int(sys.argv[5])
    options.be_verbose = False
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        model = str(Path(folder) / "model.dat")
        dlib.train_shape_predictor(str(train), model, options)
        seconds = time.perf_counter() - start
        predictor = dlib.shape_predictor(model)
    points = []
    for image in ElementTree.parse(test).getroot().iter("image"):
        pixels = dlib.load_rgb_image(str(test.parent / image.get("file")))
        for box in image.iter("box"):
            left, top, width, height = (int(box.get(name)) for name in ("left", "top", "width", "height"))
            found = predictor(pixels, dlib.rectangle(left, top, left + width - 1, top + height - 1))
            points.append([(part.x, part.y) for part in found.parts()])
    out.write_text(json.dumps({"points": points, "seconds": seconds}))


if __name__ == "__main__":
    main()
