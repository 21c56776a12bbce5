"""Facial keypoints in Keras 3 on TensorFlow."""

from importlib import import_module

__version__ = "0.1.0"
__all__ = ["Face", "KpError", "Predictor"]

_WHERE = {"Face": "predict.predictor", "KpError": "core.errors", "Predictor": "predict.predictor"}


def __getattr__(name: str) -> object:
    """Import what is public when it is asked for: `train.py --help` needs none of it."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"kp_tf.{_WHERE[name]}"), name)
