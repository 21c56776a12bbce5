"""kp_tf/models/resnet18.py in PyTorch, with modules of the same names; imports nothing of this project."""
# pyright: reportMissingImports=false

import torch
from torch import nn

STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))


class Block(nn.Module):
    """Two 3×3 convolutions and a shortcut, which is projected where the shape changes."""

    def __init__(self, before, filters, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, filters, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(filters)
        if stride != 1 or before != filters:
            self.project = nn.Conv2d(before, filters, 1, stride, bias=False)
            self.project_norm = nn.BatchNorm2d(filters)

    def forward(self, x):
        y = torch.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        if hasattr(self, "project"):
            x = self.project_norm(self.project(x))
        return torch.relu(x + y)


class ResNet18(nn.Module):
    """Images (B, 1, H, W) in [-0.5, 0.5] to points (B, points, 2) in the unit square."""

    def __init__(self, points):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
        self.norm1 = nn.BatchNorm2d(64)
        self.pool = nn.MaxPool2d(3, 2, 1)
        before, self.blocks = 64, []
        for stage, (filters, stride) in enumerate(STAGES, 1):
            for block in (1, 2):
                name = f"stage{stage}_block{block}"
                self.add_module(name, Block(before, filters, stride if block == 1 else 1))
                self.blocks.append(name)
                before = filters
        self.coordinates = nn.Linear(before, 2 * points)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x):
        x = self.pool(torch.relu(self.norm1(self.conv1(x))))
        for name in self.blocks:
            x = getattr(self, name)(x)
        return self.coordinates(x.mean(dim=(2, 3))).unflatten(1, (-1, 2))


NAMES = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}


def load_keras(model, weights):
    """Set a model's weights from Keras' by their path, such as `stage1_block1_conv1/kernel` (H, W, in, out).

    Raises:
        ValueError: if they are the weights of another network.
    """
    state = {}
    for path, value in weights.items():
        layer, kind = path.split("/")
        head, _, tail = ("", "", layer) if hasattr(model, layer) else layer.rpartition("_")
        if tail == "norm":  # of project_norm
            head, tail = head.removesuffix("_project"), "project_norm"
        tensor = torch.from_numpy(value)
        if kind == "kernel":
            kind, tensor = "weight", tensor.T if tensor.ndim == 2 else tensor.permute(3, 2, 0, 1)
        state[".".join(part for part in (head, tail, NAMES.get(kind, kind)) if part)] = tensor
    loaded = model.load_state_dict(state, strict=False)
    absent = [name for name in loaded.missing_keys if not name.endswith("num_batches_tracked")]
    if absent or loaded.unexpected_keys:
        raise ValueError(
            f"the weights are of another network. Received: without {absent}, with {loaded.unexpected_keys}"
        )
