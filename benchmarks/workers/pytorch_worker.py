"""PyTorch's networks as a worker: channels last, and in the settings `dtype`, `compiled` and `heatmap`.

`dtype` is float32, or bfloat16 by autocast; `compiled` says whether torch.compile is used. `heatmap` has the input
shape, widths and depths of a heatmap network; without it, the network is ResNet18.
"""
# pyright: reportMissingImports=false

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import cache

import numpy as np
import torch
from PIL import Image
from protocol import repeat, seconds_of_call, serve, settings, timed
from pytorch_course import Faces
from pytorch_heatmap import Heatmap, heatmap_loss
from pytorch_resnet18 import ResNet18, load_keras

SETTINGS = settings()
HEATMAP = SETTINGS.get("heatmap")
POINTS, SHAPE = 68, tuple(HEATMAP["shape"]) if HEATMAP else (224, 224)


def _autocast():
    return torch.autocast("cpu", torch.bfloat16) if SETTINGS.get("dtype") == "bfloat16" else nullcontext()


def _untrained():
    return Heatmap(POINTS, **HEATMAP) if HEATMAP else ResNet18(POINTS)


@cache
def _network(training):
    torch.manual_seed(0)
    model = _untrained().to(memory_format=torch.channels_last).train(training)
    return model, torch.compile(model) if SETTINGS.get("compiled") else model


@cache
def _batch(size):
    torch.manual_seed(0)
    images = (torch.rand(size, 1, *SHAPE) - 0.5).to(memory_format=torch.channels_last)
    return images, torch.rand(size, POINTS, 2)


@cache
def _optimizer():
    parameters = _network(True)[0].parameters()
    return torch.optim.AdamW(parameters, 2e-3, weight_decay=0.02) if HEATMAP else torch.optim.Adam(parameters, 5e-4)


@cache
def _averages():
    return [parameter.detach().clone() for parameter in _network(True)[0].parameters()]


def _clip_step_and_average(optimizer):
    """A step as of `strong`, which clips the norm of the gradient and averages the weights."""
    parameters = list(_network(True)[0].parameters())
    torch.nn.utils.clip_grad_norm_(parameters, 5.0)
    optimizer.step()
    with torch.no_grad():
        torch._foreach_lerp_(_averages(), parameters, 0.001)


def train(size, steps):
    """Return the images per second of training steps on one batch."""
    images, truth = _batch(size)
    network, optimizer = _network(True)[1], _optimizer()

    def step():
        optimizer.zero_grad(set_to_none=True)
        with _autocast():
            points = network(images)
        loss = heatmap_loss(points, truth) if HEATMAP else torch.nn.functional.l1_loss(points.float(), truth)
        loss.backward()
        if HEATMAP:
            _clip_step_and_average(optimizer)
        else:
            optimizer.step()
        loss.item()

    return size * steps / repeat(step, steps)


def predict(size, steps):
    """Return the images per second from a NumPy array to a NumPy array."""
    images, network = _batch(size)[0].numpy(), _network(False)[1]

    def step():
        with torch.inference_mode(), _autocast():
            network(torch.from_numpy(images).to(memory_format=torch.channels_last)).float().numpy()

    return size * steps / repeat(step, steps)


def product(m, k, n, seconds):
    """Return the seconds of one bfloat16 matrix product, (m, k) by (k, n), repeated for at least `seconds`."""
    a, b = torch.randn(m, k).to(torch.bfloat16), torch.randn(k, n).to(torch.bfloat16)
    return seconds_of_call(lambda: a @ b, seconds)


def outputs(weights, images, out):
    """Load Keras' weights into the network and write its points for images (N, H, W, 1), all of them files."""
    model = _untrained().eval()
    with np.load(weights) as archive:
        load_keras(model, dict(archive))
    with torch.inference_mode():
        points = model(torch.from_numpy(np.load(images)).permute(0, 3, 1, 2))
    np.save(out, (torch.cat(points, -1) if HEATMAP else points).numpy())


def decode_faces(faces, times, workers):
    """Return the images per second from files to batches of crops; `faces` [file, box] are read `times` times."""
    dataset = Faces([(*face, None) for face in faces * times], SHAPE)
    loader = torch.utils.data.DataLoader(dataset, 32, num_workers=workers)
    count, seconds = timed(lambda: sum(len(images) for images, _ in loader))
    return count / seconds


def decode_files(files, times):
    """Return the images per second of Pillow's JPEG decoder (libjpeg-turbo), whole files to grey, on all cores."""
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        _, seconds = timed(lambda: list(threads.map(_decode, files * times)))
    return len(files) * times / seconds


def _decode(file):
    with Image.open(file) as photograph:
        photograph.draft("L", None)
        photograph.load()


def versions():
    """Return the version of PyTorch."""
    return {"torch": torch.__version__}


torch.set_num_threads(len(os.sched_getaffinity(0)))
serve(train, predict, product, outputs, decode_faces, decode_files, versions)
