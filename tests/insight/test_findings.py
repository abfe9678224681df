"""The words of the diagnosis, and what it makes of training loops that do what they should not."""

from collections.abc import Callable
from typing import Any

import pytest
from networks import LowRank, Model, Task, adam, classes, mlp, sgd, train

import autograd_core as ag
import autograd_core.nn.functional as F
from autograd_core import nn, optim
from autograd_core.insight.diagnosis import diagnose
from autograd_core.insight.samples import Ending, LayerSample, Sample


class Half(nn.Module):
    """`cut` layers whose gradient is cut off, and `idle` ones that forward never calls."""

    def __init__(self, cut: int, idle: int) -> None:
        super().__init__()
        self.cut = nn.ModuleList(nn.Linear(8, 8) for _ in range(cut))
        self.idle = nn.ModuleList(nn.Linear(8, 8) for _ in range(idle))
        self.head = nn.Linear(8, 3)

    def forward(self, x: Any) -> Any:
        for layer in self.cut:
            x = F.relu(layer(x))
        return self.head(x.detach())


def test_an_unused_layer_is_not_called_cut_off() -> None:
    found = {f.illness: f for f in train(lambda: Half(1, 1), classes, sgd(0.1)).diagnosis()}
    assert set(found) == {"no gradient", "unused layer"}
    assert found["no gradient"].layers == ["cut.0"] and found["unused layer"].layers == ["idle.0"]
    cut, idle = found["no gradient"].evidence, found["unused layer"].evidence
    assert cut == "layer cut.0 (Linear) is cut off: forward called it, and backward brought no gradient"
    assert idle == "forward called layer idle.0 (Linear) in none of the 21 watched steps, and it got no gradient"
    cut, idle = (f.evidence for f in train(lambda: Half(2, 5), classes, sgd(0.1)).diagnosis())
    assert cut.startswith("layers cut.0 (Linear) and cut.1 (Linear) are cut off: forward called them, and")
    assert idle == (
        "forward called layers idle.0 (Linear), idle.1 (Linear), idle.2 (Linear) and 2 more in none of the 21 watched "
        "steps, and they got no gradient"
    )


def _first_two(model: Model) -> Any:
    return optim.SGD([*model[4:].parameters()], lr=0.1)


def _frozen(count: int) -> Model:
    model = mlp(8, 16, 16, 3)
    for layer in [model[0], model[2]][:count]:
        layer.requires_grad_(False)
    return model


def test_a_low_rank_correction_is_healthy() -> None:
    def reconstruction() -> Task:
        x, _, _ = classes()
        return x, x, F.mse_loss

    found = train(lambda: nn.Sequential(LowRank(8), nn.ReLU(), LowRank(8)), reconstruction, adam(3e-3), steps=450)
    assert found.diagnosis().illnesses == ["frozen layer"]


def test_a_loss_that_is_not_finite_alone() -> None:
    model = mlp(8, 16, 3)
    with ag.insight.watch(model) as w:
        w.loss(model(classes()[0]).sum() * 0 + float("nan"))
    (found,) = [f for f in w.diagnosis() if f.illness == "non-finite values"]
    assert found.evidence == "at step 0 the loss is not finite, while all outputs and gradients are"


def test_one_and_several() -> None:
    def only(make: Any, optimizer: Any, **options: Any) -> Any:
        return next(iter(train(make, classes, optimizer, **options).diagnosis()))

    some = only(lambda: mlp(8, 16, 16, 3), _first_two)
    assert some.evidence == "layers 0 (Linear) and 2 (Linear) have gradients but never change, while others do"
    assert some.cure == "give their parameters to the optimiser"
    one = only(lambda: mlp(8, 16, 16, 3), lambda model: optim.SGD(model[2:].parameters(), lr=0.1))
    assert one.evidence == "layer 0 (Linear) has gradients but never changes, while others do"
    assert one.cure == "give its parameters to the optimiser"
    assert only(lambda: _frozen(1), sgd(0.1)).evidence == (
        "layer 0 (Linear) does not train: its parameters have requires_grad=False"
    )
    assert only(lambda: _frozen(2), sgd(0.1)).evidence == (
        "layers 0 (Linear) and 2 (Linear) do not train: their parameters have requires_grad=False"
    )
    assert str(train(lambda: mlp(8, 16, 3), classes, sgd(0.1), steps=1).diagnosis()) == (
        "no illness found in 1 watched step, the last of them step 0, of 1 in all; too few to say much"
    )
    assert str(train(lambda: mlp(8, 16, 3), classes, sgd(0.1), steps=90).diagnosis()) == (
        "no illness found in 46 watched steps, the last of them step 88, of 90 in all"
    )


