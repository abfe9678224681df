"""Let a model that `autograd-core experiment char-gpt` or `char-rnn` trained write text.

python -m autograd_core.examples.write_text runs/experiments/char-gpt/cpu-configuration.safetensors --prompt "ROMEO:"
"""

from __future__ import annotations

import argparse

import autograd_core as ag
from autograd_core.experiments import text


def main(argv: list[str] | None = None) -> str:
    parser = argparse.ArgumentParser(description="Let a character model write text.")
    parser.add_argument("model", help="the .safetensors file that the experiment kept")
    parser.add_argument("--prompt", help="what the text begins with (default: a new line, if the model knows it)")
    parser.add_argument("--length", type=int, default=500, help="characters to write (default: 500)")
    parser.add_argument(
        "--temperature", type=float, default=0.8, help="lower is safer, higher is wilder (default: 0.8)"
    )
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    ag.manual_seed(arguments.seed)
    try:
        model, characters = text.load(arguments.model)
        prompt = ("\n" if "\n" in characters else characters[0]) if arguments.prompt is None else arguments.prompt
        written = text.sample(model, characters, prompt, arguments.length, arguments.temperature)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    print(written)
    return written


if __name__ == "__main__":
    main()
