"""Compiling: record a function once, optimise the list of its calls, replay it."""
