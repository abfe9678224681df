"""Programs of views and in-place changes, and what PyTorch 2.13 makes of each.

Every program starts from the leaves `a`, `b` (2 x 3) and `c` (3), which require gradients, and `k` (2 x 3), which does not,
and computes `out`, from whose weighted sum the gradients are taken. `inplace_expected.json` holds what PyTorch made of it:
the value of `out` and the gradients of `a`, `b` and `c` (None where there is none), or the name of the class of error.
`python tests/inplace_programs.py` writes that file anew, with the PyTorch that is installed.
"""

# ruff: noqa: E501 - a program stands on one line.

PRELUDE = """
a = torch.tensor([[1.0, 2.0, -3.0], [4.0, -0.5, 2.5]], dtype=torch.float64, requires_grad=True)
b = torch.tensor([[0.5, -1.0, 2.0], [3.0, -0.5, 1.0]], dtype=torch.float64, requires_grad=True)
c = torch.tensor([2.0, -1.0, 0.5], dtype=torch.float64, requires_grad=True)
k = torch.tensor([[1.0, -2.0, 3.0], [-4.0, 5.0, 6.0]], dtype=torch.float64)
"""

EPILOGUE = """
weights = torch.arange(1, out.numel() + 1).to(torch.float64).reshape(tuple(out.shape))
(out * weights).sum().backward()
"""

