"""Datasets, samplers, collating, and the order and shape of what DataLoader gives."""

import warnings
from collections import OrderedDict, defaultdict, namedtuple

import numpy as np
import pytest

import autograd_core as ag
from autograd_core.utils.data import (
    BatchSampler,
    ChainDataset,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    StackDataset,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    default_convert,
    random_split,
)

Point = namedtuple("Point", "x y")


class Squares(Dataset):
    def __init__(self, n):
        self.n = n

    def __getitem__(self, index):
        if not 0 <= index < self.n:
            raise IndexError(index)
        return index, float(index * index)

    def __len__(self):
        return self.n


class Count(IterableDataset):
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        return iter(range(self.n))


class Known(Count):
    def __len__(self):
        return self.n


class Short(Squares):
    def __getitems__(self, indices):
        return [self[indices[0]]]


class Wrapped(Dataset):
    """The same samples as another dataset, one at a time."""

    def __init__(self, dataset):
        self.dataset = dataset

    def __getitem__(self, index):
        return self.dataset[index]

    def __len__(self):
        return len(self.dataset)


def plain(value):
    """Tensors to (dtype, nested lists), containers walked; to compare batches."""
    if isinstance(value, ag.Tensor):
        return str(value.dtype).split(".")[-1], value.tolist()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [type(value).__name__, *map(plain, value)]
    return value


# ---- datasets


def test_tensor_dataset():
    x, y = ag.arange(6).reshape(3, 2), ag.arange(3)
    dataset = TensorDataset(x, y)
    assert len(dataset) == 3
    assert plain(dataset[2]) == ["tuple", ("int64", [4, 5]), ("int64", 2)]
    assert plain(dataset[-1]) == plain(dataset[2])
    with pytest.raises(IndexError):
        dataset[3]


def test_subset_and_its_nesting():
    inner = Subset(Squares(10), [9, 3, 5, 7])
    outer = Subset(inner, [2, 0])
    assert len(outer) == 2
    assert [outer[0], outer[1]] == [(5, 25.0), (9, 81.0)]
    assert outer.__getitems__([1, 0]) == [(9, 81.0), (5, 25.0)]
    assert [sample for sample in outer] == [(5, 25.0), (9, 81.0)]


@pytest.mark.parametrize(
    ("n", "lengths", "expected"),
    [
        (10, [7, 3], [7, 3]),
        (10, [10], [10]),
        (10, [0.7, 0.3], [7, 3]),
        (10, [0.33, 0.33, 0.34], [4, 3, 3]),
        (11, [0.5, 0.5], [6, 5]),
        (3, [0.1] * 10, [1, 1, 1, 0, 0, 0, 0, 0, 0, 0]),
        (1, [1], [1]),
    ],
)
def test_random_split_lengths(n, lengths, expected):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about empty parts
        parts = random_split(Squares(n), lengths)
    assert [len(part) for part in parts] == expected
    assert sorted(index for part in parts for index in part.indices) == list(range(n))


def test_concatenated_chained_and_stacked():
    both = Squares(3) + Squares(2)
    assert type(both) is ConcatDataset and len(both) == 5 and both.cumulative_sizes == [3, 5]
    assert [both[i] for i in (0, 2, 3, 4, -1, -5)] == [(0, 0), (2, 4), (0, 0), (1, 1), (1, 1), (0, 0)]
    assert [sample for sample in both] == [(0, 0), (1, 1), (2, 4), (0, 0), (1, 1)]
    chain = Count(2) + Count(3)
    assert type(chain) is ChainDataset and list(chain) == list(chain) == [0, 1, 0, 1, 2]
    assert len(ChainDataset([Known(2), Known(3)])) == 5
    stack = StackDataset(Squares(4), Subset(Squares(9), [8, 7, 6, 5]))
    assert len(stack) == 4 and stack[1] == ((1, 1.0), (7, 49.0))
    assert stack.__getitems__([3, 0]) == [((3, 9.0), (5, 25.0)), ((0, 0.0), (8, 64.0))]
    named = StackDataset(a=[1, 2], b="xy")
    assert named[1] == named.__getitems__([1])[0] == {"a": 2, "b": "y"}
    batch = next(iter(DataLoader(named, 2)))
    assert plain(batch) == {"a": ("int64", [1, 2]), "b": ["list", "x", "y"]}


