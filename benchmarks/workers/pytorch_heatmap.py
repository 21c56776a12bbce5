"""kp_tf/models/heatmap.py in PyTorch, with modules of the same names, and its loss; imports nothing of this project."""
# pyright: reportMissingImports=false

import math

import torch
from torch import nn

STRIDE, FOLD, MARGIN = 4, 2, 1  # as there
MIN_DEVIATION, EPSILON = 0.5, 1e-5


class Heatmap(nn.Module):
    """Images (B, 1, H, W) in [-0.5, 0.5] to points (B, points, 2) in the unit square and variances (B, points, 1)."""

    def __init__(self, points, shape, widths, depths):
        super().__init__()
        self.points, self.depths = points, depths
        self._add("stem", 1, widths[0], 2 * STRIDE, STRIDE)
        before = widths[0]
        for stage, (width, depth) in enumerate(zip(widths, depths, strict=True), 1):
            for block in range(1, depth + 1):
                stride, name = 2 if stage > 1 and block == 1 else 1, f"stage{stage}_block{block}"
                self._add(f"{name}_1", before, width, 3, stride)
                self._add(f"{name}_2", width, width, 3, 1)
                if stride != 1 or before != width:
                    self._add(f"{name}_project", before, width, 1, stride)
                before = width
        for stage in range(len(widths) - 1, 1, -1):
            self._add(f"up{stage}", widths[stage], widths[stage - 1], 1, 1)
        self._add("top", widths[1], widths[1], 3, 1)
        self.scores = nn.Conv2d(widths[1], FOLD**2 * points, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        height, width = (side // (2 * STRIDE) + 2 * MARGIN for side in shape)
        self.register_buffer("places", _grid_points(height, width), persistent=False)

    def _add(self, name, before, filters, kernel, stride):
        self.add_module(f"{name}_conv", nn.Conv2d(before, filters, kernel, stride, bias=False))
        self.add_module(f"{name}_norm", nn.BatchNorm2d(filters, EPSILON, 0.03))

    def _conv_norm(self, name, x):
        conv = getattr(self, f"{name}_conv")
        kernel, stride = conv.kernel_size[0], conv.stride[0]
        more = kernel - stride  # TensorFlow's padding "same" where the stride divides the sides
        if more > 0:
            x = nn.functional.pad(x, 2 * (more // 2, more - more // 2))
        return getattr(self, f"{name}_norm")(conv(x))

    def forward(self, x):
        x, stages = torch.relu(self._conv_norm("stem", x)), []
        for stage, depth in enumerate(self.depths, 1):
            for block in range(1, depth + 1):
                name = f"stage{stage}_block{block}"
                y = self._conv_norm(f"{name}_2", torch.relu(self._conv_norm(f"{name}_1", x)))
                x = self._conv_norm(f"{name}_project", x) if hasattr(self, f"{name}_project_conv") else x
                x = torch.relu(y + x)
            stages.append(x)
        for stage in range(len(self.depths) - 1, 1, -1):
            x = nn.functional.interpolate(self._conv_norm(f"up{stage}", x), scale_factor=2)
            x = torch.relu(x + stages[stage - 1])
        x = torch.relu(self._conv_norm("top", nn.functional.pad(x, 4 * (MARGIN,))))
        with torch.autocast("cpu", enabled=False):
            scores = self.scores(x.float()).permute(0, 2, 3, 1).reshape(len(x), len(self.places), self.points)
            centred = self.places - 0.5
            moments = scores.transpose(1, 2).softmax(-1) @ torch.cat([centred, centred**2], 1)
            mean, square = moments[..., :2], moments[..., 2:]
            return mean + 0.5, torch.relu(square - mean**2).sum(-1, keepdim=True)


def _grid_points(height, width):
    part = (torch.arange(FOLD) + 0.5) / FOLD - MARGIN
    y, x, down, right = torch.meshgrid(
        torch.arange(height).float(), torch.arange(width).float(), part, part, indexing="ij"
    )
    unit = (x + right) / (width - 2 * MARGIN), (y + down) / (height - 2 * MARGIN)
    return torch.stack(unit, -1).reshape(-1, 2)


def heatmap_loss(prediction, truth, w=10.0, epsilon=2.0, pixels=128.0):
    """The wing loss of the points and the likelihood of their errors under the variances."""
    mean, variance = prediction
    error = pixels * (mean - truth).abs()
    wing = torch.where(error < w, w * torch.log1p(error / epsilon), error - w + w * math.log1p(w / epsilon)).mean()
    deviation = (pixels**2 * variance + MIN_DEVIATION**2).sqrt()
    distance = (pixels * (mean - truth).norm(dim=-1, keepdim=True)).detach()
    return wing + (deviation.log() + distance / deviation).mean()
