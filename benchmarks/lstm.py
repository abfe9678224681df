"""A training step of a character model: embedding, an LSTM over the sequence, a linear layer on each position; Adam."""

from __future__ import annotations

from typing import Any


def network(lib: Any, width: int, characters: int = 65) -> Any:
    nn = lib.nn
    Module: Any = nn.Module

    class CharacterModel(Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(characters, width)
            self.lstm = nn.LSTM(width, width, batch_first=True)
            self.head = nn.Linear(width, characters)

        def forward(self, x: Any) -> Any:
            return self.head(self.lstm(self.embedding(x))[0]).flatten(0, 1)

    return CharacterModel()


def lstm(lib: Any, kit: Any, batch: int = 32, length: int = 64, width: int = 256) -> Any:
    model = kit.model(network(lib, width))
    optimizer = kit.optimizer("Adam", model.parameters(), lr=1e-3)
    x, y = kit.integers(65, batch, length), kit.integers(65, batch * length)
    return kit.training(model, lib.nn.CrossEntropyLoss(), optimizer, x, y)