def test_one_and_several_values_that_are_not_finite() -> None:
    def with_nan(count: int) -> Any:
        x, y, loss = classes()
        x[0, :count] = float("nan")
        return x, y, loss

    for count, words in ((1, "1 value is NaN or infinite"), (3, "3 values are NaN or infinite")):
        found = train(lambda: mlp(8, 16, 3), lambda n=count: with_nan(n), sgd(0.1)).diagnosis()
        assert next(iter(found)).evidence == f"in the input of step 0, {words}"

    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = mlp(8, 16, 3)
            nn.init.constant_(self.body[-1].bias, float("inf"))

        def forward(self, x: Any) -> Any:
            return self.body(x)

    found = next(iter(train(Last, classes, sgd(0.1), steps=1).diagnosis()))
    assert found.evidence == "at step 0 the output of layer body.2 (Linear) is not finite, the first of 2 such layers"
    assert found.layers == ["body.0", "body.2"]  # That of the gradient of the first comes later.


def loop(model: Model, optimizer: Any, steps: int, every: int = 200, act: Any = None) -> Any:
    """Training in which `act(step, x)` may do what it should not. The watcher."""
    x, y, loss = classes()
    with ag.insight.watch(model, every) as w:
        for step in range(steps):
            optimizer.zero_grad()
            w.loss(loss(model(x if act is None else act(step, x)), y)).backward()
            optimizer.step()
    return w


def test_what_breaks_after_the_last_measured_step() -> None:
    def poison(step: int, x: Any) -> Any:
        return ag.where(ag.arange(64).unsqueeze(1) == 3, ag.nan, x) if step == 70 else x

    ag.manual_seed(0)
    model = mlp(8, 16, 3)
    (found,) = loop(model, optim.SGD(model.parameters(), lr=0.1), 100, act=poison).diagnosis()
    assert found.illness == "non-finite values" and found.layers == ["0", "2"]
    assert found.evidence == (
        "after 100 steps the weights of layers 0 (Linear) and 2 (Linear) are not finite; step 64, the last one measured, "
        "was sound"
    )
    model = mlp(8, 16, 3)
    w = ag.insight.watch(model)  # Not closed yet.
    w.loss(model(classes()[0]).mean()).backward()
    optim.SGD(model.parameters(), lr=0.1).step()
    assert not w.diagnosis()
    with ag.no_grad():
        model[2].bias[1] = float("inf")
    assert w.diagnosis().illnesses == ["non-finite values"]


def test_gradients_that_are_not_cleared() -> None:
    def run(clear: Callable[[Any], None], steps: int = 6, passes: int = 1) -> list[str]:
        ag.manual_seed(0)
        model = mlp(8, 16, 3)
        optimizer, (x, y, loss) = optim.SGD(model.parameters(), lr=0.01), classes()
        with ag.insight.watch(model, 1) as w:
            for _ in range(steps):
                for _ in range(passes):
                    out = model(x)
                    clear(optimizer) if passes == 1 else None
                    w.loss(loss(out, y)).backward()
                optimizer.step()
                clear(optimizer) if passes > 1 else None
        return w.diagnosis().illnesses

    assert run(lambda optimizer: None) == ["gradients not cleared"]
    assert run(lambda optimizer: None, passes=3) == ["gradients not cleared"]
    for passes in (1, 3):
        assert not run(lambda optimizer: optimizer.zero_grad(), passes=passes)
        assert not run(lambda optimizer: optimizer.zero_grad(set_to_none=False), passes=passes)


def test_the_gradients_of_a_gan_are_cleared() -> None:
    ag.manual_seed(0)
    generator, critic = mlp(4, 16, 8), mlp(8, 16, 1)
    for_g, for_c = optim.Adam(generator.parameters(), 1e-3), optim.Adam(critic.parameters(), 1e-3)
    x, _, _ = classes()
    with ag.insight.watch(generator, 1) as wg, ag.insight.watch(critic, 1) as wc:
        for _ in range(20):
            for_c.zero_grad()
            fake = generator(ag.randn(64, 4))
            (F.softplus(-critic(x)).mean() + F.softplus(critic(fake.detach())).mean()).backward()
            for_c.step()
            for_g.zero_grad()
            F.softplus(-critic(fake)).mean().backward()
            for_g.step()
    assert not wg.diagnosis() and not wc.diagnosis()


