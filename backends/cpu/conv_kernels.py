"""Convolution in float32 by Numba: products of the weights with shifted lines of pixels, no windows laid out.

A block of images lies in scratch memory as flat lines, one a channel, with zeros between the rows of an image and
between images. There the pixels that one place of the kernel meets are the line itself, shifted by a constant: so a
convolution is a product (see `micro.py`) whose rows on the right start at offsets from a table. What is computed for
the zeros between is thrown away. With a stride s there are s x s lines a channel, each of every s-th pixel; where rows
are short, a line for each column of the kernel saves the zeros between them. The
gradient by the input is the same sum with rows and columns of the weights exchanged, one for each of the s x s phases
of the input; that by the weight multiplies lines of the cotangent by shifted lines of the input.

So "direct" convolution (Georganas et al., "Anatomy of high-performance deep learning convolutions on SIMD
architectures", SC'18) needs one kernel for all geometries. Measured beside windows laid out for BLAS ("im2col") in
docs/performance.md.

Large images are cut into bands of rows. Blocks are dealt out by the shapes alone, so sums have a fixed order, whatever
the number of threads. Innermost indices are unsigned: with signed ones Numba tests each for being negative, and the
loops do not vectorise.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from autograd_core.backends.cpu import micro, threads
from autograd_core.backends.cpu.cache import kernel

Array = Any
Shape = tuple[int, ...]

# Set before the first kernel is compiled.
_three: Any = None
_two: Any = None
_one: Any = None
_dot: Any = None
_ROWS = _LANES = _PANEL = 0
_DOTS = micro.DOT_COLUMNS

_BLOCK = 1 << 17  # Elements of a block, source and result: 512 KiB, for the second-level cache.
_PIXELS = 1024  # So many pixels a block has, where there are so many: what is lost at the ends of lines is then little.
_SMALL = 1 << 20  # Fewer multiplications than this by one thread.
_BLOCKS = 8  # Into which a batch is cut at least.
_SUMS = 8  # Into which a gradient by the weight is cut at most.


def usable(*arrays: Array) -> bool:
    """Whether the kernels take these arrays: float32, none empty."""
    for a in arrays:
        if a.dtype.char != "f" or not a.size:
            return False
    return True


def _prepare() -> None:
    global _three, _two, _one, _dot, _ROWS, _LANES, _PANEL
    if _three is None:
        _LANES, _ROWS = micro.shape()
        _PANEL = 3 * _LANES
        _dot, _one, _two = micro.dot_tile(), micro.product_tile(1), micro.product_tile(2)
        _three = micro.product_tile(3)


# -- geometry ---------------------------------------------------------------------------------------------------------


class _Block(NamedTuple):
    """How a block lies in scratch memory."""

    images: int
    span: int  # rows of the result
    lead: int  # rows of the source above the result's first one (in a band)
    rows: int  # rows of the source
    height: int  # of an image in scratch memory
    width: int
    margin: int  # zeros before the first image
    line: int  # from one line to the next


class _Work(NamedTuple):
    """A convolution as the kernels want it."""

    block: _Block
    starts: Array  # columns of the source at which its lines begin; more than one a channel, see `_columns`
    offsets: Array  # where each row on the right begins
    phases: Array  # for each phase of the result: start in the weights and in the offsets, rows on the right, ...
    places: list[tuple[list[int], list[int]]]  # for each phase, which places of the kernel it meets


def _block(n: int, lines: int, source: Shape, result: Shape, low: Shape, high: Shape, large: bool) -> _Block:
    """`lines`: of source and result together; `source`, `result`: their (rows, columns) in one phase; `low`, `high`:
    the least and the greatest shift along each axis; `large`: better few large blocks than one for each thread."""
    above, before = max(0, -low[0]), max(0, -low[1])
    width = max(source[1] + before, result[1] + max(0, high[1]))
    height = max(source[0] + above, result[0] + max(0, high[0]))
    reach = high[0] - low[0]
    span = max(1, _PIXELS // width, _BLOCK // (lines * width) - reach)
    images, lead, rows = 1, 0, source[0]
    if span < result[0] and lines * height * width > 2 * _BLOCK:
        lead, rows, height, margin = -low[0], span + reach, span + reach, before
    else:
        span, margin = result[0], above * width + before
        pixels, blocks = (4 * _PIXELS, 2) if large else (_PIXELS, _BLOCKS)
        images = min(_BLOCK // (lines * height * width), -(-pixels // (height * width)), -(-n // blocks))
        images = max(1, images)
    # Shifts reach beyond the last pixel, and the last panel of a product too.
    beyond = max(0, high[0] + lead) * width + max(0, high[1]) + _PANEL
    return _Block(images, span, lead, rows, height, width, margin, margin + images * height * width + beyond)


def _apart(weight: Shape, groups: int, source: int, result: int, low: int, high: int, more: int) -> bool:
    """Whether each column of the kernel gets lines of its own, `more` a channel, with zeros where it looks beyond the
    edge: then nothing is computed for columns between the rows.

    A line more costs half a cycle a pixel, a pixel thrown away a product's share: measured, see docs/performance.md.
    """
    width = max(source + max(0, -low), result + max(0, high))
    return (width - result) * weight[0] // groups * weight[2] * weight[3] > 16 * more * result


def _along(kernel: int, stride: int, padding: int, dilation: int) -> list[tuple[int, int]]:
    """For each place of the kernel: the phase of the source that it meets, and the shift there."""
    return [((i * dilation - padding) % stride, (i * dilation - padding) // stride) for i in range(kernel)]


@lru_cache(maxsize=256)
def _forward_work(
    shape: Shape, weight: Shape, size: Shape, stride: Shape, padding: Shape, dilation: Shape, groups: int, large: bool
) -> _Work:
    """The sum over the input's lines; for the gradient by the weight too."""
    rows, columns = (_along(weight[2 + a], stride[a], padding[2 * a], dilation[a]) for a in (0, 1))
    source = -(-shape[2] // stride[0]), -(-shape[3] // stride[1])
    low = min(s for _, s in rows), min(s for _, s in columns)
    high = max(s for _, s in rows), max(s for _, s in columns)
    starts = list(range(stride[1]))
    if _apart(weight, groups, source[1], size[1], low[1], high[1], len(columns) - len(starts)):
        starts = [j * dilation[1] - padding[2] for j in range(weight[3])]
        columns = [(j, 0) for j in range(weight[3])]
        source, low, high = (source[0], size[1]), (low[0], 0), (high[0], 0)
    lines = stride[0] * len(starts)
    block = _block(shape[0], shape[1] * lines + weight[0], source, size, low, high, large)
    places = [
        (a * len(starts) + b) * block.line + block.margin + (i + block.lead) * block.width + j
        for a, i in rows
        for b, j in columns
    ]
    offsets = np.add.outer(np.arange(weight[1]) * (lines * block.line), places).reshape(-1)
    return _Work(block, np.array(starts), offsets, np.array([[0, 0, offsets.size, 0, 0, *size]]), [])


@lru_cache(maxsize=256)
def _backward_work(
    g_shape: Shape, weight: Shape, shape: Shape, stride: Shape, padding: Shape, dilation: Shape, groups: int
) -> _Work:
    """The sum over the cotangent's lines, for each phase of the input."""
    meets = [
        [
            [(i, (a + padding[2 * axis] - i * dilation[axis]) // stride[axis]) for i in range(weight[2 + axis])
             if (a + padding[2 * axis] - i * dilation[axis]) % stride[axis] == 0]
            for a in range(stride[axis])
        ]
        for axis in (0, 1)
    ]  # fmt: skip
    shifts = [[s for phase in meets[axis] for _, s in phase] for axis in (0, 1)]
    low, high = tuple(min(s) for s in shifts), tuple(max(s) for s in shifts)
    result = -(-shape[2] // stride[0]), -(-shape[3] // stride[1])
    source, starts = g_shape[2:], [0]
    by_input = (weight[1] * groups, *weight[1:])
    apart = _apart(by_input, groups, source[1], result[1], low[1], high[1], len(set(shifts[1])) - 1)
    if apart:
        starts = sorted(set(shifts[1]))
        source, low, high = (source[0], result[1]), (low[0], 0), (high[0], 0)
    block = _block(g_shape[0], g_shape[1] * len(starts) + shape[1], source, result, low, high, False)
    per_group = weight[0] // groups
    parts, phases, places, at = [np.zeros(0, np.int64)], [], [], 0
    for a in range(stride[0]):
        for b in range(stride[1]):
            rows, columns = meets[0][a], meets[1][b]
            lines = [(starts.index(j), 0) if apart else (0, j) for _, j in columns]
            begin = [
                line * block.line + block.margin + (i + block.lead) * block.width + j
                for _, i in rows
                for line, j in lines
            ]
            inner = per_group * len(begin)
            if inner:
                parts.append(np.add.outer(np.arange(per_group) * (len(starts) * block.line), begin).reshape(-1))
            sizes = -(-(shape[2] - a) // stride[0]), -(-(shape[3] - b) // stride[1])
            phases.append([at * shape[1], at, inner, a, b, *sizes])
            places.append(([i for i, _ in rows], [j for j, _ in columns]))
            at += inner
    return _Work(block, np.array(starts), np.concatenate(parts), np.array(phases), places)


# -- the three sums ---------------------------------------------------------------------------------------------------


def forward(x: Array, w: Array, b: Array, size: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Array:
    """`conv2d`; `size` is the output's (rows, columns)."""
    _prepare()
    work = _forward_work(x.shape, w.shape, tuple(size), stride, padding, dilation, groups, False)
    y = np.empty((x.shape[0], w.shape[0], *size), np.float32)
    bias = np.zeros(w.shape[0], np.float32) if b is None else np.ascontiguousarray(b)
    _sum(work, np.ascontiguousarray(x), np.ascontiguousarray(w).reshape(-1), bias, y, stride, (1, 1), groups)
    return y


def input_grad(g: Array, w: Array, shape: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
    """`conv2d_input_grad`, or None: weights that are infinite or NaN would meet the zeros around the cotangent."""
    if not np.isfinite(w).all():
        return None
    _prepare()
    shape = tuple(shape)
    work = _backward_work(g.shape, w.shape, shape, stride, padding, dilation, groups)
    by_input = w.reshape(groups, -1, *w.shape[1:]).swapaxes(1, 2)
    if len(work.places) == 1:
        weights = np.ascontiguousarray(by_input).reshape(-1)
    else:
        parts = [by_input[:, :, :, rows][..., columns] for rows, columns in work.places if rows and columns]
        weights = np.concatenate([part.reshape(-1) for part in parts])
    # A stride beyond the kernel leaves pixels that no window meets.
    gx = np.empty(shape, np.float32) if work.phases[:, 2].all() else np.zeros(shape, np.float32)
    bias = np.zeros(shape[1], np.float32)
    _sum(work, np.ascontiguousarray(g), weights, bias, gx, (1, 1), stride, groups)
    return gx


def _sum(work: _Work, x: Array, w: Array, bias: Array, y: Array, stride: Shape, step: Shape, groups: int) -> None:
    block, result = work.block, int(work.phases[0, 5])
    items = -(-y.shape[0] // block.images) * -(-result // block.span)
    units = groups * -(-y.shape[1] // groups // _ROWS)
    multiplications = w.size * y.size // y.shape[1]
    workers = 1 if multiplications < _SMALL else threads.get_num_threads()
    parts = 1 if items >= 2 * workers else min(units, -(-2 * workers // items))
    run = _correlate.serial if min(workers, items * parts) == 1 else _correlate
    run(x, w, work.starts, work.offsets, work.phases, bias, y, parts, *block, *stride, *step, groups)


def weight_grad(g: Array, x: Array, shape: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
    """`conv2d_weight_grad`, or None: where there is an infinity or a NaN, zeros between the rows would spread it."""
    _prepare()
    shape = tuple(shape)
    # In large blocks, since each ends in sums over lanes.
    work = _forward_work(x.shape, shape, tuple(g.shape[2:]), stride, padding, dilation, groups, True)
    out, inner = shape[0], shape[1] * shape[2] * shape[3]
    block, padded = work.block, -(-inner // _DOTS) * _DOTS
    offsets = np.concatenate([work.offsets, np.repeat(work.offsets[-1:], padded - inner)])
    # A sum for each of some parts of the batch, as long as these do not outweigh it; then channels are dealt out, too.
    items = -(-g.shape[0] // block.images) * -(-g.shape[2] // block.span)
    sums = max(1, min(_SUMS, items, (1 << 20) // (out * padded)))
    parts = min(-(-_SUMS // sums), groups * -(-out // groups // (_ROWS // 2)))
    gw = np.zeros((sums, out, padded), np.float32)
    run = _weights.serial if g.size * inner < _SMALL or sums * parts == 1 else _weights
    g, x = np.ascontiguousarray(g), np.ascontiguousarray(x)
    run(g, x, gw.reshape(-1), work.starts, offsets, sums, parts, *block, *stride, groups)
    total = gw[0]
    for part in gw[1:]:
        total += part
    total = total[:, :inner].copy()  # The other sums need not stay.
    return total.reshape(shape) if np.isfinite(total).all() else None


@kernel(parallel=True, uses=micro.SOURCE)
def _correlate(
    x, w, starts, offsets, phases, bias, y, parts,
    images, span, lead, rows, height, width, margin, line, sh, sw, dh, dw, groups, worker, workers,
):  # fmt: skip
    n, channels, tall, wide = x.shape
    out, down, across = y.shape[1], y.shape[2], y.shape[3]
    inside, per_group = channels // groups, out // groups
    lines_of = sh * starts.size  # of a channel
    per = (per_group + _ROWS - 1) // _ROWS
    bands = (phases[0, 5] + span - 1) // span
    total = (n + images - 1) // images * bands * parts
    pitch = (images * height * width + _PANEL - 1) // _PANEL * _PANEL
    x_flat, y_flat = x.reshape(-1), y.reshape(-1)
    first_index, end_index = worker * total // workers, (worker + 1) * total // workers
    if first_index == end_index:
        return
    lines = np.empty(channels * lines_of * line, np.float32)  # np.zeros would take 0.15 s to compile.
    lines[:] = 0
    sums = np.empty(_ROWS * pitch, np.float32)
    at_item = -1
    for index in range(first_index, end_index):
        item, part = index // parts, index % parts
        first = item // bands * images
        count = min(images, n - first)
        top = item % bands * span
        if item != at_item:
            at_item = item
            for entry in range(channels * lines_of):
                c, a, b = entry // lines_of, entry // starts.size % sh, starts[entry % starts.size]
                left = max(0, (sw - 1 - b) // sw)
                size = np.uint64(max(0, min(width, (wide - 1 - b) // sw + 1) - left))
                if sh == 1 and sw == 1 and width == wide:
                    # Rows follow one another: all in one go, and zeros where a row reaches into the next.
                    low_row, end_row = max(0, lead - top), min(rows, tall + lead - top)
                    for image in range(count):
                        begin = (((first + image) * channels + c) * tall + top - lead) * wide + b
                        low_at, end_at = max(low_row * wide, -begin), min(end_row * wide, x_flat.size - begin)
                        base = entry * line + margin + image * height * width
                        to, source = np.uint64(base + low_at), np.uint64(begin + low_at)
                        for q in range(np.uint64(max(0, end_at - low_at))):
                            lines[to + q] = x_flat[source + q]
                        for t in range(low_row, end_row):
                            for q in range(left):
                                lines[base + t * width + q] = 0
                            for q in range(left + np.int64(size), width):
                                lines[base + t * width + q] = 0
                        for q in range(base, base + low_row * width):
                            lines[q] = 0
                        for q in range(base + max(low_row, end_row) * width, base + rows * width):
                            lines[q] = 0
                else:
                    for image in range(count):
                        for t in range(rows):
                            row = (top - lead + t) * sh + a
                            to = np.uint64(entry * line + margin + (image * height + t) * width + left)
                            if 0 <= row < tall:
                                source = np.uint64(
                                    (((first + image) * channels + c) * tall + row) * wide + left * sw + b
                                )
                                if sw == 1:
                                    for q in range(size):
                                        lines[to + q] = x_flat[source + q]
                                else:
                                    for q in range(size):
                                        lines[to + q] = x_flat[source + q * np.uint64(sw)]
                            else:
                                for q in range(size):
                                    lines[to + q] = 0
        for unit in range(part * groups * per // parts, (part + 1) * groups * per // parts):
            group, row_of = unit // per, unit % per * _ROWS
            high = min(_ROWS, per_group - row_of)
            channel = group * per_group + row_of
            for phase in range(phases.shape[0]):
                k, a, b, columns = phases[phase, 2], phases[phase, 3], phases[phase, 4], phases[phase, 6]
                tall_here = min(span, phases[phase, 5] - top)
                if k == 0 or tall_here <= 0:
                    continue
                used = (tall_here - 1) * width + columns
                # Image by image, the zeros between are left out.
                apart = (used + _LANES - 1) // _LANES * _LANES < height * width
                if not apart:
                    used += (count - 1) * height * width
                w_at, x_at = phases[phase, 0] + channel * k, group * inside * lines_of * line
                for image in range(count if apart else 1):
                    begin = image * height * width
                    for start in range(begin, begin + used, _PANEL):
                        rest = begin + used - start
                        if rest > 2 * _LANES:
                            _three(high, w, w_at, k, 1, lines, x_at + start, offsets, phases[phase, 1], k,
                                   sums, start, pitch, 0)  # fmt: skip
                        elif rest > _LANES:
                            _two(high, w, w_at, k, 1, lines, x_at + start, offsets, phases[phase, 1], k,
                                 sums, start, pitch, 0)  # fmt: skip
                        else:
                            _one(high, w, w_at, k, 1, lines, x_at + start, offsets, phases[phase, 1], k,
                                 sums, start, pitch, 0)  # fmt: skip
                whole = dh == 1 and dw == 1 and width == columns
                across_here, rows_here = (columns * tall_here, 1) if whole else (columns, tall_here)
                for o in range(high):
                    shift = bias[channel + o]
                    for image in range(count):
                        for row in range(rows_here):
                            source = np.uint64(o * pitch + (image * height + row) * width)
                            line_of = ((first + image) * out + channel + o) * down + (top + row) * dh + a
                            to = np.uint64(line_of * across + b)
                            if dw == 1:
                                for q in range(np.uint64(across_here)):
                                    y_flat[to + q] = sums[source + q] + shift
                            else:
                                for q in range(np.uint64(across_here)):
                                    y_flat[to + q * np.uint64(dw)] = sums[source + q] + shift


@kernel(parallel=True, uses=micro.SOURCE)
def _weights(
    g, x, gw, starts, offsets, sums, parts,
    images, span, lead, rows, height, width, margin, line, sh, sw, groups, worker, workers,
):  # fmt: skip
    n, channels, tall, wide = x.shape
    out, down, across = g.shape[1], g.shape[2], g.shape[3]
    inside, per_group = channels // groups, out // groups
    lines_of = sh * starts.size  # of a channel
    inner = offsets.size
    half = _ROWS // 2
    per = (per_group + half - 1) // half
    bands = (down + span - 1) // span
    items = (n + images - 1) // images * bands
    pitch = (images * height * width + _LANES - 1) // _LANES * _LANES
    x_flat, g_flat = x.reshape(-1), g.reshape(-1)
    first_task, end_task = worker * sums * parts // workers, (worker + 1) * sums * parts // workers
    if first_task == end_task:
        return
    lines = np.empty(channels * lines_of * line, np.float32)  # np.zeros would take 0.15 s to compile.
    lines[:] = 0
    cotangents = np.empty(out * pitch, np.float32)
    cotangents[:] = 0
    for task in range(first_task, end_task):
        total, part = task // parts, task % parts
        low, end = part * groups * per // parts, (part + 1) * groups * per // parts
        for item in range(total * items // sums, (total + 1) * items // sums):
            first = item // bands * images
            count = min(images, n - first)
            top = item % bands * span
            high = min(span, down - top)
            for entry in range(channels * lines_of):
                c, a, b = entry // lines_of, entry // starts.size % sh, starts[entry % starts.size]
                left = max(0, (sw - 1 - b) // sw)
                size = np.uint64(max(0, min(width, (wide - 1 - b) // sw + 1) - left))
                if sh == 1 and sw == 1 and width == wide:
                    # Rows follow one another: all in one go, and zeros where a row reaches into the next.
                    low_row, end_row = max(0, lead - top), min(rows, tall + lead - top)
                    for image in range(count):
                        begin = (((first + image) * channels + c) * tall + top - lead) * wide + b
                        low_at, end_at = max(low_row * wide, -begin), min(end_row * wide, x_flat.size - begin)
                        base = entry * line + margin + image * height * width
                        to, source = np.uint64(base + low_at), np.uint64(begin + low_at)
                        for q in range(np.uint64(max(0, end_at - low_at))):
                            lines[to + q] = x_flat[source + q]
                        for t in range(low_row, end_row):
                            for q in range(left):
                                lines[base + t * width + q] = 0
                            for q in range(left + np.int64(size), width):
                                lines[base + t * width + q] = 0
                        for q in range(base, base + low_row * width):
                            lines[q] = 0
                        for q in range(base + max(low_row, end_row) * width, base + rows * width):
                            lines[q] = 0
                else:
                    for image in range(count):
                        for t in range(rows):
                            row = (top - lead + t) * sh + a
                            to = np.uint64(entry * line + margin + (image * height + t) * width + left)
                            if 0 <= row < tall:
                                source = np.uint64(
                                    (((first + image) * channels + c) * tall + row) * wide + left * sw + b
                                )
                                if sw == 1:
                                    for q in range(size):
                                        lines[to + q] = x_flat[source + q]
                                else:
                                    for q in range(size):
                                        lines[to + q] = x_flat[source + q * np.uint64(sw)]
                            else:
                                for q in range(size):
                                    lines[to + q] = 0
            used = (count * height * width + _LANES - 1) // _LANES * _LANES
            for unit in range(low, end):
                group, row_of = unit // per, unit % per * half
                many = min(half, per_group - row_of)
                channel = group * per_group + row_of
                for o in range(channel, channel + many):
                    for image in range(count):
                        for row in range(1 if across == width else high):
                            to = np.uint64(o * pitch + (image * height + row) * width)
                            source = np.uint64((((first + image) * out + o) * down + top + row) * across)
                            for q in range(np.uint64(across * high if across == width else across)):
                                cotangents[to + q] = g_flat[source + q]
                        for q in range(o * pitch + (image * height + high) * width,
                                       o * pitch + (image + 1) * height * width):  # fmt: skip
                            cotangents[np.uint64(q)] = 0
                    for q in range(o * pitch + count * height * width, o * pitch + used):
                        cotangents[np.uint64(q)] = 0
                for j in range(0, inner, _DOTS):
                    _dot(
                        many, cotangents, channel * pitch, pitch, lines, group * inside * lines_of * line,
                        offsets, j, used, gw, (total * out + channel) * inner + j, inner,
                    )  # fmt: skip