def test_weighted_and_subset_sampling():
    drawn = list(WeightedRandomSampler([1.0, 0.0, 3.0], 4000, generator=ag.Generator().manual_seed(0)))
    assert len(drawn) == 4000 and 1 not in drawn and 0.72 < drawn.count(2) / 4000 < 0.78
    assert sorted(WeightedRandomSampler([5.0, 1.0, 2.0, 9.0], 4, replacement=False)) == [0, 1, 2, 3]
    chosen = ["p", "q", "r", "s", "t"]
    sampler = SubsetRandomSampler(chosen, generator=ag.Generator().manual_seed(1))
    orders = [list(sampler) for _ in range(4)]
    assert all(sorted(order) == chosen for order in orders) and len(set(map(tuple, orders))) > 1 and len(sampler) == 5


def test_random_split_is_decided_by_the_generator():
    def split(seed):
        return [part.indices for part in random_split(Squares(50), [30, 20], ag.Generator().manual_seed(seed))]

    assert split(1) == split(1)
    assert split(1) != split(2)
    assert split(1)[0] != sorted(split(1)[0])


def test_an_empty_part_warns():
    with pytest.warns(UserWarning, match="part 1 of .* is empty"):
        random_split(Squares(3), [3, 0])


MISTAKES = [
    (lambda: TensorDataset(ag.zeros(2), ag.zeros(3, 4)), AssertionError, r"size mismatch.*\(2,\), \(3, 4\)"),
    (lambda: TensorDataset(ag.zeros(2), [1, 2]), TypeError, "argument 1 is a list"),
    (lambda: TensorDataset(ag.tensor(1.0)), ValueError, "argument 0 is a 0-d tensor"),
    (lambda: TensorDataset(), ValueError, "at least one tensor"),
    (lambda: Dataset()[0], NotImplementedError, "must define __getitem__"),
    (lambda: iter(IterableDataset()), NotImplementedError, "must define __iter__"),
    (lambda: iter(Sampler()), NotImplementedError, "must define __iter__"),
    (lambda: random_split(Squares(4), [1, 2]), ValueError, r"\[1, 2\] sum to 3.*4 samples"),
    (lambda: random_split(Squares(4), [0.5, 0.6]), ValueError, "fractions must sum to 1"),
    (lambda: random_split(Squares(4), [-1, 5]), ValueError, "must not be negative"),
    (lambda: RandomSampler([]), ValueError, "num_samples should be a positive integer, got 0"),
    (lambda: RandomSampler([1], num_samples=-1), ValueError, "positive integer, got -1"),
    (lambda: RandomSampler([1], num_samples=True), ValueError, "positive integer, got True"),
    (lambda: RandomSampler([1], replacement=1), TypeError, "replacement should be a bool, got 1"),
    (lambda: BatchSampler([1], 0, False), ValueError, "batch_size should be a positive integer, got 0"),
    (lambda: BatchSampler([1], 2, 1), ValueError, "drop_last should be a bool, got 1"),
    (lambda: WeightedRandomSampler([1.0], 0), ValueError, "num_samples should be a positive integer, got 0"),
    (lambda: WeightedRandomSampler([1.0], 1, 2), ValueError, "replacement should be a bool, got 2"),
    (lambda: WeightedRandomSampler([[1.0]], 1), ValueError, r"1-d sequence, got the shape \(1, 1\)"),
    (lambda: list(WeightedRandomSampler([1.0, -1.0], 1)), RuntimeError, "probability.* < 0"),
    (lambda: ConcatDataset([]), AssertionError, "at least one dataset"),
    (lambda: ConcatDataset([Count(2)]), AssertionError, "dataset 0 is an IterableDataset; use ChainDataset"),
    (lambda: ConcatDataset([[1]])[-2], ValueError, "index -2 is out of range for 1 samples"),
    (lambda: ConcatDataset([[1]])[1], IndexError, "index 1 is out of range for 1 samples"),
    (lambda: list(ChainDataset([[1]])), AssertionError, "dataset 0 is a list"),
    (lambda: StackDataset(), ValueError, "either by position or by name, got none"),
    (lambda: StackDataset([1], a=[1]), ValueError, "got both kinds"),
    (lambda: StackDataset([1], [1, 2]), ValueError, r"differ in length: \[1, 2\]"),
    (lambda: StackDataset(Short(2)).__getitems__([0, 1]), ValueError, "gave 1 samples for 2 indices"),
    (lambda: DataLoader([1], batch_size=0), ValueError, "batch_size should be a positive integer"),
    (lambda: DataLoader([1], batch_size=2.5), ValueError, "batch_size should be a positive integer"),
    (lambda: DataLoader([1], num_workers=-1), ValueError, "num_workers must not be negative"),
    (lambda: DataLoader([1], timeout=-1), ValueError, "timeout"),
    (lambda: DataLoader([1], timeout=1), AssertionError, "timeout=1 needs num_workers > 0"),
    (lambda: DataLoader([1], num_workers=1, prefetch_factor=0), ValueError, "prefetch_factor must be at least 1"),
    (lambda: DataLoader([1], num_workers=1, multiprocessing_context="thread"), ValueError, "one of .*got 'thread'"),
    (lambda: DataLoader([1], num_workers=1, multiprocessing_context=3), TypeError, "a start method or a context"),
    (lambda: DataLoader([1], prefetch_factor=2), ValueError, "prefetch_factor needs num_workers > 0"),
    (lambda: DataLoader([1], persistent_workers=True), ValueError, "persistent_workers needs num_workers > 0"),
    (lambda: DataLoader([1], multiprocessing_context="fork"), ValueError, "multiprocessing_context"),
    (lambda: DataLoader([1], sampler=[0], shuffle=True), ValueError, "sampler and shuffle exclude"),
    (lambda: DataLoader([1], batch_sampler=[[0]], batch_size=2), ValueError, "batch_sampler excludes"),
    (lambda: DataLoader([1], batch_sampler=[[0]], drop_last=True), ValueError, "batch_sampler excludes"),
    (lambda: DataLoader([1], batch_size=None, drop_last=True), ValueError, "batch_size=None"),
    (lambda: DataLoader([], shuffle=True), ValueError, "num_samples"),
    (lambda: DataLoader(Count(3), shuffle=True), ValueError, "IterableDataset has its own order; got shuffle=True"),
    (lambda: DataLoader(Count(3), sampler=[0]), ValueError, "IterableDataset has its own order; got sampler"),
    (lambda: len(DataLoader(Count(3))), TypeError, "no len"),
    (lambda: setattr(DataLoader([1]), "batch_size", 3), ValueError, "batch_size cannot be changed"),
    (lambda: default_collate([object()]), TypeError, "a sample holds a object"),
    (lambda: default_collate([None]), TypeError, "NoneType.*collate_fn"),
    (lambda: default_collate([[1], [1, 2]]), RuntimeError, r"lengths \[1, 2\]"),
    (lambda: default_collate([{"a": 1}, {"b": 1}]), KeyError, r"sample 1 .*lacks the keys \['a'\]"),
    (lambda: default_collate([np.array(["x"])]), TypeError, "dtype <U1 cannot become a tensor"),
    (lambda: default_collate([ag.zeros(2), ag.zeros(3)]), RuntimeError, "stack"),
]


