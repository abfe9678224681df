"""`python -m autograd_core`: the command line."""

from autograd_core.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
