"""From a list of samples to one batch."""

import copy
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

import autograd_core as ag


def _is_namedtuple(value: Any) -> bool:
    return isinstance(value, tuple) and hasattr(value, "_fields")


def _rebuild(value: Any, items: list[Any]) -> Any:
    """A sequence of `value`'s own kind with other items; a list where no such can be made."""
    try:
        if isinstance(value, MutableSequence):
            made = copy.copy(value)  # With whatever else it holds.
            made[:] = items
            return made
        return type(value)(items)
    except TypeError:
        return items


def _map_values(value: Mapping[Any, Any], function: Callable[[Any], Any]) -> Any:
    items = {key: function(key) for key in value}
    try:
        if isinstance(value, MutableMapping):
            made = copy.copy(value)
            made.update(items)
            return made
        return type(value)(items)  # type: ignore[call-arg]
    except TypeError:
        return items


def _from_numpy(array: Any) -> "ag.Tensor":
    """NumPy array or scalar to tensor of its own dtype; text and objects have none."""
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"default_collate: a NumPy {type(array).__name__} of dtype {array.dtype} cannot become a tensor; "
            "convert it in the dataset, or pass your own collate_fn"
        )
    return ag.from_numpy(np.array(array))


def default_convert(data: Any) -> Any:
    """NumPy values become tensors, containers are walked (a tuple gives a list), everything else stays.

    The loader's default when `batch_size=None`.

    >>> ag.utils.data.default_convert(("a", 3))
    ['a', 3]
    """
    if isinstance(data, np.ndarray | np.generic) and data.dtype.kind in "biuf":
        return _from_numpy(data)
    if isinstance(data, Mapping):
        return _map_values(data, lambda key: default_convert(data[key]))
    if _is_namedtuple(data):
        return type(data)(*(default_convert(item) for item in data))
    if isinstance(data, tuple):
        return [default_convert(item) for item in data]
    if isinstance(data, Sequence) and not isinstance(data, str | bytes):
        return _rebuild(data, [default_convert(item) for item in data])
    return data


def default_collate(batch: Sequence[Any]) -> Any:
    """Join samples of one structure into a batch with a new first dimension of size `len(batch)`.

    Tensors and NumPy arrays are stacked; floats become a float64 tensor, ints int64, bools bool; str and bytes stay
    as they are; dicts, named tuples, tuples and lists are joined entry by entry (a tuple gives a list).
    Raises RuntimeError when samples differ in shape or length, TypeError for a type it does not know.

    >>> ag.utils.data.default_collate([(1, "a"), (2, "b")])
    [tensor([1, 2]), ('a', 'b')]
    """
    first = batch[0]
    if isinstance(first, ag.Tensor):
        return ag.stack(batch, 0)
    if isinstance(first, str | bytes):
        return batch
    if isinstance(first, np.ndarray | np.generic):
        return ag.stack([_from_numpy(item) for item in batch], 0)
    if isinstance(first, float):
        return ag.tensor(batch, dtype=ag.float64)
    if isinstance(first, int):
        return ag.tensor(batch)
    if isinstance(first, Mapping):
        for position, item in enumerate(batch):
            if missing := [key for key in first if key not in item]:
                raise KeyError(f"default_collate: sample {position} of the batch lacks the keys {missing} of sample 0")
        return _map_values(first, lambda key: default_collate([item[key] for item in batch]))
    if isinstance(first, Sequence):
        if any(len(item) != len(first) for item in batch):
            lengths = sorted({len(item) for item in batch})
            raise RuntimeError(
                f"default_collate: each sample should have as many entries as the others, got lengths {lengths}"
            )
        columns = [default_collate(column) for column in zip(*batch, strict=True)]
        if _is_namedtuple(first):
            return type(first)(*columns)
        return columns if isinstance(first, tuple) else _rebuild(first, columns)
    raise TypeError(
        f"default_collate: a sample holds a {type(first).__name__}; expected tensors, NumPy arrays, numbers, str, "
        "bytes, or dicts, tuples and lists of these. Convert it in the dataset, or pass your own collate_fn"
    )
