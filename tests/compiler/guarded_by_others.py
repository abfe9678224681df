"""A module whose globals a compiled function reads."""

scale = 2.0
