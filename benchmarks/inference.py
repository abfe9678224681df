"""Forward passes of networks that `lenet.py` and `resnet.py` train, in evaluation and inference mode."""

from __future__ import annotations

from typing import Any


def inference(lib: Any, kit: Any, network: str, batch: int) -> Any:
    source = kit.workload(network)
    return kit.inference(kit.model(source.network(lib)), source.images(kit, batch))
