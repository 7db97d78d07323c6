"""The proxy's table in the kernel: takes transactions, and brings whatever is there into the wanted shape.

Chains and sets go as text through nftables' library, elements as netlink messages of our own. A change is said in
three steps, each atomic: new and changed chains (nobody leads to the new ones yet), then all elements at once, then
what nobody leads to any more goes. Blocking calls, from one thread, in that thread's network namespace.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from tiphys.linux.io.netfilter import ElementSocket
from tiphys.linux.io.nft import Nft, NftError, delete_table, open_nft
from tiphys.linux.nft_elements import Element, parse_layout
from tiphys.proxy.changes import ExistingTable, FullTable, RuleTable, TextElement, Transaction, parse_table
from tiphys.proxy.rules import RulesConfig, UdpFlow, base_table

log = logging.getLogger(__name__)


class KernelTable:
    """Raises NftError from every method but `close`."""

    def __init__(self, config: RulesConfig) -> None:
        self._config = config
        self._filter: Nft = open_nft()
        try:
            self._elements = ElementSocket()
        except OSError as error:
            self._filter.close()
            raise NftError(f"netlink: {error}") from error
        self._layouts = {name: parse_layout(definition) for name, definition in base_table(config)[0].items()}

    def check(self) -> None:
        """Whether the packet filter can be used at all."""
        self._filter.run("list tables")

    def apply(self, transaction: Transaction) -> None:
        if transaction.before:
            self._filter.run(transaction.before)
        self._elements.change(
            self._config.family,
            self._config.table,
            map(self._element, transaction.removed),
            map(self._element, transaction.added),
        )
        if transaction.after:
            self._filter.run(transaction.after)

    def _element(self, element: TextElement) -> Element:
        layout = self._layouts[element.set_name]
        return Element(element.set_name, layout.key_bytes(element.key), layout.data_bytes(element.value))

    def bring_to(self, table: RuleTable) -> tuple[UdpFlow, ...]:
        """Make the kernel's table what `table` says, whatever it is now; sets that the kernel fills keep their
        elements."""
        where = f"{self._config.family} {self._config.table}"
        try:
            existing = parse_table(self._filter.run(f"list table {where}"))
        except NftError:
            existing = ExistingTable()
        full = table.full(existing)
        try:
            self._bring(full)
        except NftError as error:
            # It cannot be brought into shape piece by piece: make it anew.
            log.warning("table %s is made anew: %s", where, error)
            full = table.full(ExistingTable())
            delete_table(self._filter, self._config.family, self._config.table)
            self._bring(full)
        return full.udp_flows

    def _bring(self, full: FullTable) -> None:
        self._filter.run(full.before)
        wanted = {(each.set_name, each.key): each for each in map(self._element, full.elements)}
        removed = []
        for found in self._existing():
            key = (found.set_name, found.key)
            if key in wanted and wanted[key].data == found.data:
                del wanted[key]
            else:
                removed.append(found)
        if removed:
            log.info("%d elements of table %s were not as they should be", len(removed), self._config.table)
        self._elements.change(self._config.family, self._config.table, removed, wanted.values())
        if full.after:
            self._filter.run(full.after)

    def _existing(self) -> Iterable[Element]:
        for name in self._layouts:
            yield from list(self._elements.elements(self._config.family, self._config.table, name))

    def remove(self) -> None:
        """Take the table away; none is no error."""
        delete_table(self._filter, self._config.family, self._config.table)

    def close(self) -> None:
        self._elements.close()
        self._filter.close()
