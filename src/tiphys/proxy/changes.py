"""From what services need to what the kernel is told: the smallest transaction between the applied rules and the
wanted ones.

A chain or set is there while a service names it; of those that several name, all say the same. An address and port
may be wanted by several (external addresses, a node port reused in a race): the first service by namespace and name
has it until it gives it up. A transaction is text for nft, atomic as a whole; one for a single service names only
that service's chains and elements. Whoever sends them must not skip one: after a failure, `full` says everything anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from tiphys.client.interface import ObjectKey
from tiphys.proxy.rules import LAYOUT, RulesConfig, ServiceRules, UdpFlow, base_elements, base_table

K = TypeVar("K")
V = TypeVar("V")

_BASE_OWNER = ObjectKey("", "")

# Maps that decide about the same packets: a key may be in one of them only.
_SLOTS = {
    "service_ips": "ips",
    "no_endpoint_services": "ips",
    "service_nodeports": "nodeports",
    "no_endpoint_nodeports": "nodeports",
}

Slot = tuple[str, str]
Element = tuple[str, str]
"""(map, value)"""


class TextElement(NamedTuple):
    """An element of a set or map; `value` is "" in a set."""

    set_name: str
    key: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """`before` and `after` are text for nft: what must be there before the elements change (all `removed` and
    `added` at once), and what may go after. `udp_flows` are those whose connection-tracking entries may be stale
    now."""

    before: str = ""
    removed: tuple[TextElement, ...] = ()
    added: tuple[TextElement, ...] = ()
    after: str = ""
    udp_flows: tuple[UdpFlow, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FullTable:
    """The whole table: like a transaction, but `elements` are all that there should be."""

    before: str
    elements: tuple[TextElement, ...]
    after: str
    udp_flows: tuple[UdpFlow, ...]


class RuleTable:
    """The rules of all services: wanted, and as last said to the kernel."""

    def __init__(self, config: RulesConfig) -> None:
        self.config = config
        self._services: dict[ObjectKey, ServiceRules] = {}
        self._claims: dict[Slot, dict[ObjectKey, Element]] = {}
        self._chains: dict[str, tuple[str, ...]] = {}
        self._chain_users: Counter[str] = Counter()
        self._sets: dict[str, str] = {}
        self._applied_chains: dict[str, tuple[str, ...]] = {}
        self._applied_sets: dict[str, str] = {}
        self._applied_elements: dict[Slot, Element] = {}
        self._touched_chains: set[str] = set()
        self._touched_sets: set[str] = set()
        self._touched_slots: set[Slot] = set()
        self._udp_flows: list[UdpFlow] = []
        base = ServiceRules(elements=base_elements(config))
        self._claim(_BASE_OWNER, base)

    def __len__(self) -> int:
        return len(self._services)

    def services(self) -> Mapping[ObjectKey, ServiceRules]:
        return self._services

    def update(self, key: ObjectKey, rules: ServiceRules | None) -> None:
        """A service wants these rules from now on; None when it is gone."""
        old = self._services.get(key)
        if old == rules or (old is None and rules is None):
            return
        if old is not None:
            self._release(key, old)
            del self._services[key]
        if rules is not None:
            self._services[key] = rules
            self._claim(key, rules)
        known = {(flow.address, flow.port): flow for flow in old.udp_flows} if old else {}
        for flow in rules.udp_flows if rules else ():
            if known.pop((flow.address, flow.port), None) != flow:
                self._udp_flows.append(flow)
        self._udp_flows += [UdpFlow(address=flow.address, port=flow.port, targets=()) for flow in known.values()]

    def _claim(self, key: ObjectKey, rules: ServiceRules) -> None:
        self._chains.update(rules.chains)
        self._chain_users.update(rules.chains.keys())
        self._sets.update(rules.sets)
        self._touched_chains.update(rules.chains)
        self._touched_sets.update(rules.sets)
        for (name, element), value in rules.elements.items():
            slot = (_SLOTS.get(name, name), element)
            self._claims.setdefault(slot, {})[key] = (name, value)
            self._touched_slots.add(slot)

    def _release(self, key: ObjectKey, rules: ServiceRules) -> None:
        self._chain_users.subtract(rules.chains.keys())
        for chain in rules.chains:
            if not self._chain_users[chain]:
                del self._chains[chain], self._chain_users[chain]
        for name in rules.sets:
            self._sets.pop(name, None)
        self._touched_chains.update(rules.chains)
        self._touched_sets.update(rules.sets)
        for name, element in rules.elements:
            slot = (_SLOTS.get(name, name), element)
            claims = self._claims.get(slot)
            if claims is not None:
                claims.pop(key, None)
                if not claims:
                    del self._claims[slot]
            self._touched_slots.add(slot)

    def _wanted(self, slot: Slot) -> Element | None:
        claims = self._claims.get(slot)
        return claims[min(claims)] if claims else None

    def take(self) -> Transaction | None:
        """The change since the last `take` or `full`; None when there is none."""
        removed, added = self._element_changes()
        chains = [
            name for name in sorted(self._touched_chains) if self._chains.get(name) != self._applied_chains.get(name)
        ]
        sets = [name for name in sorted(self._touched_sets) if self._sets.get(name) != self._applied_sets.get(name)]
        kept = [name for name in chains if name in self._chains]
        where = f"{self.config.family} {self.config.table}"
        before = [_set_line(where, name, self._sets[name]) for name in sets if name in self._sets]
        before += [f"{'flush' if name in self._applied_chains else 'add'} chain {where} {name}" for name in kept]
        before += [f"add rule {where} {name} {rule}" for name in kept for rule in self._chains[name]]
        after = _removal(
            where, [name for name in chains if name not in self._chains], sorted(set(sets) - self._sets.keys())
        )
        flows = self._settle()
        if not (before or removed or added or after):
            return None
        return Transaction(
            before=_text(before), removed=tuple(removed), added=tuple(added), after=_text(after), udp_flows=flows
        )

    def _element_changes(self) -> tuple[list[TextElement], list[TextElement]]:
        removed, added = [], []
        for slot in sorted(self._touched_slots):
            wanted, applied = self._wanted(slot), self._applied_elements.get(slot)
            if wanted == applied:
                continue
            if applied is not None:
                removed.append(TextElement(applied[0], slot[1], applied[1]))
            if wanted is not None:
                added.append(TextElement(wanted[0], slot[1], wanted[1]))
        return removed, added

    def _settle(self) -> tuple[UdpFlow, ...]:
        """What is wanted counts as applied now."""
        for name in self._touched_chains:
            _follow(self._applied_chains, name, self._chains.get(name))
        for name in self._touched_sets:
            _follow(self._applied_sets, name, self._sets.get(name))
        for slot in self._touched_slots:
            _follow(self._applied_elements, slot, self._wanted(slot))
        self._touched_chains.clear()
        self._touched_sets.clear()
        self._touched_slots.clear()
        flows, self._udp_flows = tuple(self._udp_flows), []
        return flows

    def full(self, existing: ExistingTable) -> FullTable:
        """Everything, given what the kernel's table holds now; sets that the kernel fills keep what is in them."""
        where = f"{self.config.family} {self.config.table}"
        base_sets, base_chains = base_table(self.config)
        before = [f"add table {where}"]
        if existing.chains and LAYOUT not in existing.chains:
            # Another version's table: its maps may be of another type.
            before += [f"delete table {where}", f"add table {where}"]
            existing = ExistingTable()
        for name, definition in (*base_sets.items(), *sorted(self._sets.items())):
            if name not in existing.sets:
                before.append(_set_line(where, name, definition))
        chains = {name: _base_rules(body) for name, body in base_chains.items()} | dict(sorted(self._chains.items()))
        before += [_base_chain_line(where, name, body) for name, body in base_chains.items()]
        before += [f"add chain {where} {name}" for name in sorted(self._chains)]
        before += [f"flush chain {where} {name}" for name in sorted(existing.chains & chains.keys())]
        before += [f"add rule {where} {name} {rule}" for name, rules in chains.items() for rule in rules]
        stray_sets = existing.sets - base_sets.keys() - self._sets.keys()
        after = _removal(where, sorted(existing.chains - chains.keys()), sorted(stray_sets))
        self._touched_chains.update(self._chains, self._applied_chains)
        self._touched_sets.update(self._sets, self._applied_sets)
        self._touched_slots.update(self._claims, self._applied_elements)
        self._settle()
        elements = sorted(TextElement(name, slot[1], value) for slot, (name, value) in self._applied_elements.items())
        flows = [flow for rules in self._services.values() for flow in rules.udp_flows]
        return FullTable(before=_text(before), elements=tuple(elements), after=_text(after), udp_flows=tuple(flows))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExistingTable:
    """The names that the kernel's table of ours holds: chains, and sets with maps."""

    chains: frozenset[str] = frozenset()
    sets: frozenset[str] = frozenset()