@pytest.mark.parametrize(("call", "error", "message"), MISTAKES, ids=[case[2] for case in MISTAKES])
def test_mistakes(call, error, message):
    with pytest.raises(error, match=message):
        call()


# ---- samplers


def test_sequential_and_random_samplers():
    data = range(20)
    assert list(SequentialSampler(data)) == list(range(20))
    sampler = RandomSampler(data, generator=ag.Generator().manual_seed(3))
    first, second = list(sampler), list(sampler)
    assert sorted(first) == sorted(second) == list(range(20))
    assert first != second and first != list(range(20))
    assert list(RandomSampler(data, generator=ag.Generator().manual_seed(3))) == first


def test_the_random_sampler_gives_randperm_of_its_generator():
    order = list(RandomSampler(range(9), generator=ag.Generator().manual_seed(5)))
    assert order == ag.randperm(9, generator=ag.Generator().manual_seed(5), device="cpu").tolist()


def test_without_generator_manual_seed_decides():
    def draw(seed):
        ag.manual_seed(seed)
        return [list(RandomSampler(range(30))) for _ in range(2)]

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)


@pytest.mark.parametrize(("replacement", "num_samples"), [(True, None), (True, 100), (False, 3), (False, 25)])
def test_number_of_samples(replacement, num_samples):
    sampler = RandomSampler(range(10), replacement, num_samples, ag.Generator().manual_seed(0))
    order = list(sampler)
    assert len(order) == len(sampler) == (num_samples or 10)
    assert set(order) <= set(range(10))
    if not replacement:
        for start in range(0, len(order), 10):
            part = order[start : start + 10]
            assert len(set(part)) == len(part)


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("n", [0, 1, 5, 6, 7])
def test_batch_sampler_agrees_with_its_length(n, drop_last):
    sampler = BatchSampler(SequentialSampler(range(n)), 3, drop_last)
    batches = list(sampler)
    assert len(batches) == len(sampler)
    kept = n - n % 3 if drop_last else n
    assert [index for batch in batches for index in batch] == list(range(kept))
    assert all(len(batch) == 3 for batch in batches[:-1])