@pytest.mark.parametrize(("accumulated", "steps"), [(4, 30), (40, 6), (100, 4), (128, 3)])
def test_accumulated_gradients_are_healthy(accumulated: int, steps: int) -> None:
    ag.manual_seed(0)
    model = mlp(8, 16, 3)
    optimizer, (x, y, loss) = optim.SGD(model.parameters(), lr=0.05), classes()
    with ag.insight.watch(model) as w:
        for _ in range(steps):
            for _ in range(accumulated):
                w.loss(loss(model(x), y) / accumulated).backward()
            optimizer.step()
            optimizer.zero_grad()
    assert not w.diagnosis()


def test_a_forgotten_step_is_seen_in_few_passes() -> None:
    model = mlp(8, 16, 3)
    (found,) = loop(model, optim.SGD([nn.Parameter(ag.zeros(1))], lr=0.1), 20).diagnosis()
    assert (
        found.illness == "not updated"
        and found.evidence == "gradients came, but no weight changed in 20 forward passes"
    )


def test_what_is_meant_can_be_ignored() -> None:
    w = train(lambda: _frozen(1), classes, sgd(0.1))
    assert w.diagnosis().illnesses == ["frozen layer"]
    assert not w.diagnosis(ignore=["frozen layer"]) and not w.diagnosis(ignore="frozen layer")
    with pytest.raises(ValueError, match="there is no illness 'frozen' to ignore; there are: dead units, exploding"):
        w.diagnosis(ignore=["frozen"])


def test_why_nothing_was_measured() -> None:
    model = mlp(8, 16, 3)
    w, x = ag.insight.watch(model), classes()[0]
    assert "the model was never called" in str(w.diagnosis())
    model.eval()(x)
    assert "only called in evaluation mode: model.train()" in str(w.diagnosis())
    with ag.no_grad():
        model.train()(x)
    assert "only called without gradients" in str(w.diagnosis())
    model(x)
    assert "a step has begun and is not over" in str(w.diagnosis())


@pytest.mark.parametrize("loss", [0.5, None, [1.0]])
def test_the_loss_is_a_tensor(loss: Any) -> None:
    with (
        ag.insight.watch(nn.Linear(1, 1)) as w,
        pytest.raises(TypeError, match="w.loss: expected the loss as a tensor"),
    ):
        w.loss(loss)


@pytest.mark.parametrize(
    ("last_loss", "first_update", "found"), [(0.9, 1e-3, False), (2.2, 1e-3, True), (0.9, 1e-6, True)]
)
def test_small_first_gradients_are_ill_unless_adam_evens_them_out(
    last_loss: float, first_update: float, found: bool
) -> None:
    def row(layer: str, grad: float, update: float) -> LayerSample:
        return LayerSample(layer, "Linear", grad, 1.0, update, 1.0, 0.0, 1.0, 1.0, reached=True, changed=True)

    samples = [
        Sample(step, [row("0", 0.001, first_update), row("2", 0.2, 1e-3)], loss, 1.0, 0.0, stepped=True)
        for step, loss in [(0, 2.3), (1, 2.3), (4, 2.2), (16, 2.2), (64, last_loss), (200, last_loss)]
    ]
    diagnosis = diagnose(samples, Ending(300, last_loss, [], True))
    assert diagnosis.illnesses == ["vanishing gradients"] * found


def test_an_optimiser_that_steps_within_backward() -> None:
    for to_none in (True, False):
        ag.manual_seed(0)
        model, (x, y, loss) = mlp(8, 16, 3), classes()
        optimizers = {p: optim.SGD([p], lr=0.1) for p in model.parameters()}

        def step(p: Any, optimizers: Any = optimizers, to_none: bool = to_none) -> None:
            optimizers[p].step()
            optimizers[p].zero_grad(set_to_none=to_none)

        for p in model.parameters():
            p.register_post_accumulate_grad_hook(step)
        with ag.insight.watch(model, 1) as w:
            for _ in range(20):
                w.loss(loss(model(x), y)).backward()
        assert not w.diagnosis(), w.diagnosis()


