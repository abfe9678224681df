"""A text as characters: reading, batches, what counting alone can predict, and drawing from a model that learned it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import autograd_core as ag
import autograd_core.nn.functional as F
from autograd_core import nn
from autograd_core.experiments.resume import InputError
from autograd_core.experiments.settings import Settings

SOURCE = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"


class Text:
    """characters: the alphabet, sorted. train, held_out: the first nine tenths and the rest, as numbers (N,).

    start: what samples begin with.
    """

    def __init__(self, text: str) -> None:
        self.characters = "".join(sorted(set(text)))
        self.start = "\n" if "\n" in self.characters else text[0]
        number = {character: i for i, character in enumerate(self.characters)}
        data = ag.tensor([number[character] for character in text])
        cut = int(0.9 * len(data))
        self.train, self.held_out = data[:cut], data[cut:]


def read(settings: Settings) -> Text:
    """`input.txt` of the folder tinyshakespeare, or of `--data` itself. Raises FileNotFoundError or InputError."""
    path = settings.folder("tinyshakespeare") / "input.txt"
    if not path.is_file():
        wanted = Path(settings.data, "tinyshakespeare", "input.txt")
        raise FileNotFoundError(f"there is no {wanted}: any text will do; tiny Shakespeare is {SOURCE}")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no UTF-8 text ({error}): convert it, as with iconv -t UTF-8") from error
    if len(text) < 1000:
        raise InputError(f"{path} has {len(text)} characters: expected a text of at least 1000")
    return Text(text[:60_000] if settings.quick else text)


def windows(data: ag.Tensor, count: int, length: int) -> tuple[ag.Tensor, ag.Tensor]:
    """`count` random pieces of the text (count, length), and the same one character later."""
    if len(data) <= length:
        raise InputError(f"the text is too short: a part of it has {len(data)} characters, the model reads {length}")
    starts = ag.randint(len(data) - length, (count, 1), device=data.device)
    at = starts + ag.arange(length, device=data.device)
    return data[at], data[at + 1]


def counted(text: Text) -> dict[str, float]:
    """Cross-entropy on the held-out part, in nats, of guessing and of the frequencies of characters and of pairs."""
    n = len(text.characters)
    single = ag.bincount(text.train, minlength=n).double() + 1
    pairs = ag.bincount(text.train[:-1] * n + text.train[1:], minlength=n * n).double().reshape(n, n) + 0.1
    x, y = text.held_out[:-1], text.held_out[1:]
    return {
        "all characters alike": ag.log(ag.tensor(float(n))).item(),
        "frequencies": -ag.log(single / single.sum())[y].mean().item(),
        "frequencies after the last character": -ag.log(pairs / pairs.sum(1, keepdim=True))[x, y].mean().item(),
    }


def loss_on(model: Any, data: ag.Tensor, batches: int, count: int, length: int) -> float:
    """The mean cross-entropy, in nats a character, on random pieces."""
    model.eval()
    total = 0.0
    with ag.no_grad():
        for _ in range(batches):
            x, y = windows(data, count, length)
            total += F.cross_entropy(model(x).flatten(0, 1), y.flatten()).item()
    model.train()
    return total / batches


def sample(model: Any, characters: str, prompt: str, length: int, temperature: float = 0.8, top: int = 200) -> str:
    """`prompt` and `length` characters after it, drawn one by one from the `top` likeliest.

    temperature: divides the logits; near 0 the likeliest is always taken. Raises ValueError for a prompt that is
    empty or has characters that the model never saw, or a temperature that is not positive.
    """
    unknown = sorted(set(prompt) - set(characters))
    if not prompt or unknown:
        raise ValueError(
            f"the prompt needs at least one character, and only such as the model knows; got {unknown or 'none'}"
        )
    if not temperature > 0:
        raise ValueError(f"the temperature must be positive, got {temperature}")
    device = next(model.parameters()).device
    taken = ag.tensor([[characters.index(character) for character in prompt]], device=device)
    training = model.training
    model.eval()
    with ag.no_grad():
        for _ in range(length):
            logits = model(taken[:, -model.block :])[:, -1] / temperature
            best, which = ag.topk(logits, min(top, len(characters)))
            drawn = ag.multinomial(F.softmax(best, 1), 1)
            taken = ag.cat((taken, ag.gather(which, 1, drawn)), 1)
    model.train(training)
    return "".join(characters[i] for i in taken[0].tolist())


def keep(settings: Settings, name: str, model: nn.Module, text: Text, kind: dict[str, Any]) -> dict[str, str]:
    """Write the trained model beside the results, for `load`."""
    if settings.unfinished is None:
        return {}
    path = settings.unfinished.folder.parent / f"{name.lower().replace(' ', '-')}.safetensors"
    ag.save({**kind, "characters": text.characters, "model": dict(model.state_dict())}, path)
    return {"model": str(path)}


def load(path: str | Path) -> tuple[Any, str]:
    """A model that `char-gpt` or `char-rnn` kept, and its characters. Raises OSError, or InputError."""
    from autograd_core.experiments import char_gpt, char_rnn

    try:
        state = ag.load(path, map_location=ag.get_default_device())
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    kind = state.get("kind") if isinstance(state, dict) else None
    if kind not in ("gpt", "rnn"):
        raise InputError(f"{path} is no model of the experiments char-gpt and char-rnn")
    model: Any
    try:
        characters = state["characters"]
        if kind == "gpt":
            model = char_gpt.GPT(len(characters), char_gpt.Config(**state["config"]))
        else:
            model = char_rnn.CharRNN(len(characters), char_rnn.Config(**state["config"]))
        model.load_state_dict(state["model"])
    except (RuntimeError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged: {error!r}") from error
    return model.to(ag.get_default_device()), characters


def parameters_of(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def draw_losses(rows: list[dict[str, Any]], counted: dict[str, float], path: Path) -> Path:
    """The curves of the training and the held-out loss, over the steps, with what counting reaches."""
    from autograd_core.experiments.settings import figure

    made = figure(8, 4.5)
    axes = made.subplots()
    for i, row in enumerate(rows):
        steps = [step for step, _, _ in row["history"]]
        name = row["name"]
        axes.plot(steps, [train for _, train, _ in row["history"]], f"C{i}--", label=f"{name}, training text")
        axes.plot(steps, [held_out for _, _, held_out in row["history"]], f"C{i}-", label=f"{name}, held-out text")
    for name, value in counted.items():
        axes.axhline(value, color="grey", linewidth=0.8)
        axes.annotate(name, (0.99, value), xycoords=("axes fraction", "data"), ha="right", va="top", color="dimgrey")
    axes.set(xlabel="steps", ylabel="cross-entropy, nats a character", ylim=(0, None), xlim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left")
    made.savefig(path, dpi=120)
    return path