# ---- collating

COLLATED = [
    ([1, 2], ("int64", [1, 2])),
    ([True, False], ("bool", [True, False])),
    ([0.1, 2], ("float64", [0.1, 2.0])),
    (["a", "b"], ["list", "a", "b"]),
    ([b"a", b"b"], ["list", b"a", b"b"]),
    ([(1, "a"), (2, "b")], ["list", ("int64", [1, 2]), ["tuple", "a", "b"]]),
    ([[1, 0.5], [2, 1.5]], ["list", ("int64", [1, 2]), ("float64", [0.5, 1.5])]),
    ([{"x": 1, "y": [2]}, {"x": 3, "y": [4]}], {"x": ("int64", [1, 3]), "y": ["list", ("int64", [2, 4])]}),
    ([Point(1, 2.0), Point(3, 4.0)], ["Point", ("int64", [1, 3]), ("float64", [2.0, 4.0])]),
    ([np.float32(1), np.float32(2)], ("float32", [1, 2])),
    ([np.float64(1), np.float64(2)], ("float64", [1, 2])),
    ([np.arange(2, dtype=np.int16)] * 2, ("int16", [[0, 1], [0, 1]])),
    ([np.bool_(True)], ("bool", [True])),
    ([np.str_("a"), "b"], ["list", "a", "b"]),
    ([defaultdict(int, x=1), defaultdict(int, x=2)], {"x": ("int64", [1, 2])}),
    ([Point({"k": [1]}, 2.0)], ["Point", {"k": ["list", ("int64", [1])]}, ("float64", [2.0])]),
]


@pytest.mark.parametrize(("batch", "expected"), COLLATED, ids=lambda value: repr(value)[:40])
def test_default_collate(batch, expected):
    assert plain(default_collate(batch)) == expected


def test_default_collate_stacks_tensors_and_keeps_the_kind_of_mapping():
    batch = default_collate([OrderedDict(x=ag.ones(2)), OrderedDict(x=ag.zeros(2))])
    assert type(batch) is OrderedDict
    assert default_collate([defaultdict(int, x=1)])["y"] == 0
    assert plain(batch["x"]) == ("float32", [[1, 1], [0, 0]])


def test_collated_arrays_are_copies():
    array = np.zeros(2)
    batch = default_collate([array])
    converted = default_convert(array)
    array[0] = 7
    assert batch.tolist() == [[0, 0]] and converted.tolist() == [0, 0]


def test_default_convert():
    value = {"a": np.zeros(1), "b": (1, "x", np.float32(2)), "c": Point(np.ones(1), None)}
    assert plain(default_convert(value)) == {
        "a": ("float64", [0]),
        "b": ["list", 1, "x", ("float32", 2)],
        "c": ["Point", ("float64", [1]), None],
    }


@pytest.mark.parametrize("case", range(len(COLLATED)))
def test_collating_agrees_with_pytorch(case):
    torch = pytest.importorskip("torch", reason="comparisons with PyTorch need torch==2.13.0")
    from torch.utils.data import default_collate as reference

    def plain_torch(value):
        if isinstance(value, torch.Tensor):
            return str(value.dtype).split(".")[-1], value.tolist()
        if isinstance(value, dict):
            return {key: plain_torch(item) for key, item in value.items()}
        if isinstance(value, tuple | list):
            return [type(value).__name__, *map(plain_torch, value)]
        return value

    batch = COLLATED[case][0]
    assert plain(default_collate(batch)) == plain_torch(reference(batch))


# ---- the loader


@pytest.mark.parametrize("batch_size", [1, 3, 10, 11])
@pytest.mark.parametrize("drop_last", [False, True])
def test_every_sample_once(batch_size, drop_last):
    for shuffle in (False, True):
        loader = DataLoader(Squares(10), batch_size, shuffle, drop_last=drop_last)
        batches = list(loader)
        assert len(batches) == len(loader)
        indices = [index for batch in batches for index in batch[0].tolist()]
        assert len(set(indices)) == len(indices) == (10 - 10 % batch_size if drop_last else 10)
        assert all(square == index**2 for batch in batches for index, square in zip(*map(ag.Tensor.tolist, batch)))  # noqa: B905
        if not shuffle:
            assert indices == sorted(indices)


