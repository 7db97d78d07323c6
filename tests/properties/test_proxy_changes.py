"""Transactions for single changes lead to the same table as saying everything at once."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from tiphys.client.interface import ObjectKey
from tiphys.kinds.types import core_v1, discovery_v1, meta_v1
from tiphys.linux.nft_elements import parse_layout
from tiphys.proxy.changes import ExistingTable, FullTable, RuleTable, TextElement, Transaction
from tiphys.proxy.rules import RulesConfig, base_table, service_rules

CONFIG = RulesConfig(node_name="here", node_addresses=("10.201.0.10",), pod_cidr="10.244.0.0/16")


@dataclass
class Kernel:
    """Understands as much of nft's language as transactions use, as strictly as the kernel: what is added must not
    be there, what is removed must, and nothing is deleted that something leads to."""

    chains: dict[str, list[str]] = field(default_factory=dict)
    sets: set[str] = field(default_factory=set)
    elements: dict[tuple[str, str], str] = field(default_factory=dict)

    def run(self, text: str) -> None:
        for line in text.splitlines():
            words = line.split()
            verb, kind = words[:2]
            name = words[4] if len(words) > 4 else ""
            if kind == "table":
                continue
            if (verb, kind) == ("add", "chain"):
                self.chains.setdefault(name, [])
            elif (verb, kind) == ("flush", "chain"):
                self.chains[name] = []
            elif (verb, kind) == ("add", "rule"):
                self._check(words[5:])
                self.chains[name].append(" ".join(words[5:]))
            elif (verb, kind) == ("delete", "chain"):
                assert not self.chains.pop(name)
                assert not any(name in value.split() for value in self.elements.values())
                assert not any(name in rule.split() for rules in self.chains.values() for rule in rules)
            elif verb == "add":
                assert name not in self.sets
                self.sets.add(name)
            else:
                assert (verb, kind) == ("delete", "set"), line
                self.sets.remove(name)
                assert not any(f"@{name}" in rule.split() for rules in self.chains.values() for rule in rules)

    def _check(self, words: list[str]) -> None:
        for before, word in itertools.pairwise(words):
            if before in ("goto", "jump"):
                assert word.rstrip(",") in self.chains
            if word.startswith("@"):
                assert word[1:] in self.sets

    def apply(self, change: Transaction) -> None:
        self.run(change.before)
        for element in change.removed:
            assert self.elements.pop((element.set_name, element.key)) == element.value
        for element in change.added:
            self._add(element)
        self.run(change.after)

    def bring_to(self, full: FullTable) -> None:
        self.run(full.before)
        self.elements = {}
        for element in full.elements:
            self._add(element)
        self.run(full.after)

    def _add(self, element: TextElement) -> None:
        assert element.set_name in self.sets
        assert (element.set_name, element.key) not in self.elements
        layout = parse_layout(base_table(CONFIG)[0][element.set_name])
        layout.key_bytes(element.key)
        layout.data_bytes(element.value)
        if element.value.startswith("goto"):
            assert element.value.split()[1] in self.chains
        self.elements[element.set_name, element.key] = element.value

    def existing(self) -> ExistingTable:
        return ExistingTable(chains=frozenset(self.chains), sets=frozenset(self.sets))


@st.composite
def services(draw: st.DrawFn) -> core_v1.Service:
    protocols = draw(st.lists(st.sampled_from(["TCP", "UDP", "SCTP"]), min_size=1, max_size=2, unique=True))
    spec = core_v1.ServiceSpec(
        type=draw(st.sampled_from(["ClusterIP", "NodePort", "ExternalName"])),
        clusterIP=draw(st.sampled_from(["None", "10.96.0.1", "10.96.0.2"])),
        externalIPs=draw(st.sampled_from([None, ["192.0.2.1"]])),
        internalTrafficPolicy=draw(st.sampled_from([None, "Local"])),
        externalTrafficPolicy=draw(st.sampled_from([None, "Local"])),
        sessionAffinity=draw(st.sampled_from([None, "ClientIP"])),
        ports=[
            core_v1.ServicePort(
                name=each.lower(), port=80, protocol=each, nodePort=draw(st.sampled_from([None, 30080]))
            )
            for each in protocols
        ],
    )
    return core_v1.Service(metadata=meta_v1.ObjectMeta(name="web", namespace="shop"), spec=spec)


@st.composite
def slices(draw: st.DrawFn) -> discovery_v1.EndpointSlice:
    chosen = draw(st.lists(st.tuples(st.integers(1, 4), st.booleans(), st.booleans()), max_size=4))
    return discovery_v1.EndpointSlice(
        addressType="IPv4",
        endpoints=[
            discovery_v1.Endpoint(
                addresses=[f"10.244.0.{number}"],
                nodeName="here" if local else "there",
                conditions=discovery_v1.EndpointConditions(ready=ready),
            )
            for number, local, ready in chosen
        ],
        ports=[
            discovery_v1.EndpointPort(name=name, port=8080, protocol=name.upper()) for name in ("tcp", "udp", "sctp")
        ],
    )


STEPS = st.lists(
    st.tuples(st.sampled_from("abc"), st.none() | st.tuples(services(), st.lists(slices(), max_size=2)), st.booleans()),
    max_size=12,
)


@settings(max_examples=150)
@given(STEPS, STEPS)
def test_changes_lead_where_everything_at_once_leads(before: list, after: list) -> None:  # type: ignore[type-arg]
    table, kernel = RuleTable(CONFIG), Kernel()

    def play(steps: list) -> None:  # type: ignore[type-arg]
        for name, wanted, send in steps:
            key = ObjectKey("shop", name)
            if wanted is None:
                table.update(key, None)
            else:
                service, service_slices = wanted
                service.metadata.name = name
                table.update(key, service_rules(service, service_slices, CONFIG))
            if send and (change := table.take()) is not None:
                kernel.apply(change)

    for name, wanted, _ in before:
        play([(name, wanted, False)])
    kernel.bring_to(table.full(kernel.existing()))
    play(after)
    if (change := table.take()) is not None:
        kernel.apply(change)
    assert table.take() is None

    anew, fresh = RuleTable(CONFIG), Kernel()
    for key, rules in table.services().items():
        anew.update(key, rules)
    fresh.bring_to(anew.full(ExistingTable()))
    assert kernel == fresh
    # A restarted process finds this table and leaves it as it is.
    anew.full(ExistingTable())
    kernel.bring_to(anew.full(kernel.existing()))
    assert kernel == fresh
