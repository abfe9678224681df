"""Learn to read digits with a small convolutional network, written as one would write it in PyTorch.

    python -m autograd_core.examples.digits

`autograd-core train digits` trains the same network, with a progress bar, checkpoints and a learning curve.
"""

from __future__ import annotations

import autograd_core as ag
import autograd_core.nn.functional as F
from autograd_core import nn, optim
from autograd_core.utils.data import DataLoader, TensorDataset, digits, stratified_split


class DigitNet(nn.Module):
    """Two convolutions with batch normalisation, then two linear layers; images of (N, 1, size, size) to 10 logits."""

    def __init__(self, size: int = 8, width: int = 32) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, kernel_size=3, padding=1)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, 2 * width, kernel_size=3, padding=1)
        self.norm2 = nn.BatchNorm2d(2 * width)
        self.hidden = nn.Linear(2 * width * (size // 4) ** 2, 128)
        self.dropout = nn.Dropout(0.25)
        self.output = nn.Linear(128, 10)

    def forward(self, x: ag.Tensor) -> ag.Tensor:
        x = F.max_pool2d(F.relu(self.norm1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.norm2(self.conv2(x))), 2)
        x = F.relu(self.hidden(x.flatten(1)))
        return self.output(self.dropout(x))


def main(epochs: int = 15) -> float:
    """Train on four fifths of scikit-learn's digits; return the accuracy on the held-out fifth."""
    ag.manual_seed(0)
    device = ag.get_default_device()
    images, labels = (tensor.to(device) for tensor in digits())
    images = images.float().unsqueeze(1) / 16
    kept, held_out = stratified_split(labels, 0.2)

    model = DigitNet().to(device)
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    loader = DataLoader(TensorDataset(images[kept], labels[kept]), batch_size=64, shuffle=True)
    for epoch in range(epochs):
        model.train()
        for x, y in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
        model.eval()
        with ag.no_grad():
            right = (model(images[held_out]).argmax(1) == labels[held_out]).float().mean().item()
        print(f"epoch {epoch + 1:2}  loss {loss.item():.4f}  accuracy {right:.2%}")
    return right


if __name__ == "__main__":
    main()
