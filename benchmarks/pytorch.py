"""PyTorch's side of the benchmarks, as fast as its user would make it: JSON lines in, JSON lines out.

Runs in a virtual environment of its own and imports nothing of this project. Its argument is JSON: `dtype` is
float32 or bfloat16 (autocast), `compiled` whether torch.compile is used.
"""

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import cache

import numpy as np
import torch
from PIL import Image
from torch_resnet18 import ResNet18, load_keras

SETTINGS = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
POINTS = 68


def autocast():
    if SETTINGS.get("dtype") == "bfloat16":
        return torch.autocast("cpu", torch.bfloat16)
    return nullcontext()


@cache
def network(training):
    torch.manual_seed(0)
    model = ResNet18(POINTS).to(memory_format=torch.channels_last).train(training)
    return model, torch.compile(model) if SETTINGS.get("compiled") else model


@cache
def batch(size):
    torch.manual_seed(0)
    images = (torch.rand(size, 1, 224, 224) - 0.5).to(memory_format=torch.channels_last)
    return images, torch.rand(size, POINTS, 2)


@cache
def optimizer():
    return torch.optim.Adam(network(True)[0].parameters(), 5e-4)


def train(size, steps):
    """Images per second of training steps on one batch."""
    images, truth = batch(size)
    run, adam = network(True)[1], optimizer()
    start = time.perf_counter()
    for _ in range(steps):
        adam.zero_grad(set_to_none=True)
        with autocast():
            loss = torch.nn.functional.l1_loss(run(images).float(), truth)
        loss.backward()
        adam.step()
        loss.item()
    return {"value": size * steps / (time.perf_counter() - start)}


def predict(size, steps):
    """Images per second from an array to an array."""
    images, run = batch(size)[0].numpy(), network(False)[1]
    start = time.perf_counter()
    for _ in range(steps):
        with torch.inference_mode(), autocast():
            run(torch.from_numpy(images).to(memory_format=torch.channels_last)).float().numpy()
    return {"value": size * steps / (time.perf_counter() - start)}


def product(m, k, n, seconds):
    """Seconds of one matrix product in bfloat16, (m, k) by (k, n)."""
    a, b = torch.randn(m, k).to(torch.bfloat16), torch.randn(k, n).to(torch.bfloat16)
    a @ b
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        a @ b
        count += 1
    return {"value": (time.perf_counter() - start) / count}


def outputs(weights, images, out):
    """Load Keras' weights and write the network's points for images (N, H, W, 1)."""
    model = ResNet18(POINTS).eval()
    with np.load(weights) as archive:
        load_keras(model, dict(archive))
    with torch.inference_mode():
        points = model(torch.from_numpy(np.load(images)).permute(0, 3, 1, 2))
    np.save(out, points.numpy())
    return {}


def versions():
    return {"torch": torch.__version__}


class Faces(torch.utils.data.Dataset):
    """The course's Dataset: open, cut out, resize and scale at each access, with Pillow."""

    def __init__(self, faces):
        self.faces = faces

    def __len__(self):
        return len(self.faces)

    def __getitem__(self, index):
        file, (left, top, width, height) = self.faces[index]
        with Image.open(file) as photograph:
            crop = photograph.convert("L").crop((left, top, left + width, top + height))
        pixels = np.asarray(crop.resize((224, 224), Image.Resampling.BILINEAR), np.float32) / 255 - 0.5
        return torch.from_numpy(pixels)[None]


def decode_faces(faces, times, workers):
    """Images per second from files to batches of crops of 224×224."""
    loader = torch.utils.data.DataLoader(Faces(faces * times), 32, num_workers=workers)
    start = time.perf_counter()
    count = sum(len(images) for images in loader)
    return {"value": count / (time.perf_counter() - start)}


def bare(files, times):
    """Images per second of Pillow's JPEG decoder (libjpeg-turbo) on whole files, grey, a thread for each core."""

    def one(file):
        with Image.open(file) as photograph:
            photograph.draft("L", None)
            photograph.load()

    start = time.perf_counter()
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        list(threads.map(one, files * times))
    return {"value": len(files) * times / (time.perf_counter() - start)}


TASKS = {task.__name__: task for task in (train, predict, product, decode_faces, bare, outputs, versions)}


def main():
    answers, sys.stdout = sys.stdout, sys.stderr  # what libraries print must not be taken for an answer
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    for line in sys.stdin:
        request = json.loads(line)
        answer = TASKS[request.pop("do")](**request)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