def parse_table(listing: str) -> ExistingTable:
    """Reads `nft list table` (without elements)."""
    chains, sets = set(), set()
    for line in listing.splitlines():
        words = line.split()
        if len(words) == 3 and words[2] == "{":
            if words[0] == "chain":
                chains.add(words[1])
            elif words[0] in ("set", "map"):
                sets.add(words[1])
    return ExistingTable(chains=frozenset(chains), sets=frozenset(sets))


def _follow(applied: dict[K, V], name: K, value: V | None) -> None:
    if value is None:
        applied.pop(name, None)
    else:
        applied[name] = value


def _set_line(where: str, name: str, definition: str) -> str:
    kind, _, rest = definition.partition(f" {name} ")
    return f"add {kind} {where} {name} {rest}"


def _base_chain_line(where: str, name: str, body: str) -> str:
    first = body.partition("\n")[0]
    return f"add chain {where} {name} {{ {first} }}" if first.startswith("type ") else f"add chain {where} {name}"


def _base_rules(body: str) -> tuple[str, ...]:
    return tuple(line for line in body.splitlines() if line and not line.startswith("type "))


def _removal(where: str, chains: list[str], sets: list[str]) -> list[str]:
    """Rules go before the chains and sets that they name."""
    lines = [f"flush chain {where} {name}" for name in chains]
    lines += [f"delete chain {where} {name}" for name in chains]
    return lines + [f"delete set {where} {name}" for name in sets]


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
