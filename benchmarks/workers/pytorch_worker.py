"""PyTorch's ResNet18 as a worker: channels last, and in the settings `dtype` and `compiled`.

`dtype` is float32, or bfloat16 by autocast; `compiled` says whether torch.compile is used.
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
from pytorch_resnet18 import ResNet18, load_keras

SETTINGS = settings()
POINTS, SHAPE = 68, (224, 224)


def _autocast():
    return torch.autocast("cpu", torch.bfloat16) if SETTINGS.get("dtype") == "bfloat16" else nullcontext()


@cache
def _network(training):
    torch.manual_seed(0)
    model = ResNet18(POINTS).to(memory_format=torch.channels_last).train(training)
    return model, torch.compile(model) if SETTINGS.get("compiled") else model


@cache
def _batch(size):
    torch.manual_seed(0)
    images = (torch.rand(size, 1, *SHAPE) - 0.5).to(memory_format=torch.channels_last)
    return images, torch.rand(size, POINTS, 2)


@cache
def _optimizer():
    return torch.optim.Adam(_network(True)[0].parameters(), 5e-4)


def train(size, steps):
    """Return the images per second of training steps on one batch."""
    images, truth = _batch(size)
    network, adam = _network(True)[1], _optimizer()

    def step():
        adam.zero_grad(set_to_none=True)
        with _autocast():
            loss = torch.nn.functional.l1_loss(network(images).float(), truth)
        loss.backward()
        adam.step()
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
    model = ResNet18(POINTS).eval()
    with np.load(weights) as archive:
        load_keras(model, dict(archive))
    with torch.inference_mode():
        points = model(torch.from_numpy(np.load(images)).permute(0, 3, 1, 2))
    np.save(out, points.numpy())


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
