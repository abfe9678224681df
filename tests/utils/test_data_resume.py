"""An interrupted DataLoader goes on with exactly the batches that the uninterrupted one would have given."""

import pytest

import autograd_core as ag
from autograd_core.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Sampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

N, BATCH, EPOCHS = 11, 3, 3
PER_EPOCH = 4


class Numbers(Dataset):
    def __getitem__(self, index):
        return index

    def __len__(self):
        return N


class Stream(IterableDataset):
    def __iter__(self):
        return iter(range(N))


class Alternating(Sampler):
    """Its order depends on how often it was iterated: a stand-in for any sampler with a state of its own."""

    def __init__(self):
        self.epoch = -1

    def __iter__(self):
        self.epoch += 1
        return iter([(index * 3 + self.epoch) % N for index in range(N)])

    def __len__(self):
        return N


class Stateful(Alternating):
    def state_dict(self):
        return {"epoch": self.epoch}

    def load_state_dict(self, state_dict):
        self.epoch = state_dict["epoch"] - 1


def tensors():
    return TensorDataset(ag.arange(N))


def seeded():
    return ag.Generator().manual_seed(11)


LOADERS = {
    "fast, in order": lambda: DataLoader(tensors(), BATCH),
    "fast, shuffled": lambda: DataLoader(tensors(), BATCH, shuffle=True),
    "fast, shuffled by a generator": lambda: DataLoader(tensors(), BATCH, shuffle=True, generator=seeded()),
    "fast, subset": lambda: DataLoader(Subset(tensors(), list(range(N))[::-1]), BATCH, shuffle=True),
    "in order": lambda: DataLoader(Numbers(), BATCH),
    "shuffled": lambda: DataLoader(Numbers(), BATCH, shuffle=True),
    "shuffled by a generator": lambda: DataLoader(Numbers(), BATCH, shuffle=True, generator=seeded()),
    "with replacement": lambda: DataLoader(
        Numbers(), BATCH, sampler=RandomSampler(range(N), replacement=True, num_samples=N, generator=seeded())
    ),
    "weighted": lambda: DataLoader(Numbers(), BATCH, sampler=WeightedRandomSampler([1.0] * N, N)),
    "a subset at random": lambda: DataLoader(Numbers(), BATCH, sampler=SubsetRandomSampler(range(N), seeded())),
    "a sampler with a state": lambda: DataLoader(Numbers(), BATCH, sampler=Stateful()),
    "batches given": lambda: DataLoader(Numbers(), batch_sampler=[[0, 1], [5], [7, 3, 2], [4]]),
    "stream": lambda: DataLoader(Stream(), BATCH),
}


def numbers(batch):
    return (batch[0] if isinstance(batch, list) else batch).tolist()


def train(loader, epoch=0, stop_after=None, first=0):
    """A training run in outline: log of batches with a draw of the default generator beside each.

    `stop_after` batches it is interrupted; then what it would have saved is returned too.
    """
    log, count = [], first
    for number in range(epoch, EPOCHS):
        for batch in loader:
            log.append((number, numbers(batch), ag.rand(1, device="cpu").item()))
            count += 1
            if count == stop_after:
                return log, {"loader": loader.state_dict(), "rng": ag.get_rng_state(), "epoch": number}
    return log, None


@pytest.mark.parametrize("stop_after", range(1, EPOCHS * PER_EPOCH + 1))
@pytest.mark.parametrize("name", LOADERS)
def test_resume_after_any_batch(name, stop_after, tmp_path):
    ag.manual_seed(5)
    whole, _ = train(LOADERS[name]())
    assert len(whole) == EPOCHS * PER_EPOCH

    ag.manual_seed(5)
    before, saved = train(LOADERS[name](), stop_after=stop_after)
    ag.save(saved, tmp_path / "checkpoint")

    ag.manual_seed(999)  # another process: nothing of the first is left
    loader = LOADERS[name]()
    saved = ag.load(tmp_path / "checkpoint")
    loader.load_state_dict(saved["loader"])
    ag.set_rng_state(saved["rng"])
    after, _ = train(loader, epoch=saved["epoch"])
    assert before + after == whole


