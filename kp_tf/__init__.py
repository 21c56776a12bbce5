"""Facial keypoints in Keras 3 on TensorFlow."""

import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType

__version__ = "0.2.0"
__all__ = ["Face", "KpError", "Predictor"]

_MODULES = {"Face": "core.face", "KpError": "core.errors", "Predictor": "predict.predictor"}


def __getattr__(name: str) -> object:
    """Import public names when they are used, so that `import kp_tf` alone stays fast."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"kp_tf.{_MODULES[name]}"), name)


class _RegisterLayers(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Registers the project's layers with Keras as soon as Keras has been imported.

    So `keras.saving.load_model` can read the runs of the heatmap recipes, and `import kp_tf` need not import Keras.
    """

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != "keras":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return None
        self._loader, spec.loader = spec.loader, self
        return spec

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        importlib.import_module("kp_tf.models.heatmap")


if "keras" in sys.modules:
    importlib.import_module("kp_tf.models.heatmap")
else:
    sys.meta_path.insert(0, _RegisterLayers())
