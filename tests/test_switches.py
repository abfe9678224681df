"""PyTorch's process-wide switches: remembered, checked, without effect on results."""

import pytest

import autograd_core as ag


def test_precision_is_remembered() -> None:
    x = ag.randn(8, 8)
    before = (x @ x).tolist()
    for word in ("high", "medium", "highest"):
        ag.set_float32_matmul_precision(word)
        assert ag.get_float32_matmul_precision() == word and (x @ x).tolist() == before
    with pytest.raises(RuntimeError, match="'fast'"):
        ag.set_float32_matmul_precision("fast")
    assert ag.get_float32_matmul_precision() == "highest"


def test_determinism_is_remembered() -> None:
    ag.use_deterministic_algorithms(True, warn_only=True)
    assert ag.are_deterministic_algorithms_enabled() and ag.is_deterministic_algorithms_warn_only_enabled()
    ag.use_deterministic_algorithms(False)
    assert not ag.are_deterministic_algorithms_enabled() and not ag.is_deterministic_algorithms_warn_only_enabled()


def test_threads() -> None:
    count = ag.get_num_threads()
    ag.set_num_threads(1)
    try:
        assert ag.get_num_threads() == 1
    finally:
        ag.set_num_threads(count)
    assert ag.get_num_threads() == count
    with pytest.raises(RuntimeError, match="at least 1"):
        ag.set_num_threads(0)


def test_what_programs_ask_before_they_choose_a_device() -> None:
    there = ag.cuda.is_available()
    chosen = ag.accelerator.current_accelerator().type if ag.accelerator.is_available() else "cpu"
    assert chosen == ("cuda" if there else "cpu")
    assert not ag.backends.mps.is_available() and not ag.backends.cudnn.is_available()
    for module, name in ((ag.backends.cudnn, "benchmark"), (ag.backends.cuda.matmul, "allow_tf32")):
        assert getattr(module, name) is False


@pytest.mark.parametrize("data", [range(3), (0, 1, 2)], ids=repr)
def test_any_sequence_makes_a_tensor(data) -> None:
    from collections import deque

    assert ag.tensor(data).tolist() == [0, 1, 2] and ag.tensor(deque([1.5, 2])).tolist() == [1.5, 2.0]
    assert ag.tensor([deque([1, 2]), range(2)]).tolist() == [[1, 2], [0, 1]]
    with pytest.raises(TypeError, match="set"):
        ag.tensor({1, 2})
    with pytest.raises(TypeError, match="str"):
        ag.tensor("12")