@pytest.mark.parametrize("name", LOADERS)
def test_resume_between_epochs(name):
    def epoch(loader):
        return [numbers(batch) for batch in loader]

    ag.manual_seed(5)
    loader = LOADERS[name]()
    first = epoch(loader)
    state, rng = loader.state_dict(), ag.get_rng_state()
    rest = [epoch(loader), epoch(loader)]
    resumed = LOADERS[name]()
    resumed.load_state_dict(state)
    resumed.load_state_dict(resumed.state_dict())
    ag.set_rng_state(rng)
    assert [epoch(resumed), epoch(resumed)] == rest
    assert sorted(map(len, first)) == sorted(map(len, rest[0]))


@pytest.mark.parametrize("name", LOADERS)
def test_resume_twice_in_one_epoch_and_before_reading_on(name):
    ag.manual_seed(5)
    whole = [numbers(batch) for batch in LOADERS[name]()]
    ag.manual_seed(5)
    seen, state = [], None
    for _ in range(PER_EPOCH):
        loader = LOADERS[name]()
        if state is not None:
            loader.load_state_dict(state)
            loader.load_state_dict(loader.state_dict())  # saved again before any batch was read
        for batch in loader:
            seen.append(numbers(batch))
            state = loader.state_dict()
            break
    assert seen == whole


def test_reading_on_draws_nothing_from_a_generator_that_others_share():
    shared = seeded()
    loader = DataLoader(tensors(), BATCH, shuffle=True, generator=shared)
    batches = iter(loader)
    next(batches)
    ag.rand(3, generator=shared, device="cpu")
    state = loader.state_dict()
    expected = [numbers(batch) for batch in batches], ag.rand(3, generator=shared, device="cpu").tolist()

    other = ag.Generator()
    loader = DataLoader(tensors(), BATCH, shuffle=True, generator=other)
    loader.load_state_dict(state)
    assert ([numbers(batch) for batch in loader], ag.rand(3, generator=other, device="cpu").tolist()) == expected


def test_a_loop_left_early_starts_over_without_a_loaded_state():
    loader = DataLoader(tensors(), BATCH)
    next(iter(loader))
    assert [numbers(batch) for batch in loader][0] == [0, 1, 2]


def _state(loader, batches=2):
    for number, _ in enumerate(loader, 1):
        if number == batches:
            return loader.state_dict()
    return None


def test_another_order_is_noticed():
    loader = DataLoader(Numbers(), BATCH, sampler=Alternating())
    list(loader)
    state = _state(loader)
    resumed = DataLoader(Numbers(), BATCH, sampler=Alternating())
    resumed.load_state_dict(state)
    with pytest.raises(RuntimeError, match=r"Alternating gave other indices.*state_dict\(\)"):
        list(resumed)


def test_a_sampler_that_ends_early_is_noticed():
    state = _state(DataLoader(Numbers(), BATCH, sampler=range(9)), batches=3)
    resumed = DataLoader(Numbers(), BATCH, sampler=range(3))
    resumed.load_state_dict(state)
    with pytest.raises(RuntimeError, match="cannot continue after batch 3"):
        list(resumed)


MISTAKES = [
    ({"dataset": TensorDataset(ag.arange(12))}, ValueError, "length=11, this one has length=12"),
    ({"batch_size": 4}, ValueError, "batch_size=3, this one has batch_size=4"),
    ({"drop_last": True}, ValueError, "drop_last=False, this one has drop_last=True"),
    ({"shuffle": False, "generator": None}, ValueError, "drew its order from a generator"),
    ({"generator": None}, ValueError, "drew its order from a generator; pass generator="),
]


@pytest.mark.parametrize(("change", "error", "message"), MISTAKES, ids=[case[2] for case in MISTAKES])
def test_a_position_in_other_data_is_refused(change, error, message):
    options = {"dataset": tensors(), "batch_size": BATCH, "shuffle": True, "generator": seeded()}
    state = _state(DataLoader(**options))
    with pytest.raises(error, match=message):
        DataLoader(**{**options, **change}).load_state_dict(state)


def test_a_random_order_cannot_go_on_in_sequence():
    state = _state(DataLoader(tensors(), BATCH, shuffle=True))
    with pytest.raises(ValueError, match="order was random, SequentialSampler has none to restore"):
        DataLoader(tensors(), BATCH).load_state_dict(state)


def test_another_objects_state_is_refused():
    with pytest.raises(KeyError, match="no 'length' in the state"):
        DataLoader(tensors(), BATCH).load_state_dict({"lr": 0.1})