def test_each_epoch_has_its_own_order():
    loader = DataLoader(Squares(20), 20, shuffle=True)
    ag.manual_seed(0)
    orders = [next(iter(loader))[0].tolist() for _ in range(3)]
    ag.manual_seed(0)
    assert [next(iter(loader))[0].tolist() for _ in range(3)] == orders
    assert orders[0] != orders[1] != orders[2]


def test_own_samplers_batch_samplers_and_collating():
    assert [b[0].tolist() for b in DataLoader(Squares(9), 2, sampler=[5, 1, 8])] == [[5, 1], [8]]
    loader = DataLoader(Squares(9), batch_sampler=[[1, 2, 3], [8]])
    assert [b[0].tolist() for b in loader] == [[1, 2, 3], [8]] and len(loader) == 2
    assert list(DataLoader(Squares(3), 2, collate_fn=list)) == [[(0, 0.0), (1, 1.0)], [(2, 4.0)]]
    assert list(DataLoader(Squares(3), batch_size=None)) == [[0, 0.0], [1, 1.0], [2, 4.0]]
    assert list(DataLoader([], batch_size=2)) == []


def test_getitems_is_called_once_a_batch():
    class Many(Squares):
        calls = 0

        def __getitems__(self, indices):
            Many.calls += 1
            return [self[index] for index in indices]

    list(DataLoader(Many(10), 4))
    assert Many.calls == 3


def test_iterable_datasets():
    assert [b.tolist() for b in DataLoader(Count(5), 2)] == [[0, 1], [2, 3], [4]]
    assert [b.tolist() for b in DataLoader(Count(5), 2, drop_last=True)] == [[0, 1], [2, 3]]
    assert list(DataLoader(Count(3), batch_size=None)) == [0, 1, 2]

    for size, drop_last, length in ((2, False, 3), (2, True, 2), (None, False, 5)):
        assert len(DataLoader(Known(5), size, drop_last=drop_last)) == length


def test_pin_memory_and_the_options_of_workers_are_accepted():
    loader = DataLoader(Squares(2), pin_memory=True, num_workers=0, worker_init_fn=print, timeout=0)
    assert len(list(loader)) == 2


def _tensor_datasets():
    base = TensorDataset(ag.arange(60).reshape(20, 3), ag.rand(20), ag.arange(20) % 2 == 0)
    yield "whole", base
    yield "subset", Subset(base, [3, 5, 7, 11, 13, 17, 19, 2])
    yield "negative", Subset(base, [-1, -20, 4])
    yield "tensor indices", Subset(base, ag.tensor([4, 2, 9]))
    yield "nested", Subset(Subset(base, range(19, -1, -1)), [0, 2, 4, 1])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"shuffle": True},
        {"drop_last": True},
        {"shuffle": True, "drop_last": True},
        {"sampler": "with replacement"},
    ],
    ids=str,
)
@pytest.mark.parametrize("case", range(5))
def test_the_fast_path_gives_what_stacking_samples_gives(case, options):
    name, dataset = list(_tensor_datasets())[case]
    options = dict(options)

    def epochs(data):
        ag.manual_seed(7)
        if "sampler" in options:
            options["sampler"] = RandomSampler(data, replacement=True, num_samples=31)
        loader = DataLoader(data, batch_size=3, **options)
        return [plain(batch) for _ in range(2) for batch in loader]

    assert epochs(dataset) == epochs(Wrapped(dataset)), name


def test_fast_batches_are_copies_and_carry_gradients():
    x = ag.zeros(4, requires_grad=True)
    (batch,) = next(iter(DataLoader(TensorDataset(x), 4)))
    batch.sum().backward()
    assert x.grad.tolist() == [1, 1, 1, 1]
    y = ag.zeros(4)
    (batch,) = next(iter(DataLoader(TensorDataset(y), 4)))
    batch += 1
    assert y.tolist() == [0, 0, 0, 0]


def test_a_subclass_that_changes_samples_is_respected():
    class Shifted(TensorDataset):
        def __getitem__(self, index):
            return tuple(tensor + 1 for tensor in super().__getitem__(index))

    (batch,) = next(iter(DataLoader(Shifted(ag.zeros(2)), 2)))
    assert batch.tolist() == [1, 1]
