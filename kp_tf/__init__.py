"""Facial keypoints in Keras 3 on TensorFlow."""

import importlib
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING

__version__ = "0.2.0"
__all__ = [
    "NME",
    "Face",
    "FaceData",
    "HeatmapLoss",
    "KpError",
    "Predictor",
    "TrainedRun",
    "WingLoss",
    "cnn",
    "draw",
    "heatmap_network",
    "load_data",
    "resnet18",
    "train",
    "with_variance",
]

if TYPE_CHECKING:  # for type checkers and editors; `__getattr__` imports the same names from the same modules
    from importlib.abc import Loader  # whose import takes as long as all else here

    from kp_tf.core.errors import KpError
    from kp_tf.core.face import Face
    from kp_tf.models.cnn import cnn
    from kp_tf.models.heatmap import heatmap_network, with_variance
    from kp_tf.models.losses import NME, HeatmapLoss, WingLoss
    from kp_tf.models.resnet18 import resnet18
    from kp_tf.predict.drawing import draw
    from kp_tf.predict.predictor import Predictor
    from kp_tf.training.face_data import FaceData, load_data
    from kp_tf.training.interface import TrainedRun, train

_MODULES = {
    "core.errors": ("KpError",),
    "core.face": ("Face",),
    "models.cnn": ("cnn",),
    "models.heatmap": ("heatmap_network", "with_variance"),
    "models.losses": ("HeatmapLoss", "NME", "WingLoss"),
    "models.resnet18": ("resnet18",),
    "predict.drawing": ("draw",),
    "predict.predictor": ("Predictor",),
    "training.face_data": ("FaceData", "load_data"),
    "training.interface": ("TrainedRun", "train"),
}


def __getattr__(name: str) -> object:
    """Import public names when they are used, so that `import kp_tf` alone stays fast."""
    for module, names in _MODULES.items():
        if name in names:
            return getattr(importlib.import_module(f"kp_tf.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _register_layers() -> None:
    """Register the project's layers and losses with Keras, so that `keras.models.load_model` reads its models."""
    with suppress(ImportError):  # of a Keras that this project cannot use: importing that one must not fail here
        for module in ("models.heatmap", "models.losses"):
            importlib.import_module(f"kp_tf.{module}")


class _KerasFinder:
    """Registers the project's layers when Keras is imported, because `import kp_tf` does not import Keras."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "keras":
            return None
        for finder in sys.meta_path[sys.meta_path.index(self) + 1 :]:
            spec = finder.find_spec(fullname, path, target)
            if spec and spec.loader:
                spec.loader = _KerasLoader(spec.loader)  # pyright: ignore[reportAttributeAccessIssue]
                return spec
        return None


class _KerasLoader:
    """The loader of Keras, which registers the layers afterwards."""

    def __init__(self, loader: "Loader") -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> object:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        _register_layers()


if "keras" in sys.modules:
    _register_layers()
else:
    sys.meta_path.insert(0, _KerasFinder())
