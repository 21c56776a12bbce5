"""Part 2 or 3 of the course as a student writes it in PyTorch; `benchmarks/course.py` writes its task.

    python benchmarks/workers/pytorch_course.py task.json out

A Dataset reads every file at each access, with two worker processes. With `best`, the network is channels last
and computes in bfloat16 by autocast. Writes out.pt and, if there are test photographs, out.csv; prints the seconds
of each epoch as JSON. Runs in the virtual environment of PyTorch and imports nothing of this project.
"""
# pyright: reportMissingImports=false

import csv
import json
import random
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from pytorch_resnet18 import ResNet18
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Faces(Dataset):
    """Faces [file, [left, top, width, height], points in the window's unit square or None] to image and points."""

    def __init__(self, faces, shape, mirror=None):
        self.faces, self.shape, self.mirror = faces, shape, mirror

    def __len__(self):
        return len(self.faces)

    def __getitem__(self, index):
        file, (left, top, width, height), points = self.faces[index]
        with Image.open(file) as photograph:
            crop = photograph.convert("L").crop((left, top, left + width, top + height))
        pixels = np.asarray(crop.resize(self.shape[::-1], Image.Resampling.BILINEAR), np.float32) / 255 - 0.5
        points = np.zeros((0, 2), np.float32) if points is None else np.array(points, np.float32)
        if self.mirror and random.random() < 0.5:
            pixels, points = pixels[:, ::-1].copy(), points[self.mirror] * (-1, 1) + (1, 0)
        return torch.from_numpy(pixels)[None], torch.from_numpy(points.astype(np.float32))


def cnn(shape, convs, hidden, points):
    """Build the network of part 2."""
    layers, channels = [], 1
    for filters, kernel in convs:
        layers += [nn.Conv2d(channels, filters, kernel), nn.ReLU(), nn.MaxPool2d(2)]
        channels = filters
    flat = nn.Sequential(*layers, nn.Flatten())
    width = flat(torch.zeros(1, 1, *shape)).shape[1]
    return nn.Sequential(
        flat, nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, 2 * points), nn.Unflatten(1, (points, 2))
    )


def main():
    task, out = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    torch.manual_seed(0)
    count = len(task["training"][0][2])
    model = cnn(task["shape"], task["convs"], task["hidden"], count) if "convs" in task else ResNet18(count)
    best, layout = task["best"], torch.channels_last if task["best"] else torch.contiguous_format
    model = model.to(memory_format=layout)
    loss = {"mse": nn.MSELoss(), "mae": nn.L1Loss()}[task["loss"]]
    adam = torch.optim.Adam(model.parameters(), task["learning_rate"])

    def run(images):
        with torch.autocast("cpu", torch.bfloat16) if best else nullcontext():
            return model(images.to(memory_format=layout)).float()

    def loader(faces, mirror=None, shuffle=False):
        return DataLoader(Faces(faces, task["shape"], mirror), task["batch_size"], shuffle, num_workers=2)

    training, validation = loader(task["training"], task["mirror"], shuffle=True), loader(task["validation"])
    seconds = []
    for epoch in range(task["epochs"]):
        start = time.perf_counter()
        model.train()
        for images, points in training:
            adam.zero_grad()
            error = loss(run(images), points)
            error.backward()
            adam.step()
        model.eval()
        with torch.no_grad():
            losses = [loss(run(images), points).item() for images, points in validation]
        seconds.append(time.perf_counter() - start)
        print(f"epoch {epoch + 1}: {error.item():.4f}, validation {np.mean(losses):.4f}", file=sys.stderr)
    torch.save(model.state_dict(), out.with_suffix(".pt"))
    if task["test"]:
        with torch.no_grad():
            unit_points = np.concatenate([run(images).numpy() for images, _ in loader(task["test"])])
        windows = np.array([window for _, window, _ in task["test"]], np.float64)[:, None]
        points = windows[..., :2] - 0.5 + unit_points * windows[..., 2:]
        with out.with_suffix(".csv").open("w", newline="") as file:
            csv.writer(file).writerows([("Id", "Predicted"), *enumerate(points.ravel())])
    print(json.dumps({"seconds_per_epoch": seconds}))


if __name__ == "__main__":
    main()
