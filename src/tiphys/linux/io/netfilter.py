"""A netlink socket to the kernel's packet filter, for set elements. Belongs to the network namespace of the calling
thread."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator

from tiphys.linux.io.nft import NftError
from tiphys.linux.nft_elements import Element, batch, dump_request, parse_elements, parse_replies

_NETLINK_NETFILTER = 12
_SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 32, 33
_SOL_NETLINK, _NETLINK_CAP_ACK = 270, 10
_RECEIVE_BYTES = 4 << 20
_SEND_BYTES = 8 << 20
# A transaction is one message to the socket; beyond this many elements it is cut in several.
_MAXIMUM_ELEMENTS = 20000


class ElementSocket:
    """Adds, removes and lists elements. Calls block; one at a time."""

    def __init__(self) -> None:
        """Raises OSError."""
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER)
        for option, size in ((_SO_SNDBUFFORCE, _SEND_BYTES), (_SO_RCVBUFFORCE, _RECEIVE_BYTES)):
            self._socket.setsockopt(socket.SOL_SOCKET, option, size)
        # Acknowledgements without a copy of what they acknowledge.
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
        self._socket.bind((0, 0))
        self._sequence = 1

    def change(self, family: str, table: str, removed: Iterable[Element], added: Iterable[Element]) -> None:
        """One transaction (several only for huge changes: then what is added comes first). Raises NftError."""
        removed, added = list(removed), list(added)
        if len(removed) + len(added) <= _MAXIMUM_ELEMENTS:
            self._transact(family, table, removed, added)
            return
        again = {(each.set_name, each.key) for each in added}
        gone = [each for each in removed if (each.set_name, each.key) not in again]
        replaced = {(each.set_name, each.key): each for each in removed if (each.set_name, each.key) in again}
        for start in range(0, len(added), _MAXIMUM_ELEMENTS // 2):
            part = added[start : start + _MAXIMUM_ELEMENTS // 2]
            old = [replaced[each.set_name, each.key] for each in part if (each.set_name, each.key) in replaced]
            self._transact(family, table, old, part)
        for start in range(0, len(gone), _MAXIMUM_ELEMENTS):
            self._transact(family, table, gone[start : start + _MAXIMUM_ELEMENTS], [])

    def _transact(self, family: str, table: str, removed: list[Element], added: list[Element]) -> None:
        if not removed and not added:
            return
        message, last = batch(family, table, removed, added, self._sequence)
        self._sequence = last + 2
        try:
            self._socket.send(message)
            self._wait(last)
        except OSError as error:
            raise NftError(f"netlink: {error}") from error

    def _wait(self, last: int) -> None:
        while True:
            for reply in parse_replies(self._socket.recv(1 << 20)):
                if reply.sequence > last or not reply.sequence:
                    continue  # of a transaction that was given up before
                if reply.error:
                    raise NftError(f"elements: {os.strerror(reply.error)}")
                if reply.sequence == last and reply.error == 0:
                    return

    def elements(self, family: str, table: str, set_name: str) -> Iterator[Element]:
        """All elements of a set. Raises NftError."""
        self._sequence += 1
        sequence = self._sequence
        try:
            self._socket.send(dump_request(family, table, set_name, sequence))
            while True:
                for reply in parse_replies(self._socket.recv(1 << 20)):
                    if reply.sequence != sequence:
                        continue
                    if reply.error:
                        raise NftError(f"elements of {set_name}: {os.strerror(reply.error)}")
                    if reply.is_last:
                        return
                    yield from parse_elements(set_name, reply.payload)
        except OSError as error:
            raise NftError(f"netlink: {error}") from error

    def close(self) -> None:
        self._socket.close()
