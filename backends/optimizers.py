"""Optimiser kernels: portable bodies in terms of an array namespace.

One call updates one parameter and its state, in place. What changes between steps reaches a kernel as an array, so that
a recorded call stays right: the options (`lr`, `beta1`, ...) as 0-d float64 buffers that the optimiser refreshes, the
step count `t` as a 0-d tensor that the kernel moves on. Bias corrections are computed here from them, in float64, and
rounded once to the parameter's dtype. An optional array that is None switches its term off.

Moments that decay into denormal numbers are set to zero: arithmetic on denormals is many times slower.
"""

from __future__ import annotations

from typing import Any

Array = Any
Arrays = tuple[Array, ...]


class OptimizerKernels:
    """Mixed into `Backend`; `self.xp` is the array namespace."""

    xp: Any

    def write_scalar(self, x: Array, value: float) -> None:
        """Write a host number into the 0-d buffer `x`. No call of the vocabulary: recorders do not see it."""
        x[...] = value

    def sgd_(
        self,
        param: Array,
        grad: Array,
        momentum_buffer: Array | None,
        lr: Array,
        momentum: Array,
        dampening: Array,
        weight_decay: Array | None,
        nesterov: bool,
        maximize: bool,
        first: bool,
    ) -> Array:
        """`b = momentum b + (1 - dampening) g` (first: `b = g`), `p -= lr b`; Nesterov: `p -= lr (g + momentum b)`."""
        dtype = param.dtype
        grad = self._decayed(param, grad, weight_decay, maximize)
        if momentum_buffer is not None:
            mu = self._to(momentum, dtype)
            momentum_buffer *= mu
            momentum_buffer += grad if first else self._to(1 - dampening, dtype) * grad
            self._flush(momentum_buffer)
            grad = grad + mu * momentum_buffer if nesterov else momentum_buffer
        param -= self._to(lr, dtype) * grad
        return param

    def adam_(
        self,
        param: Array,
        grad: Array,
        exp_avg: Array,
        exp_avg_sq: Array,
        max_exp_avg_sq: Array | None,
        step: Array,
        lr: Array,
        beta1: Array,
        beta2: Array,
        eps: Array,
        weight_decay: Array | None,
        decoupled: bool,
        maximize: bool,
    ) -> Array:
        """`m = b1 m + (1 - b1) g`, `v = b2 v + (1 - b2) g^2`, `p -= lr m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + e)`."""
        dtype = param.dtype
        step += 1
        t = self._to(step, "float64")
        grad = self._decayed(param, grad, None if decoupled else weight_decay, maximize)
        self._moments(grad, exp_avg, exp_avg_sq, beta1, beta2)
        if max_exp_avg_sq is not None:
            max_exp_avg_sq[...] = self.xp.maximum(max_exp_avg_sq, exp_avg_sq)
            exp_avg_sq = max_exp_avg_sq
        root = self._to(self.xp.sqrt(1 - beta2**t), dtype)
        denominator = self.xp.sqrt(exp_avg_sq) / root + self._to(eps, dtype)
        if decoupled and weight_decay is not None:
            param *= self._to(1 - lr * weight_decay, dtype)
        param -= self._to(lr / (1 - beta1**t), dtype) * (exp_avg / denominator)
        return param

    def nadam_(
        self,
        param: Array,
        grad: Array,
        exp_avg: Array,
        exp_avg_sq: Array,
        mu_product: Array,
        step: Array,
        lr: Array,
        beta1: Array,
        beta2: Array,
        eps: Array,
        momentum_decay: Array,
        weight_decay: Array | None,
        decoupled: bool,
        maximize: bool,
    ) -> Array:
        """Adam with Nesterov momentum `mu_t = b1 (1 - 0.96^(t decay) / 2)`; `mu_product` is that of all `mu_t`."""
        dtype = param.dtype
        step += 1
        t = self._to(step, "float64")
        grad = self._decayed(param, grad, None if decoupled else weight_decay, maximize)
        mu = beta1 * (1 - 0.5 * 0.96 ** (t * momentum_decay))
        next_mu = beta1 * (1 - 0.5 * 0.96 ** ((t + 1) * momentum_decay))
        mu_product *= self._to(mu, mu_product.dtype)
        product = self._to(mu_product, "float64")
        self._moments(grad, exp_avg, exp_avg_sq, beta1, beta2)
        denominator = self.xp.sqrt(exp_avg_sq / self._to(1 - beta2**t, dtype)) + self._to(eps, dtype)
        if decoupled and weight_decay is not None:
            param *= self._to(1 - lr * weight_decay, dtype)
        param -= self._to(lr * (1 - mu) / (1 - product), dtype) * (grad / denominator)
        param -= self._to(lr * next_mu / (1 - product * next_mu), dtype) * (exp_avg / denominator)
        return param

    def rmsprop_(
        self,
        param: Array,
        grad: Array,
        square_avg: Array,
        grad_avg: Array | None,
        momentum_buffer: Array | None,
        step: Array,
        lr: Array,
        alpha: Array,
        eps: Array,
        momentum: Array,
        weight_decay: Array | None,
        maximize: bool,
    ) -> Array:
        """`v = a v + (1 - a) g^2`, `p -= lr g / (sqrt(v) + eps)`; centred: `v - mean(g)^2` under the root."""
        dtype = param.dtype
        grad = self._decayed(param, grad, weight_decay, maximize)
        step += 1
        rest = self._to(1 - alpha, dtype)
        square_avg *= self._to(alpha, dtype)
        square_avg += rest * grad * grad
        self._flush(square_avg)
        variance = square_avg
        if grad_avg is not None:
            grad_avg += (grad - grad_avg) * rest
            self._flush(grad_avg)
            variance = square_avg - grad_avg * grad_avg
        update = grad / (self.xp.sqrt(variance) + self._to(eps, dtype))
        if momentum_buffer is not None:
            momentum_buffer *= self._to(momentum, dtype)
            momentum_buffer += update
            self._flush(momentum_buffer)
            update = momentum_buffer
        param -= self._to(lr, dtype) * update
        return param

    def adagrad_(
        self,
        param: Array,
        grad: Array,
        sum: Array,
        step: Array,
        lr: Array,
        lr_decay: Array,
        eps: Array,
        weight_decay: Array | None,
        maximize: bool,
    ) -> Array:
        """`s += g^2`, `p -= lr / (1 + (t - 1) decay) g / (sqrt(s) + eps)`."""
        dtype = param.dtype
        grad = self._decayed(param, grad, weight_decay, maximize)
        step += 1
        rate = lr / (1 + (self._to(step, "float64") - 1) * lr_decay)
        sum += grad * grad
        param -= self._to(rate, dtype) * (grad / (self.xp.sqrt(sum) + self._to(eps, dtype)))
        return param

    def radam_(
        self,
        param: Array,
        grad: Array,
        exp_avg: Array,
        exp_avg_sq: Array,
        step: Array,
        lr: Array,
        beta1: Array,
        beta2: Array,
        eps: Array,
        weight_decay: Array | None,
        decoupled: bool,
        maximize: bool,
    ) -> Array:
        """Adam, rectified by `r_t`, where the mean's length `rho_t` exceeds 5; else `p -= lr m / (1 - b1^t)`."""
        xp, dtype = self.xp, param.dtype
        step += 1
        t = self._to(step, "float64")
        grad = self._decayed(param, grad, None if decoupled else weight_decay, maximize)
        if decoupled and weight_decay is not None:
            param *= self._to(1 - lr * weight_decay, dtype)
        self._moments(grad, exp_avg, exp_avg_sq, beta1, beta2)
        correction = 1 - beta2**t
        longest = 2 / (1 - beta2) - 1
        length = longest - 2 * t * beta2**t / correction
        rectified = length > 5
        # Both sides of a `where` are computed: the other one's numbers only have to exist.
        length = xp.maximum(length, 5)
        longest = xp.maximum(longest, 5)
        ratio = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
        rate = lr / (1 - beta1**t) * xp.where(rectified, xp.sqrt(ratio * correction), 1.0)
        root = xp.where(rectified, xp.sqrt(exp_avg_sq) + self._to(eps, dtype), xp.ones_like(exp_avg_sq))
        param -= self._to(rate, dtype) * (exp_avg / root)
        return param

    def adadelta_(
        self,
        param: Array,
        grad: Array,
        square_avg: Array,
        acc_delta: Array,
        step: Array,
        lr: Array,
        rho: Array,
        eps: Array,
        weight_decay: Array | None,
        maximize: bool,
    ) -> Array:
        """`v = r v + (1 - r) g^2`, `d = sqrt(u + eps) / sqrt(v + eps) g`, `u = r u + (1 - r) d^2`, `p -= lr d`."""
        dtype = param.dtype
        step += 1
        grad = self._decayed(param, grad, weight_decay, maximize)
        keep, rest, small = self._to(rho, dtype), self._to(1 - rho, dtype), self._to(eps, dtype)
        square_avg *= keep
        square_avg += rest * grad * grad
        self._flush(square_avg)
        delta = self.xp.sqrt(acc_delta + small) / self.xp.sqrt(square_avg + small) * grad
        acc_delta *= keep
        acc_delta += rest * delta * delta
        self._flush(acc_delta)
        param -= self._to(lr, dtype) * delta
        return param

    def adamax_(
        self,
        param: Array,
        grad: Array,
        exp_avg: Array,
        exp_inf: Array,
        step: Array,
        lr: Array,
        beta1: Array,
        beta2: Array,
        eps: Array,
        weight_decay: Array | None,
        maximize: bool,
    ) -> Array:
        """`m = b1 m + (1 - b1) g`, `u = max(b2 u, |g| + eps)`, `p -= lr / (1 - b1^t) m / u`."""
        dtype = param.dtype
        step += 1
        grad = self._decayed(param, grad, weight_decay, maximize)
        exp_avg += (grad - exp_avg) * self._to(1 - beta1, dtype)
        self._flush(exp_avg)
        exp_inf[...] = self.xp.maximum(exp_inf * self._to(beta2, dtype), self.xp.absolute(grad) + self._to(eps, dtype))
        param -= self._to(lr / (1 - beta1 ** self._to(step, "float64")), dtype) * (exp_avg / exp_inf)
        return param

    def asgd_(
        self,
        param: Array,
        grad: Array,
        ax: Array,
        eta: Array,
        mu: Array,
        step: Array,
        lr: Array,
        lambd: Array,
        alpha: Array,
        t0: Array,
        weight_decay: Array | None,
        maximize: bool,
    ) -> Array:
        """`p = (1 - lambd eta) p - eta g`, `ax += mu (p - ax)`; then `eta = lr / (1 + lambd lr t)^alpha` and `mu`."""
        xp, dtype = self.xp, param.dtype
        step += 1
        t = self._to(step, "float64")
        grad = self._decayed(param, grad, weight_decay, maximize)
        rate = self._to(eta, "float64")
        param *= self._to(1 - lambd * rate, dtype)
        param -= self._to(rate, dtype) * grad
        # Exactly the parameter while the mean has not begun.
        ax[...] = xp.where(mu == 1, param, ax + (param - ax) * self._to(mu, dtype))
        eta[...] = self._to(lr / (1 + lambd * lr * t) ** alpha, eta.dtype)
        mu[...] = self._to(1 / xp.maximum(t - t0, 1), mu.dtype)
        return param

    def rprop_(
        self,
        param: Array,
        grad: Array,
        prev: Array,
        step_size: Array,
        step: Array,
        eta_minus: Array,
        eta_plus: Array,
        step_min: Array,
        step_max: Array,
        maximize: bool,
    ) -> Array:
        """Steps grow by `eta_plus` where the gradient keeps its sign; where not they shrink, and `p` and sign rest."""
        xp, dtype = self.xp, param.dtype
        step += 1
        grad = self._decayed(param, grad, None, maximize)
        agreement = grad * prev
        turned = agreement < 0
        one = xp.ones_like(param)
        factor = xp.where(turned, self._to(eta_minus, dtype), xp.where(agreement > 0, self._to(eta_plus, dtype), one))
        step_size[...] = xp.minimum(
            xp.maximum(step_size * factor, self._to(step_min, dtype)), self._to(step_max, dtype)
        )
        prev[...] = xp.where(turned, xp.zeros_like(grad), grad)
        param -= xp.sign(prev) * step_size
        return param

    # -- the scale of a loss (`autograd_core.amp.GradScaler`) -------------------------------------------

    def unscale_(self, grad: Array, found_inf: Array, inv_scale: Array) -> Array:
        """`grad *= inv_scale`; `found_inf`, 0-d, becomes 1 if an element was infinite or a NaN."""
        xp = self.xp
        bad = xp.logical_not(xp.isfinite(grad).all())
        xp.maximum(found_inf, bad.astype(found_inf.dtype), out=found_inf)
        grad *= inv_scale.astype(grad.dtype)
        return grad

    def update_scale_(
        self, scale: Array, growth_tracker: Array, found_inf: Array, growth: float, backoff: float, interval: int
    ) -> Array:
        """After a bad step `scale *= backoff`, after `interval` good ones in a row `scale *= growth`, where finite."""
        xp = self.xp
        bad = found_inf > 0
        good_steps = growth_tracker + 1
        full = xp.logical_and(xp.logical_not(bad), good_steps == interval)
        grown = scale * growth
        grown = xp.where(xp.isfinite(grown), grown, scale)
        scale[...] = xp.where(bad, scale * backoff, xp.where(full, grown, scale))
        growth_tracker[...] = xp.where(xp.logical_or(bad, full), 0, good_steps)
        return scale

    # -- shared terms -----------------------------------------------------------------------------------

    def _to(self, x: Array, dtype: Any) -> Array:
        """`x` in `dtype`. Overridden where the bodies above run on Tensors (`autograd_core.updates`)."""
        return x.astype(dtype)

    def _decayed(self, param: Array, grad: Array, weight_decay: Array | None, maximize: bool) -> Array:
        """The gradient to descend along: negated to climb, plus that of the weights' L2 penalty."""
        if maximize:
            grad = -grad
        return grad if weight_decay is None else grad + self._to(weight_decay, param.dtype) * param

    def _moments(self, grad: Array, exp_avg: Array, exp_avg_sq: Array, beta1: Array, beta2: Array) -> None:
        """Move the running means of the gradient and of its square on."""
        dtype = grad.dtype
        exp_avg += (grad - exp_avg) * self._to(1 - beta1, dtype)
        exp_avg_sq *= self._to(beta2, dtype)
        exp_avg_sq += self._to(1 - beta2, dtype) * grad * grad
        self._flush(exp_avg)
        self._flush(exp_avg_sq)

    def _flush(self, x: Array) -> None:
        """Denormal numbers become 0, since they are slow. Those of float16 begin at 6e-5: usual sizes of a moment."""
        if x.dtype.itemsize == 2:
            return
        # Multiplied, not assigned, so that a NaN stays.
        x *= self.xp.absolute(x) >= self.xp.finfo(x.dtype).tiny

    def flat_update(
        self, kernel: str, size: int, dtype: Any, args: tuple[Any, ...], flat: Any, copied: Any
    ) -> tuple[Any, tuple[Any, ...]] | None:
        """A function and its arguments that make the update `kernel(*args)` of so many elements of a dtype, or None.

        For `compile`, which knows that all lies in order. In `args` stand placeholders for arrays; `flat` gives that of
        an array as one axis, `copied` that of a copy. The function's `writes` are the positions that it writes to.
        """
        return None

    # -- all tensors of a group at once -----------------------------------------------------------------

    # Whether the kernels below take fewer launches than one for each tensor: then optimisers call them.
    updates_together = False

    def sgd_all_(
        self, params: Arrays, grads: Arrays, momentum_buffers: Arrays | None, lr: Array, momentum: Array,
        dampening: Array, weight_decay: Array | None, nesterov: bool, maximize: bool, first: bool,
    ) -> Arrays:  # fmt: skip
        """`sgd_` on each of the parameters."""
        for i, (param, grad) in enumerate(zip(params, grads)):
            buffer = None if momentum_buffers is None else momentum_buffers[i]
            self.sgd_(param, grad, buffer, lr, momentum, dampening, weight_decay, nesterov, maximize, first)
        return params

    def adam_all_(
        self, params: Arrays, grads: Arrays, exp_avgs: Arrays, exp_avg_sqs: Arrays, max_exp_avg_sqs: Arrays | None,
        steps: Arrays, lr: Array, beta1: Array, beta2: Array, eps: Array, weight_decay: Array | None, decoupled: bool,
        maximize: bool,
    ) -> Arrays:  # fmt: skip
        """`adam_` on each of the parameters."""
        for i, (param, grad, m, v, step) in enumerate(zip(params, grads, exp_avgs, exp_avg_sqs, steps)):
            top = None if max_exp_avg_sqs is None else max_exp_avg_sqs[i]
            self.adam_(param, grad, m, v, top, step, lr, beta1, beta2, eps, weight_decay, decoupled, maximize)
        return params

    def total_norm(self, tensors: Arrays) -> Array:
        """The Euclidean norm of all `tensors`, of one dtype, as one vector; 0-d, in float32 for float16."""
        xp = self.xp
        squares = [xp.sum(xp.square(x.astype("float32") if x.dtype.char == "e" else x)) for x in tensors]
        joined = self.cat(tuple([square.reshape(1) for square in squares]), 0)  # type: ignore[attr-defined]
        return xp.sqrt(xp.sum(joined))

    def scale_all_(self, tensors: Arrays, factor: Array) -> Arrays:
        """Multiply each of the tensors by the 0-d `factor`."""
        for x in tensors:
            x *= factor.astype(x.dtype)
        return tensors
