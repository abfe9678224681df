"""Custom differentiable functions, and hooks of every kind: on modules, on tensors, after accumulation."""

import torch
import torch.nn as nn
from torch.autograd import Function, gradcheck
from torch.autograd.function import once_differentiable


class LinearFunction(Function):
    @staticmethod
    def forward(ctx, input, weight, bias=None):
        ctx.save_for_backward(input, weight, bias)
        output = input.mm(weight.t())
        if bias is not None:
            output += bias.unsqueeze(0).expand_as(output)
        return output

    @staticmethod
    def backward(ctx, grad_output):
        input, weight, bias = ctx.saved_tensors
        grad_input = grad_weight = grad_bias = None
        if ctx.needs_input_grad[0]:
            grad_input = grad_output.mm(weight)
        if ctx.needs_input_grad[1]:
            grad_weight = grad_output.t().mm(input)
        if bias is not None and ctx.needs_input_grad[2]:
            grad_bias = grad_output.sum(0)
        return grad_input, grad_weight, grad_bias


class Binarize(Function):
    """The sign, with the straight-through estimate of its gradient."""

    @staticmethod
    def forward(ctx, x, limit):
        ctx.limit = limit
        ctx.save_for_backward(x)
        return x.sign()

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * (x.abs() <= ctx.limit).type_as(grad), None


class Polynomial(Function):
    """The third Legendre polynomial, with context set up apart from the forward."""

    @staticmethod
    def forward(x):
        return 0.5 * (5 * x**3 - 3 * x)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return grad_output * 1.5 * (5 * x**2 - 1)


class MyLinear(nn.Module):
    def __init__(self, input_features, output_features):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(output_features, input_features))
        self.bias = nn.Parameter(torch.empty(output_features))
        nn.init.uniform_(self.weight, -0.3, 0.3)
        nn.init.uniform_(self.bias, -0.3, 0.3)

    def forward(self, input):
        return LinearFunction.apply(input, self.weight, self.bias)

    def extra_repr(self):
        return f"input_features={self.weight.shape[1]}, output_features={self.weight.shape[0]}"


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = MyLinear(6, 10)
        self.second = MyLinear(10, 1)

    def forward(self, x):
        x = Binarize.apply(self.first(x), 1.0) + torch.tanh(self.first(x))
        return Polynomial.apply(0.5 * self.second(x))


def main(device="cpu", steps=10):
    torch.manual_seed(0)
    net = Net().to(device)
    assert "input_features=6" in repr(net)
    double = dict(dtype=torch.double, requires_grad=True)
    arguments = (torch.randn(3, 4, **double), torch.randn(2, 4, **double), torch.randn(2, **double))
    assert gradcheck(LinearFunction.apply, arguments, eps=1e-6, atol=1e-4)

    seen = {"activation": [], "grad": [], "order": []}
    net.first.register_forward_pre_hook(lambda module, args: (args[0] * 0.9,))
    handle = net.first.register_forward_hook(
        lambda module, args, output: seen["activation"].append(output.mean().item())
    )
    net.second.register_full_backward_hook(
        lambda module, grad_input, grad_output: seen["grad"].append(grad_input[0].abs().sum().item())
    )
    net.second.weight.register_hook(lambda grad: grad * 0.5)
    for name, p in net.named_parameters():
        p.register_post_accumulate_grad_hook(lambda p, name=name: seen["order"].append(float(len(name))))

    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    x, y = torch.randn(32, 6, device=device), torch.rand(32, 1, device=device)
    losses = []
    for step in range(steps):
        optimizer.zero_grad()
        hidden = net(x)
        hidden.retain_grad()
        loss = nn.MSELoss()(hidden, y)
        loss.backward()
        losses += [loss.item(), hidden.grad.norm().item()]
        optimizer.step()
        if step == steps // 2:
            handle.remove()
    return losses + seen["activation"] + seen["grad"] + sorted(seen["order"])


if __name__ == "__main__":
    print(main())