PROGRAMS = {
    # -- arithmetic in place ---------------------------------------------------------------------------
    "add_ on a copy": "x = a * 2; x.add_(b); out = x * x",
    "iadd with a number": "x = a * 1; x += 3; out = x * x",
    "iadd broadcasts the operand": "x = a * 1; x += c; out = x * b",
    "mul_ by a leaf": "x = a * 2; x.mul_(b); out = x",
    "mul_ by itself": "x = a * 2; x.mul_(x); out = x",
    "add_ of itself": "x = a * 2; x.add_(x); out = x * b",
    "div_": "x = a * 2; x.div_(b); out = x",
    "sub_ with alpha": "x = a * 2; x.sub_(b, alpha=3); out = x * x",
    "pow_": "x = a * a; x.pow_(3); out = x",
    "neg_ twice": "x = a * 2; x.neg_(); x.neg_(); out = x * x",
    "exp_ reads its output": "x = a * 1; x.exp_(); out = x",
    "tanh_ then used": "x = a * 1; x.tanh_(); out = x * b",
    "tanh_ then changed": "x = a * 1; x.tanh_(); x.mul_(2); out = x",
    "sigmoid_ then added to": "x = a * 1; x.sigmoid_(); x.add_(b); out = x",
    "relu_ then changed by add": "x = a * 1; x.relu_(); x.add_(1); out = x",
    "relu_": "x = a * 1; x.relu_(); out = x * b",
    "sqrt_ of a square": "x = a * a; x.sqrt_(); out = x",
    "clamp_": "x = a * 1; x.clamp_(-1, 2); out = x * b",
    "chain of three": "x = a * 1; x.mul_(b).add_(c).mul_(2); out = x * x",
    "requires grad only after": "x = k.clone(); x.mul_(a); out = x * x",
    "number tensor gets history": "x = k.clone(); x += b; out = x",
    "copy_": "x = a * 2; x.copy_(b); out = x * x",
    "copy_ broadcasts": "x = a * 2; x.copy_(c); out = x * x",
    "copy_ of other dtype": "x = a * 2; x.copy_(k.to(torch.float32)); out = x * b",
    "zero_": "x = a * 2; x.zero_(); out = x + b",
    "fill_": "x = a * 2; x.fill_(3.0); out = x * b",
    "masked_fill_": "x = a * 2; x.masked_fill_(k > 0, 1.5); out = x * x",
    "in-place result of a bool": "x = a * 1; x.mul_(k > 0); out = x * x",
    # -- leaves ----------------------------------------------------------------------------------------
    "in-place on a leaf": "a.add_(1); out = a",
    "iadd on a leaf": "a += 1; out = a",
    "setitem on a leaf": "a[0] = 1.0; out = a",
    "view of a leaf": "a[0].add_(1); out = a",
    "reshaped leaf": "a.view(6).mul_(2); out = a",
    "leaf under no_grad": "with torch.no_grad():\n    a.mul_(2)\nout = a * b",
    "leaf under no_grad after use": "y = a * b\nwith torch.no_grad():\n    a.mul_(2)\nout = y",
    "leaf under no_grad after use, not saved": "y = a + b\nwith torch.no_grad():\n    a.mul_(2)\nout = y",
    "view of a leaf under no_grad": "with torch.no_grad():\n    a[0] = 7.0\nout = a * b",
    "data of a leaf": "a.data.mul_(2); out = a * a",
    "data of a leaf by index": "a.data[0, 1] = 9.0; out = a * a",
    "detached leaf": "a.detach().zero_(); out = a * b",
    "detached leaf after use": "y = a * b; a.detach().zero_(); out = y",
    "leaf becomes history by copy_": "x = torch.zeros(2, 3, dtype=torch.float64); x.copy_(a); out = x * x",
    "requires_grad_ of a changed copy": "x = k.clone(); x.add_(1); x.requires_grad_(); out = x * a",
    # -- saved values ----------------------------------------------------------------------------------
    "saved operand changed": "x = a * 1; y = x * b; x.add_(1); out = y",
    "saved output changed": "x = a * 1; y = x.exp(); y.add_(1); out = y",
    "output not saved changed": "x = a * 1; y = x + b; y.mul_(2); out = y",
    "saved operand changed, gradient not wanted": "x = k.clone(); y = a * x; x.add_(1); out = y",
    "saved by a constant's product": "x = a * 1; y = x * 2; x.add_(1); out = y + x",
    "saved changed through a view": "x = a * 1; v = x[0]; y = x * b; v.add_(1); out = y",
    "saved changed through detach": "x = a * 1; y = x * x; x.detach().add_(1); out = y",
    "saved view, base changed": "x = a * 1; y = x[0] * x[1]; x.add_(1); out = y",
    "saved view, other rows changed": "x = a * 1; y = x[0] * c; x[1].add_(1); out = y + x[1]",
    "sum saves nothing": "x = a * 1; y = x.sum(); x.zero_(); out = y + x.sum()",
    "saved relu output changed": "x = a * 1; y = x.relu(); y[0] = 5.0; out = y",
    "square saved, then changed": "x = a * 1; y = x ** 2; x.mul_(2); out = y",
    "matmul operand changed": "x = a * 1; y = x @ b.t(); x.mul_(2); out = y",
    # -- views: change the base ------------------------------------------------------------------------
    "base changed, view used": "x = a * 1; v = x[0]; x.mul_(b); out = v * v",
    "base changed twice, view used": "x = a * 1; v = x[:, 1:]; x.mul_(2); x.add_(b); out = v",
    "base set by number, view used": "x = a * 1; v = x.t(); x[0] = 2.0; out = v * v",
    "base filled, view used": "x = a * 1; v = x.view(6); x.fill_(1.0); out = v * 2 + b.view(6)",
    "view and base used": "x = a * 1; v = x[1]; x.mul_(b); out = x + v",
    "view used before and after": "x = a * 1; v = x[1]; y = v + c; x.mul_(2); out = y + v",
    "transpose of a changed base": "x = a * 1; v = x.t(); x.mul_(b); out = v",
    "expand of a changed base": "x = c * 1; v = x.expand(2, 3); x.mul_(2); out = v * b",
    "diagonal of a changed base": "x = a[:, :2] * 1; v = x.diagonal(); x.mul_(3); out = v * v",
    "view of constant, base gets history": "x = k.clone(); v = x[0]; x.mul_(a); out = v * v",
    # -- views: change the view ------------------------------------------------------------------------
    "slice changed, base used": "x = a * 1; x[0].mul_(c); out = x * x",
    "column changed, base used": "x = a * 1; x[:, 1].mul_(2); out = x * x",
    "strided slice changed": "x = a * 1; x[:, ::2].mul_(b[:, ::2]); out = x",
    "transpose changed, base used": "x = a * 1; x.t().mul_(b.t()); out = x * x",
    "reshape changed, base used": "x = a * 1; x.view(3, 2).add_(b.reshape(3, 2)); out = x * x",
    "reshape that copies changed": "x = a * 1; x.t().reshape(6).mul_(2); out = x",
    "flatten changed": "x = a * 1; x.flatten().mul_(2); out = x * x",
    "unsqueeze and squeeze changed": "x = a * 1; x.unsqueeze(0).mul_(b); x.squeeze().add_(1); out = x",
    "permute changed": "x = a * 1; x.permute(1, 0).add_(k.t()); out = x * x",
    "narrow changed": "x = a * 1; x.narrow(1, 0, 2).mul_(3); out = x * x",
    "select changed": "x = a * 1; x.select(1, 2).mul_(b[:, 0]); out = x * x",
    "diagonal changed, base used": "x = a[:, :2] * 1; x.diagonal().mul_(c[:2]); out = x * x",
    "expand changed": "x = c * 1; x.expand(2, 3).mul_(2); out = x",
    "view of view changed": "x = a * 1; x[:, 1:][0].mul_(c[1:]); out = x * x",
    "view of view changed, middle used": "x = a * 1; v = x[:, 1:]; w = v[0]; w.mul_(c[1:]); out = v * v",
    "view changed, view used": "x = a * 1; v = x[0]; v.mul_(c); out = v * v",
    "view changed, other view used": "x = a * 1; v = x[0]; w = x.t(); v.mul_(c); out = w * w",
    "view changed, disjoint view used": "x = a * 1; v = x[0]; w = x[1]; v.mul_(c); out = w * w",
    "view changed twice": "x = a * 1; v = x[0]; v.mul_(c); v.add_(b[0]); out = x * x",
    "view then base then view": "x = a * 1; v = x[0]; v.mul_(2); x.mul_(b); v.add_(c); out = x * x",
    "two views changed in turn": "x = a * 1; v = x[0]; w = x[:, 0]; v.mul_(2); w.mul_(3); v.add_(c); out = x * x",
    "view tanh_, base used": "x = a * 1; x[0].tanh_(); out = x * b",
    "view exp_, then base changed": "x = a * 1; x[0].exp_(); x.add_(1); out = x",
    "view exp_, then its other rows changed": "x = a * 1; x[0].exp_(); x[1].add_(1); out = x",
    "constant base gets history through a view": "x = k.clone(); x[0].mul_(c); out = x * x",
    "constant base, view keeps history": "x = k.clone(); v = x[0]; v.mul_(c); out = v * v",
    "view zero_ cuts history": "x = a * 1; x[0].zero_(); out = x * x + b",
    "view of a copy with alpha": "x = a * 1; x[1].sub_(c, alpha=2); out = x * x",
    "relu_ through a transpose": "x = a * 1; x.t().relu_(); out = x * b",
    "data of a view": "x = a * 1; x[0].data.fill_(9.0); out = x * b",
    "copy_ into a view": "x = torch.zeros(2, 3, dtype=torch.float64); x[0].copy_(c); x[1].copy_(a[1]); out = x * x",
    "assembled by rows": "x = torch.zeros(2, 3, dtype=torch.float64)\nfor i in range(2):\n    x[i] = a[i] * b[i]\nout = x * x",
    "accumulated in a slice": "x = torch.zeros(3, dtype=torch.float64)\nfor i in range(2):\n    x += a[i] * c\nout = x * x",
    "recurrence through slices": "x = a * 1\nx[1] = x[1] + x[0] * c\nx[0] = x[0] * x[1]\nout = x",
    # -- several views from one call, detach, modes ----------------------------------------------------
    "unbind changed": "x = a * 1; v, w = x.unbind(0); v.mul_(2); out = x",
    "split changed": "x = a * 1; v, w = x.split(1, 0); v.mul_(2); out = x",
    "chunk changed": "x = a * 1; v, w = x.chunk(2, 0); v.mul_(2); out = x",
    "iterated rows changed": "x = a * 1\nfor row in x:\n    row.mul_(2)\nout = x",
    "unbind of a constant changed": "x = k.clone(); v, w = x.unbind(0); v.mul_(2); out = x * a",
    "unbind of a constant gets history": "x = k.clone(); v, w = x.unbind(0); v.mul_(c); out = x * a",
    "unbind, base changed, part used": "x = a * 1; v, w = x.unbind(0); x.mul_(2); out = v * w",
    "view of an unbound part changed": "x = a * 1; v, w = x.unbind(0); v[0:1].mul_(2); out = x",
    "split under no_grad changed there": "x = a * 1\nwith torch.no_grad():\n    v, w = x.split(1, 0)\n    v.mul_(2)\nout = x * b",
    "view made under no_grad, changed outside": "x = a * 1\nwith torch.no_grad():\n    v = x[0]\nv.mul_(2)\nout = x",
    "view made under no_grad of a constant": "x = k.clone()\nwith torch.no_grad():\n    v = x[0]\nv.mul_(2)\nout = x * a",
    "view made under no_grad gets history": "x = k.clone()\nwith torch.no_grad():\n    v = x[0]\nv.mul_(c)\nout = x * a",
    "view made under no_grad, base changed": "x = a * 1\nwith torch.no_grad():\n    v = x[0]\nx.mul_(2)\nout = v + c",
    "view changed under no_grad": "x = a * 1; v = x[0]\nwith torch.no_grad():\n    v.mul_(2)\nout = x * b",
    "view made before, changed under no_grad, used": "x = a * 1; v = x[0]\nwith torch.no_grad():\n    x.mul_(2)\nout = v * c",
    "detach shares memory, not history": "x = a * 1; d = x.detach(); d.mul_(2); out = x * b",
    "detach then history": "x = a * 1; d = x.detach(); d.mul_(c); out = d * d",
    "detach changed, view of base used": "x = a * 1; v = x[0]; x.detach().add_(1); out = v * c",
    "view of a detached": "x = a * 1; x.detach()[0].fill_(1.0); out = x * b",
    "detach_ of a copy": "x = a * 1; x.detach_(); x.mul_(b); out = x",
    "detach_ of a view": "x = a * 1; v = x[0]; v.detach_(); out = x",
    "base changed after detach of a view": "x = a * 1; d = x[0].detach(); x.mul_(b); out = d * x[0]",
    "no history under no_grad": "with torch.no_grad():\n    x = a * 2\n    x.add_(b)\nout = x * c",
    # -- assignment by index ---------------------------------------------------------------------------
    "setitem number": "x = a * 1; x[0, 1] = 5.0; out = x * x",
    "setitem tensor": "x = a * 1; x[0] = c; out = x * x",
    "setitem broadcast": "x = a * 1; x[:] = c; out = x * b",
    "setitem slice": "x = a * 1; x[:, 1:] = b[:, :2]; out = x * x",
    "setitem of itself": "x = a * 1; x[0] = x[1]; out = x * x",
    "setitem overlapping rows": "x = a.view(6) * 1; x[1:] = x[:-1].clone(); out = x * x",
    "setitem ellipsis": "x = a * 1; x[..., 0] = b[..., 1]; out = x * x",
    "setitem mask by number": "x = a * 1; x[k > 0] = 2.0; out = x * x",
    "setitem mask by tensor": "x = a * 1; x[k > 2] = c; out = x * x",
    "setitem index tensor": "x = a * 1; x[:, torch.tensor([2, 0])] = b[:, :2]; out = x * x",
    "setitem pairs": "x = a * 1; x[torch.tensor([0, 1]), torch.tensor([2, 0])] = c[:2]; out = x * x",
    "setitem index tensor of a view": "x = a * 1; v = x.t(); v[torch.tensor([0, 2])] = b.t()[:2]; out = x * x",
    "setitem index tensor, view used": "x = a * 1; v = x[0]; x[torch.tensor([0])] = b[1:]; out = v * v",
    "setitem in a constant by history": "x = k.clone(); x[torch.tensor([1])] = a[:1]; out = x * x",
    "setitem mask in a constant by history": "x = k.clone(); x[k > 2] = c; out = x * x",
    "setitem iadd": "x = a * 1; x[0] += c; out = x * x",
    "setitem imul column": "x = a * 1; x[:, 0] *= b[:, 1]; out = x * x",
    "setitem iadd by mask": "x = a * 1; x[k > 0] += 1.0; out = x * x",
    "setitem iadd by index tensor": "x = a * 1; x[torch.tensor([1])] *= c; out = x * x",
    "setitem then saved error": "x = a * 1; y = x * x; x[0, 0] = 1.0; out = y",
    "setitem index then saved error": "x = a * 1; y = x * x; x[torch.tensor([0])] = 1.0; out = y",
    "setitem wrong shape": "x = a * 1; x[0] = b; out = x",
    "setitem of integers": "x = a * 1; x[0] = torch.tensor([1, 2, 3]); out = x * b",
    "setitem into integers": "x = torch.zeros(3, dtype=torch.int64); x[:] = c; out = x * c",
    "scatter_": "x = a * 1; x.scatter_(1, torch.tensor([[2], [0]]), b[:, :1]); out = x * x",
    "scatter_add_": "x = a * 1; x.scatter_add_(1, torch.tensor([[0, 0], [2, 2]]), b[:, :2]); out = x * x",
    "index_add_": "x = a * 1; x.index_add_(0, torch.tensor([1, 1]), b); out = x * x",
    "index_put_ accumulating": "x = a * 1; x.index_put_((torch.tensor([0, 0]),), b, accumulate=True); out = x * x",
    "triu_": "x = a * 1; x.triu_(); out = x * x + b",
    # -- what cannot be written ------------------------------------------------------------------------
    "in-place changes the shape": "x = c * 1; x.add_(a); out = x",
    "in-place changes the dtype": "x = torch.arange(6).reshape(2, 3); x.mul_(a); out = x",
    "in-place on a broadcast": "x = c.expand(2, 3); x.add_(1); out = x",
    "in-place on a constant broadcast": "x = k[0].expand(2, 3); x.add_(1); out = x * a",
    "broadcast of a clone": "x = c.expand(2, 3).clone(); x.mul_(b); out = x",
    "float16 keeps its dtype": "x = (a * 1).to(torch.float16); x.add_(1.5); out = x.to(torch.float64)",
    # -- the order of things ---------------------------------------------------------------------------
    "same value used thrice around a change": "x = a * 1; p = x + 0; x.mul_(2); q = x + 0; x.add_(b); out = p * q + x",
    "two copies of one leaf": "x = a * 1; y = a * 1; x.mul_(y); y.mul_(2); out = x",
    "two copies, saved one not changed": "x = a * 1; y = a * 1; x.mul_(y); x.add_(y); out = x * y",
    "change, then function of both": "x = a * 1; v = x[0]; v.mul_(2); y = x * b; v = x[1]; out = y[0] + v",
    "swap rows": "x = a * 1; t = x[0].clone(); x[0] = x[1]; x[1] = t; out = x * b",
    "swap rows without a copy": "x = a * 1; t = x[0]; x[0] = x[1]; x[1] = t; out = x * b",
    "grad of the old value": "x = a * 1; y = x.clone(); x.mul_(3); out = x + y",
    "nested views through reshape and transpose": "x = a * 1; x.t().unsqueeze(0)[0, 1:].mul_(2); out = x * x",
    "unfold changed": "x = a.view(6) * 1; x.unfold(0, 2, 2).mul_(b.view(3, 2)); out = x * x",
    "retained view after a change": "x = a * 1; v = x.view(6)[2:]; x[0] = c; v[0] = 4.0; out = v * v + x.view(6)[2:]",
    "normalised in place": "x = a * 1; x -= x.mean(); x /= b.abs().sum(); out = x * x",
    "softmax by hand": "x = a * 1; x -= x.max(); x.exp_(); out = x / x.sum()",
    "sgd by hand, twice": "for _ in range(2):\n    loss = (a * b).sum()\n    loss.backward()\n    with torch.no_grad():\n        a -= 0.1 * a.grad\n        a.grad.zero_()\nout = a * c",
    "view of a leaf inside the step": "loss = (a * a).sum()\nloss.backward()\nwith torch.no_grad():\n    a[0] -= a.grad[0]\n    a.grad = None\nout = a * b",
    # -- hooks, gradients, higher order ----------------------------------------------------------------
    "retain_grad then change": "x = a * 1; x.retain_grad(); x.mul_(2); (x * b).sum().backward(); out = x.grad; a.grad=None; b.grad=None; out = out + a",
    "retain_grad of a view then base changed": "x = a * 1; v = x[0]; v.retain_grad(); x.mul_(2); y=(v * c).sum(); y.backward(); out = c * 1 if v.grad is None else v.grad * c",
    "hook before change": "x = a * 1; x.register_hook(lambda g: g * 10); x.mul_(2); out = x",
    "hook after change": "x = a * 1; x.mul_(2); x.register_hook(lambda g: g * 10); out = x",
    "hook on view after": "x = a * 1; v=x[0]; v.mul_(2); v.register_hook(lambda g: g * 10); out = x",
    "hook on view before, base changed": "x = a * 1; v=x[0]; v.register_hook(lambda g: g * 10); x.mul_(2); out = v*1",
    "normal_ leaf": "a.normal_(); out = a",
    "unbind no_grad base changed": "x = a * 1; v,w=x.unbind(0)\nwith torch.no_grad():\n    x.mul_(2)\nout = v*w",
    "no_grad leaf view": "with torch.no_grad():\n    v = a[0]\nv.mul_(2)\nout = v",
    "setitem neg step": "x = a*1; x[::-1] = b; out = x",
    "create_graph through inplace": "x = a*1; x.mul_(b); x.tanh_(); y = torch.autograd.grad((x*x).sum(), [a,b], create_graph=True); out = y[0]*y[1]",
    "create_graph through view inplace": "x = a*1; x[0].mul_(c); x[:,1].mul_(x[:,0]); y = torch.autograd.grad((x*x*x).sum(), [a,c], create_graph=True); out = y[0]*y[1]",
    "create_graph setitem": "x = a*1; x[torch.tensor([1])] = b[:1]*b[1:]; x[0,1]=c[0]; y = torch.autograd.grad((x*x*x).sum(), [a,b,c], create_graph=True); out = y[0]*y[1]*y[2]",
    "grad wrt intermediate then changed": "x = a*1; y = x*b; z=y*1; x2 = x; x2.add_(1); out = z",
    "grad wrt view": "x = a*1; v = x[0]; y=(v*v).sum(); g,=torch.autograd.grad(y, v); out = g*c",
    "grad wrt base of view": "x = a*1; v = x[0]; y=(v*v).sum(); g,=torch.autograd.grad(y, x); out = g*b",
    "grad wrt changed x": "x = a*1; y = x*2; x.mul_(b); g,=torch.autograd.grad((x*x).sum(), x); out = g*a",
    "grad wrt view after base change": "x = a*1; v=x[0]; x.mul_(b); g,=torch.autograd.grad((x*x).sum(), v, allow_unused=True); out = c*2 if g is None else c",
    "inplace under enable_grad in no_grad": "x=a*1\nwith torch.no_grad():\n    with torch.enable_grad():\n        x.mul_(2)\nout=x",
    "inplace on inference": "with torch.inference_mode():\n    x=k*2\nx.add_(1)\nout=a*1",
    "inference normal add": "with torch.inference_mode():\n    x=k*2\nout=a+x",
    "inference change normal": "x=k.clone()\nwith torch.inference_mode():\n    x.add_(1)\nout=a*x",
    "inference change saved": "x=a*1; y=x*x\nwith torch.inference_mode():\n    x.add_(1)\nout=y",
    "inference view change": "x=a*1\nwith torch.inference_mode():\n    v=x[0]\n    v.add_(1)\nout=x*b",
    "inference clone ok": "with torch.inference_mode():\n    x=k*2\nx=x.clone(); x.mul_(a); out=x",
    "inference requires grad": "with torch.inference_mode():\n    x=k*2\nx.requires_grad_(); out=a*1",
    "T property": "x=a*1; x.T.mul_(b.T); out=x*x",
    "mT": "x=a*1; x.mT[0]=5.0; out=x*x",
    "swap via tuple idx": "x=a*1; x[[0,1]] = x[[1,0]]; out=x*b",
    "augmented slice overlapped": "x=a.reshape(6)*1; x[1:] += x[:-1]; out=x*x",
    "mul_ overlapped": "x=a.reshape(6)*1; x[1:].mul_(x[:-1]); out=x",
    "add_ overlapped view of itself": "x=a*1; x.add_(x[0]); out=x*x",
    "mul_ by own row": "x=a*1; x.mul_(x[0]); out=x",
    "addmm_": "x=a*1; x.addmm_(b[:, :2], k[:, :][:2]); out=x*x",
    "addcmul_": "x=a*1; x.addcmul_(b,k,value=2); out=x*x",
    "addcdiv_": "x=a*1; x.addcdiv_(k,b); out=x*x",
    "lerp_": "x=a*1; x.lerp_(b,0.25); out=x*x",
    "floor_": "x=a*1; x.floor_(); out=x*b",
    "remainder_": "x=a*1; x.remainder_(2); out=x*b",
    "logical out": "x=a*1; m = x>0; m[0]=True; out=x*m",
    "eq_": "x=a*1; x.gt_(0); out=x*b",
    "where then inplace": "x=a*1; y=torch.where(x>0,x,b); x.zero_(); out=y",
    "max then inplace": "x=a*1; y=x.max(1).values; x.zero_(); out=y*c[:2]",
    "cat then inplace": "x=a*1; y=torch.cat([x,b]); x.zero_(); out=y",
    "stack parts changed": "x=a*1; y=torch.stack([x[0],x[1]]); x.zero_(); y.mul_(2); out=y",
    "gather then index changed": "x=a*1; i=torch.tensor([[0,1],[1,2]]); y=x.gather(1,i); i.zero_(); out=y",
    "index then index changed": "x=a*1; i=torch.tensor([0,1]); y=x[i]; i.zero_(); out=y",
    "mask then mask changed": "x=a*1; m=k>0; y=x[m]; m.zero_(); out=y",
    "where cond changed": "x=a*1; m=k>0; y=torch.where(m,x,b); m.zero_(); out=y",
    "prod then inplace": "x=a*1; y=x.prod(); x.zero_(); out=y",
    "norm inplace": "x=a*1; y=x.norm(); x.zero_(); out=y",
    "log saved": "x=a*a; y=x.log(); x.zero_(); out=y",
    "sigmoid saved out": "x=a*1; y=x.sigmoid(); y.mul_(2); out=y",
    "abs saved": "x=a*1; y=x.abs(); x.zero_(); out=y",
    "mean then inplace": "x=a*1; y=x.mean(0); x.zero_(); y.add_(1); out=y*c",
    "clone contiguous": "x=a*1; y=x.contiguous(); y.mul_(2); out=x*b",
    "to same": "x=a*1; y=x.to(torch.float64); y.mul_(2); out=x*b",
    "to copy": "x=a*1; y=x.to(torch.float64,copy=True); y.mul_(2); out=x*b",
    "reshape no-op": "x=a*1; y=x.reshape(2,3); y.mul_(2); out=x*b",
    "expand no-op": "x=a*1; y=x.expand(2,3); y.mul_(2); out=x*b",
    "dropout eval": "x=a*1; y=torch.nn.functional.dropout(x,0.5,False); y.mul_(2); out=x*b",
    "F.relu inplace": "x=a*1; torch.nn.functional.relu(x,inplace=True); out=x*b",
    "leaky inplace": "x=a*1; torch.nn.functional.leaky_relu(x,0.1,inplace=True); out=x*b",
    "elu inplace": "x=a*1; torch.nn.functional.elu(x,inplace=True); out=x*b",
    "softmax saved": "x=a*1; y=x.softmax(1); y.mul_(2); out=y",
    "linear weight changed": "w=b*1; y=torch.nn.functional.linear(a,w); w.mul_(2); out=y",
    "masked_scatter-ish": "x=a*1; x[x>1]=x[x>1]*2; out=x*x",
    "cumsum_": "x=a*1; x.cumsum_(1); out=x*x",
    "swapaxes changed": "x=a*1; x.swapaxes(0,1)[1].mul_(3); out=x",
    "backward twice on changed": "x=a*1; y=x*b; y.sum().backward(retain_graph=True); x.add_(1); out=y",
    "grad accumulates after change": "(a*b).sum().backward(); a.grad.mul_(2); out=a*b",
    "grad replaced": "(a*b).sum().backward(); a.grad=torch.zeros_like(a); out=a*b",
    "grad used as value": "(a*b).sum().backward(); g=a.grad; out=a*g",
    "grad saved and accumulated": "(a*b).sum().backward(); y=c*a.grad[0]; (a*b).sum().backward(); out=y",
    "requires_grad_ False": "x=k.clone().requires_grad_(); y=x*a; x.requires_grad_(False); x.add_(1); out=y",
    "set requires_grad on view": "x=k.clone(); v=x[0]; v.requires_grad_(); out=v*c",
    "set requires_grad on view then base changed": "x=k.clone(); v=x[0]; v.requires_grad_(); x.mul_(2); out=v*c",
    "set requires_grad on base then view changed": "x=k.clone(); v=x[0]; x.requires_grad_(); v.mul_(2); out=x*c",
    "set requires_grad on base then view used": "x=k.clone(); v=x[0]; x.requires_grad_(); out=v*c+x.sum()",
    "setitem scalar tensor": "x=a*1; x[0,0]=c[0]*b[0,0]; x[1]=c.sum(); out=x*x",
    "setitem None": "x=a*1; x[None,0]=c; out=x*x",
    "setitem bool scalar": "x=a*1; x[True]=b; out=x*x",
    "setitem newaxis mask": "x=a*1; x[:, torch.tensor([True,False,True])] = b[:, :2]; out=x*x",
    "setitem mixed": "x=torch.stack([a,b])*1; x[0, torch.tensor([1,0]), 1:] = c[1:]; out=x*x",
    "setitem view then idx": "x=a*1; x[:,1:][torch.tensor([1])] = b[:1,:2]; out=x*x",
    "setitem on leaf idx": "a[torch.tensor([0])]=1.0; out=a",
    "setitem on leaf mask no_grad": "with torch.no_grad():\n    a[a>0]=1.0\nout=a*b",
    "saved mask setitem": "x=a*1; y=x*x; x[k>0]=1.0; out=y",
    "broadcast view written": "x=c*1; v=x.unsqueeze(0).expand(2,3); v[0]=1.0; out=x",
    "fill_ with tensor": "x=a*1; x.fill_(c[0]); out=x*x",
    "fill view diagonal": "x=torch.zeros(3,3,dtype=torch.float64); x.diagonal().copy_(c); out=x*x",
    "fill_diagonal like": "x=torch.outer(c,c); x.diagonal().zero_(); out=x",
    "chunk base used": "x=a*1; p,q=x.chunk(2,1)[:2]; y=p*1; out=y+x[:,:2]",
    "detached view inplace then base": "x=a*1; d=x.detach().view(6); d[0]=100.; out=x*x",
    "saved by fn then detach changed": "x=a*1; y=x.exp(); y.detach().zero_(); out=y",
}


def outcome(torch, source):
    """What a program gives under one of the libraries: values and gradients as lists, or the class of its error."""
    names = {"torch": torch}
    try:
        exec(PRELUDE + source + EPILOGUE, names)
    except Exception as error:
        return type(error)
    found = {"out": names["out"].detach(), **{name: names[name].grad for name in "abc"}}
    return {name: None if value is None else value.tolist() for name, value in found.items()}


def _rounded(value):
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return float(f"{value:.14g}") if isinstance(value, float) else value


if __name__ == "__main__":
    import json
    from pathlib import Path

    import torch

    outcomes = {name: outcome(torch, source) for name, source in PROGRAMS.items()}
    lines = [
        json.dumps(name)
        + ": "
        + json.dumps(o.__name__ if isinstance(o, type) else {k: _rounded(v) for k, v in o.items()})
        for name, o in outcomes.items()
    ]
    Path(__file__).with_name("inplace_expected.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
