"""PyTorch's switch for TF32 in matrix products: a permission that is remembered, and that no kernel takes so far."""

allow_tf32 = False
