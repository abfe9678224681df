"""A training step of a character GPT in nanoGPT's shape for a CPU: 4 layers, 4 heads, 128 wide, block 64, batch 12.

Pre-norm blocks without biases, tied embedding and head, gradients clipped to a norm of 1, AdamW.
"""

from __future__ import annotations

from typing import Any


def network(lib: Any, layers: int = 4, heads: int = 4, width: int = 128, block: int = 64, batch: int = 12) -> Any:
    nn, attention = lib.nn, lib.nn.functional.scaled_dot_product_attention
    Module: Any = nn.Module

    class Block(Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm1 = nn.LayerNorm(width, bias=False)
            self.qkv = nn.Linear(width, 3 * width, bias=False)
            self.out = nn.Linear(width, width, bias=False)
            self.norm2 = nn.LayerNorm(width, bias=False)
            self.up = nn.Linear(width, 4 * width, bias=False)
            self.gelu = nn.GELU()
            self.down = nn.Linear(4 * width, width, bias=False)

        def forward(self, x: Any) -> Any:
            b, t, _ = x.shape
            q, k, v = (
                part.view(b, t, heads, width // heads).transpose(1, 2)
                for part in self.qkv(self.norm1(x)).split(width, 2)
            )
            y = attention(q, k, v, is_causal=True)
            x = x + self.out(y.transpose(1, 2).reshape(b, t, width))
            return x + self.down(self.gelu(self.up(self.norm2(x))))

    class GPT(Module):
        extra_flops = 4 * layers * batch * block * block * width  # the two products of attention

        def __init__(self) -> None:
            super().__init__()
            self.tokens = nn.Embedding(65, width)
            self.positions = nn.Embedding(block, width)
            self.blocks = nn.Sequential(*(Block() for _ in range(layers)))
            self.norm = nn.LayerNorm(width, bias=False)
            self.head = nn.Linear(width, 65, bias=False)
            self.head.weight = self.tokens.weight

        def forward(self, x: Any) -> Any:
            positions = lib.arange(x.shape[1], device=x.device)
            x = self.blocks(self.tokens(x) + self.positions(positions))
            return self.head(self.norm(x)).flatten(0, 1)

    return GPT()


def gpt(lib: Any, kit: Any, batch: int = 12, layers: int = 4, width: int = 128, block: int = 64) -> Any:
    model = kit.model(network(lib, layers, 4, width, block, batch))
    optimizer = kit.optimizer("AdamW", model.parameters(), lr=1e-3, betas=(0.9, 0.99), weight_decay=0.1)
    x, y = kit.integers(65, batch, block), kit.integers(65, batch * block)
    return kit.training(model, lib.nn.CrossEntropyLoss(), optimizer, x, y, clip=1.0)
