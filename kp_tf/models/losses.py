"""Losses on points in the unit square; a point of the truth that is NaN has no say."""

import math

from keras import KerasTensor
from keras import ops as K


def wing(truth: KerasTensor, prediction: KerasTensor, w: float, epsilon: float, pixels: float) -> KerasTensor:
    """Wing loss (Feng et al., Wing Loss for Robust Facial Landmark Localisation, 2018)."""
    present = K.logical_not(K.isnan(truth))
    error = pixels * K.abs(K.where(present, truth, prediction) - prediction)
    near = w * K.log(1 + error / epsilon)
    far = error - (w - w * math.log(1 + w / epsilon))
    loss = K.where(error < w, near, far)
    weight = K.cast(present, loss.dtype)
    return K.sum(loss * weight) / K.maximum(K.sum(weight), 1)
