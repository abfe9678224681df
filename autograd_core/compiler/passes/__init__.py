"""The passes that make a plan shorter and faster, each a function of a `Plan` that changes it."""