def test_layers_that_take_turns() -> None:
    class Turns(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.heads = nn.Linear(8, 16), nn.ModuleList(nn.Linear(16, 3) for _ in range(4))

        def forward(self, x: Any, turn: int) -> Any:
            return self.heads[turn](F.relu(self.body(x)))

    ag.manual_seed(0)
    model, (x, y, loss) = Turns(), classes()
    optimizer = optim.SGD(model.parameters(), lr=0.05)
    with ag.insight.watch(model) as w:
        for step in range(300):
            optimizer.zero_grad()
            w.loss(loss(model(x, step % 4), y)).backward()
            optimizer.step()
    assert not w.diagnosis(), w.diagnosis()


def test_a_model_that_is_frozen_now_and_then() -> None:
    ag.manual_seed(0)
    model, (x, y, loss) = mlp(8, 16, 3), classes()
    optimizer = optim.SGD(model.parameters(), lr=0.05)
    with ag.insight.watch(model, 1) as w:
        for step in range(20):
            model.requires_grad_(step % 2 == 0)
            if step % 2:
                model(x.clone().requires_grad_()).sum().backward()
            else:
                optimizer.zero_grad()
                w.loss(loss(model(x), y)).backward()
                optimizer.step()
    assert not w.diagnosis(), w.diagnosis()


@pytest.mark.parametrize("accumulated", [8, 40, 200])
def test_accumulated_gradients_behind_a_scaler(accumulated: int) -> None:
    ag.manual_seed(0)
    model, (x, y, loss) = mlp(8, 16, 3), classes()
    optimizer, scaler = optim.Adam(model.parameters(), lr=1e-3), ag.amp.GradScaler(x.device.type)
    with ag.insight.watch(model) as w:
        for step in range(3 * accumulated):
            scaler.scale(w.loss(loss(model(x), y)) / accumulated).backward()
            if step % accumulated == accumulated - 1:
                scaler.step(optimizer)
                scaler.update()
                optimizer.zero_grad()
    assert not w.diagnosis(), w.diagnosis()


def test_a_branch_that_begins_as_zeros() -> None:
    class Branch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.up, self.down, self.last = (nn.Linear(8, k) for k in (8, 8, 8, 3))
            nn.init.zeros_(self.down.weight)

        def forward(self, x: Any) -> Any:
            x = self.first(x)
            return self.last(x + self.down(F.relu(self.up(x))))

    found = train(Branch, classes, adam(3e-3)).diagnosis()
    assert not found, found


def test_a_loss_at_chance_between_two_measured_steps() -> None:
    ag.manual_seed(0)
    model, (x, y, loss) = mlp(8, 16, 3), classes()
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    with ag.insight.watch(model) as w:
        for _ in range(150):
            optimizer.zero_grad()
            w.loss(loss((model(x) / 50).softmax(1), y)).backward()
            optimizer.step()
    assert w.diagnosis().illnesses == ["no better than chance"]


def test_gaps_that_the_model_fills_are_none() -> None:
    class Filled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = mlp(8, 16, 3)

        def forward(self, x: Any) -> Any:
            return self.body(ag.nan_to_num(x))

    def gaps() -> Any:
        x, y, loss = classes()
        return ag.where(x > 1, ag.nan, x), y, loss

    assert not train(Filled, gaps, adam(3e-3)).diagnosis()


def test_an_input_beyond_float32s_squares() -> None:
    found = train(lambda: mlp(8, 16, 3), lambda: classes(scale=1e25), adam(3e-3)).diagnosis()
    assert "unnormalised input" in found.illnesses and "nan" not in str(found), found


def test_what_is_ignored_silences_nothing() -> None:
    def run(ignore: Any) -> list[str]:
        model = lambda: mlp(8, *[16] * 6, 3, act=nn.Sigmoid)  # noqa: E731
        return train(model, classes, lambda m: optim.SGD(m.parameters(), lr=1e-7)).diagnosis(ignore).illnesses

    assert "learning rate too small" not in run(())
    assert run(["vanishing gradients", "fading activations"]) == ["learning rate too small"]


def test_a_call_to_try_the_model_is_no_illness() -> None:
    model = mlp(8, 16, 3)
    with ag.insight.watch(model) as w:
        model(classes()[0])
    assert not w.diagnosis()
