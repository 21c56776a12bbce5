"""What several commands offer as values of their options. It imports nothing, so that `--help` is shown at once."""

KEEP = ("last", "best")  # the epoch whose weights are the result; the best has the lowest validation loss
PRECISIONS = ("auto", "float32", "mixed_bfloat16")
LABEL_FORMATS = ("dlib", "coco", "cvat", "labelme", "pts", "kaggle", "imm")  # those of data.formats
DETECTORS = ("builtin", "dlib", "centerface", "mediapipe")  # those of predict.detectors

# for the help of options
RUN = "a run directory, a packed or exported file, compact or large"  # what backends.load_network takes
PACKED_RUN = "a run directory, a packed file, compact or large"  # what artifacts.find.find_model takes
LABELS = f"a file or folder of {', '.join(LABEL_FORMATS)}"
DETECTOR = f"finds faces: {', '.join(DETECTORS)}, a run of train-detector, or network: itself (default: {DETECTORS[0]})"
OUTSIDE = "take photographs outside the folder of the labels as well"
