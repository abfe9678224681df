"""A training step of a small residual network on images of 3 x 32 x 32 (He et al. 2016, the kind made for CIFAR-10).

Three stages of 16, 32 and 64 channels with `blocks` blocks each: 2 of them give ResNet-14. SGD with momentum.
"""

from __future__ import annotations

from typing import Any


def network(lib: Any, blocks: int = 2) -> Any:
    nn = lib.nn
    Module: Any = nn.Module

    class Block(Module):
        def __init__(self, inside: int, outside: int, stride: int) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
            self.norm1 = nn.BatchNorm2d(outside)
            self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
            self.norm2 = nn.BatchNorm2d(outside)
            self.relu = nn.ReLU()
            same = stride == 1 and inside == outside
            self.shortcut = nn.Identity() if same else nn.Conv2d(inside, outside, 1, stride, bias=False)

        def forward(self, x: Any) -> Any:
            y = self.relu(self.norm1(self.conv1(x)))
            return self.relu(self.norm2(self.conv2(y)) + self.shortcut(x))

    layers = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    width = 16
    for channels in (16, 32, 64):
        for block in range(blocks):
            layers.append(Block(width, channels, 2 if block == 0 and channels > 16 else 1))
            width = channels
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def images(kit: Any, batch: int) -> Any:
    return kit.images(batch, 3, 32, 32)


def resnet(lib: Any, kit: Any, batch: int = 32, blocks: int = 2) -> Any:
    model = kit.model(network(lib, blocks))
    optimizer = kit.optimizer("SGD", model.parameters(), lr=0.01, momentum=0.9)
    return kit.training(model, lib.nn.CrossEntropyLoss(), optimizer, images(kit, batch), kit.integers(10, batch))
