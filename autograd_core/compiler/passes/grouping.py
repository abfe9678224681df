"""Groups of calls that can be made as one: the graph of who must come after whom, with groups as nodes."""

from __future__ import annotations

from autograd_core.compiler.calls import reads, results, written_by
from autograd_core.compiler.plan import Plan


class Groups:
    """A partition of `plan.calls`, at first each call alone; `merge` what may be merged, then ask for `order`.

    A call comes after the calls that made or wrote what it reads, and, if it writes, after those that read it before.
    """

    def __init__(self, plan: Plan) -> None:
        self.of = list(range(len(plan.calls)))  # call -> its group
        self.members: dict[int, list[int]] = {i: [i] for i in self.of}
        self.before: dict[int, int] = {}  # group -> all groups that must come before it, as bits
        self.direct: list[set[int]] = []  # call -> the calls that must come before it
        maker: dict[int, int] = {}
        writer: dict[int, int] = {}  # base -> the last call that wrote to it
        readers: dict[int, list[int]] = {}  # base -> the calls that read it since
        for i, call in enumerate(plan.calls):
            needs: set[int] = set()
            for k in reads(call):
                base = plan.slots[k].base
                needs.update(j for j in (maker.get(k), writer.get(base)) if j is not None)
                readers.setdefault(base, []).append(i)
            for k in written_by(call):
                base = plan.slots[k].base
                needs.update(readers.get(base, ()))
                writer[base], readers[base] = i, []
            for k in results(call):
                maker.setdefault(k, i)
            needs.discard(i)
            self.direct.append(needs)
            bits = 0
            for j in needs:
                bits |= self.before[j] | 1 << j
            self.before[i] = bits
        self.maker = maker

    def may_merge(self, a: int, b: int) -> bool:
        """Whether no third group must come between groups a and b."""
        return a == b or not (self._between(a, b) or self._between(b, a))

    def _between(self, first: int, last: int) -> bool:
        before = self.before[last]
        if not before >> first & 1:
            return False
        others = before & ~(1 << first)
        while others:
            lowest = others & -others
            if self.before[lowest.bit_length() - 1] >> first & 1:
                return True
            others ^= lowest
        return False

    def merge(self, a: int, b: int) -> int:
        """Make one group of two; its number."""
        if a == b:
            return a
        first, second = min(a, b), max(a, b)
        one, two = 1 << first, 1 << second
        before = (self.before[first] | self.before.pop(second)) & ~one & ~two
        self.before[first] = before
        for group, bits in self.before.items():
            if bits & (one | two):
                self.before[group] = (bits & ~two) | one | before
        self.members[first] = sorted(self.members[first] + self.members.pop(second))
        for call in self.members[first]:
            self.of[call] = first
        return first

    def order(self) -> list[list[int]]:
        """The groups, each a list of calls, in an order in which they can be made, as near as can be to the old one."""
        import heapq

        waiting: dict[int, set[int]] = {}
        after: dict[int, set[int]] = {}
        for group, members in self.members.items():
            needs = {self.of[j] for i in members for j in self.direct[i]} - {group}
            waiting[group] = needs
            for other in needs:
                after.setdefault(other, set()).add(group)
        ready = [(self.members[g][-1], g) for g, needs in waiting.items() if not needs]
        heapq.heapify(ready)
        ordered = []
        while ready:
            _, group = heapq.heappop(ready)
            ordered.append(self.members[group])
            for other in after.get(group, ()):
                waiting[other].discard(group)
                if not waiting[other]:
                    heapq.heappush(ready, (self.members[other][-1], other))
        assert len(ordered) == len(self.members), "groups that wait for each other"
        return ordered
