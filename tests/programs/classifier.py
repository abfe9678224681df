"""A multilayer perceptron that tells noisy clusters apart: datasets, loaders, dropout, label smoothing, accuracy."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import optim
from torch.utils.data import DataLoader, Dataset, TensorDataset, random_split


class Clusters(Dataset):
    def __init__(self, count, features=8, classes=4):
        self.centres = 1.5 * torch.randn(classes, features)
        self.labels = torch.randint(0, classes, (count,))
        self.points = self.centres[self.labels] + torch.randn(count, features)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.points[index], self.labels[index]


class MLP(nn.Module):
    def __init__(self, features, hidden, classes, dropout=0.2):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(features, hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Linear(hidden, classes),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


@torch.no_grad()
def evaluate(model, loader, device):
    model.eval()
    correct, total, loss = 0, 0, 0.0
    for x, y in loader:
        x, y = x.to(device, non_blocking=True), y.to(device, non_blocking=True)
        logits = model(x)
        loss += F.cross_entropy(logits, y, reduction="sum").item()
        _, predicted = torch.max(logits, 1)
        correct += (predicted == y).sum().item()
        total += y.size(0)
    return loss / total, correct / total


def main(device="cpu", epochs=2):
    torch.manual_seed(0)
    device = torch.device(device if not torch.cuda.is_available() else "cuda")
    train_set, test_set = random_split(Clusters(224), [160, 64])
    train_loader = DataLoader(train_set, batch_size=16, shuffle=True, pin_memory=False, drop_last=True)
    held_out = TensorDataset(*[torch.stack(column) for column in zip(*test_set)])
    test_loader = DataLoader(held_out, batch_size=32)

    model = MLP(8, 32, 4).to(device)
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
    optimizer = optim.Adam(model.parameters(), lr=1e-2, weight_decay=1e-4)
    losses = []
    for _ in range(epochs):
        model.train()
        for inputs, targets in train_loader:
            inputs, targets = inputs.to(device), targets.to(device)
            optimizer.zero_grad()
            loss = criterion(model(inputs), targets)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    losses.extend(evaluate(model, test_loader, device))
    return losses


if __name__ == "__main__":
    print(main())
