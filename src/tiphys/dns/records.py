"""Which names exist in the cluster's domain and what they say, from Services, EndpointSlices and Pods.

Follows Kubernetes' DNS-based service discovery, version 1.1.0. A name has records by type; names in the domain without
any are NXDOMAIN, names with records of another type only (or with names below them) are NODATA. Sessions with
clients, wire format and forwarding are elsewhere.

One service is worked out at a time (`service_names`) and replaced as a whole, so a change costs what that service
costs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Protocol

from tiphys.client.interface import ObjectKey
from tiphys.kinds.types import core_v1, discovery_v1

SCHEMA_VERSION = "1.1.0"


@dataclass(frozen=True, slots=True, order=True)
class Srv:
    """A service record: the port and the name that has the address."""

    port: int
    target: str
    priority: int = 0
    weight: int = 0


@dataclass(frozen=True, slots=True)
class Records:
    """What one name says. Addresses are text; names are absolute, lower case, without the last dot."""

    a: tuple[str, ...] = ()
    aaaa: tuple[str, ...] = ()
    srv: tuple[Srv, ...] = ()
    ptr: tuple[str, ...] = ()
    cname: str = ""
    txt: str = ""


Names = Mapping[str, Records]


class _Draft:
    """Records of one name while they are gathered."""

    __slots__ = ("addresses", "cname", "ptr", "srv")

    def __init__(self) -> None:
        self.addresses: set[str] = set()
        self.srv: set[Srv] = set()
        self.ptr: set[str] = set()
        self.cname = ""

    def finish(self, total: int) -> Records:
        parsed = sorted((ip_address(each) for each in self.addresses), key=lambda each: (each.version, int(each)))
        weight = max(1, 100 // max(1, total))
        return Records(
            a=tuple(str(each) for each in parsed if isinstance(each, IPv4Address)),
            aaaa=tuple(str(each) for each in parsed if isinstance(each, IPv6Address)),
            srv=tuple(Srv(each.port, each.target, 0, weight) for each in sorted(self.srv)),
            ptr=tuple(sorted(self.ptr)),
            cname=self.cname,
        )


def reverse_name(address: str) -> str:
    """The name under in-addr.arpa or ip6.arpa of an address."""
    return ip_address(address).reverse_pointer.lower()


def endpoint_label(endpoint: discovery_v1.Endpoint, address: str) -> str:
    """The name of an endpoint below its headless service: its hostname, else its address with dashes."""
    return (endpoint.hostname or address.replace(".", "-").replace(":", "-")).lower()


def _ports(service: core_v1.Service) -> Iterator[tuple[str, str, int]]:
    for port in service.spec.ports or ():
        if port.name:
            yield port.name.lower(), (port.protocol or "TCP").lower(), port.port


def service_names(
    service: core_v1.Service, slices: Iterable[discovery_v1.EndpointSlice], domain: str
) -> dict[str, Records]:
    """All names that one service brings about."""
    drafts: dict[str, _Draft] = {}

    def draft(name: str) -> _Draft:
        return drafts.setdefault(name, _Draft())

    base = f"{service.metadata.name}.{service.metadata.namespace}.svc.{domain}".lower()
    spec = service.spec
    if spec.type == "ExternalName":
        external = (spec.externalName or "").rstrip(".").lower()
        if not external:
            return {}
        try:
            draft(base).addresses.add(str(ip_address(external)))
        except ValueError:
            draft(base).cname = external
    elif spec.clusterIP == "None":
        _headless(service, slices, base, draft)
    else:
        for address in spec.clusterIPs or ([spec.clusterIP] if spec.clusterIP else []):
            draft(base).addresses.add(address)
            draft(reverse_name(address)).ptr.add(base)
        if base in drafts:
            for name, protocol, port in _ports(service):
                draft(f"_{name}._{protocol}.{base}").srv.add(Srv(port, base))
    return {name: found.finish(len(found.srv)) for name, found in drafts.items()}


class _Drafts(Protocol):
    def __call__(self, name: str) -> _Draft: ...


def _headless(
    service: core_v1.Service, slices: Iterable[discovery_v1.EndpointSlice], base: str, draft: _Drafts
) -> None:
    """A headless service is its ready endpoints (all of them if it publishes what is not ready)."""
    for slice_ in slices:
        if slice_.addressType not in ("IPv4", "IPv6"):
            continue
        for endpoint in slice_.endpoints or ():
            ready = endpoint.conditions is None or endpoint.conditions.ready is not False
            if not (ready or service.spec.publishNotReadyAddresses):
                continue
            for address in endpoint.addresses:
                name = f"{endpoint_label(endpoint, address)}.{base}"
                draft(base).addresses.add(address)
                draft(name).addresses.add(address)
                if endpoint.hostname:
                    draft(reverse_name(address)).ptr.add(name)
                for port in slice_.ports or ():
                    if port.name and port.port is not None:
                        protocol = (port.protocol or "TCP").lower()
                        draft(f"_{port.name.lower()}._{protocol}.{base}").srv.add(Srv(port.port, name))


@dataclass(slots=True)
class _Entry:
    """What services say about one name, and how many names are below it."""

    by_service: dict[ObjectKey, Records] = field(default_factory=dict)
    merged: Records | None = None
    below: int = 0


class Zone:
    """All names of the cluster's domain and of the reverse domains; answers are looked up here."""

    def __init__(self, domain: str) -> None:
        self.domain = domain.lower().rstrip(".")
        self.serial = 1
        self._entries: dict[str, _Entry] = {}
        self._services: dict[ObjectKey, dict[str, Records]] = {}
        self._pods_suffix = f".pod.{self.domain}"
        self._namespaces: set[str] = set()
        for name in (f"svc.{self.domain}", f"pod.{self.domain}"):
            self._place(name, ObjectKey("", name), Records())
        self._place(f"dns-version.{self.domain}", ObjectKey("", "dns-version"), Records(txt=SCHEMA_VERSION))

    def set_service(self, key: ObjectKey, names: dict[str, Records] | None) -> bool:
        """Replace what a service brings about; whether anything changed."""
        old = self._services.pop(key, {})
        if names:
            self._services[key] = names
        if old == (names or {}):
            return False
        for name in old:
            if not names or name not in names:
                self._unplace(name, key)
        for name, records in (names or {}).items():
            if old.get(name) != records:
                self._place(name, key, records)
        self.serial = self.serial % 0xFFFFFFFF + 1
        return True

    def set_namespaces(self, namespaces: Iterable[str]) -> None:
        """The namespaces that exist: only in them pods have names."""
        self._namespaces = set(namespaces)

    def _place(self, name: str, key: ObjectKey, records: Records) -> None:
        entry = self._entries.get(name)
        if entry is None:
            entry = self._entries[name] = _Entry()
        if not entry.by_service:
            self._count(name, 1)
        entry.by_service[key] = records
        entry.merged = None

    def _unplace(self, name: str, key: ObjectKey) -> None:
        entry = self._entries[name]
        del entry.by_service[key]
        entry.merged = None
        if not entry.by_service:
            self._count(name, -1)
            if not entry.below:
                del self._entries[name]

    def _count(self, name: str, change: int) -> None:
        """Names above one that exists do exist, without records."""
        parent = name.partition(".")[2]
        while parent and parent != self.domain and self._is_ours(parent):
            entry = self._entries.setdefault(parent, _Entry())
            entry.below += change
            if not entry.below and not entry.by_service:
                del self._entries[parent]
            parent = parent.partition(".")[2]

    def _is_ours(self, name: str) -> bool:
        return name.endswith(f".{self.domain}")

    def contains(self, name: str) -> bool:
        """Whether the name is the cluster's business (lower case, without the last dot); a reverse name is so only
        if known."""
        return name == self.domain or self._is_ours(name) or name in self._entries

    def lookup(self, name: str) -> Records | None:
        """What the name says; None when there is no such name (NXDOMAIN)."""
        entry = self._entries.get(name)
        if entry is not None:
            if entry.merged is None:
                entry.merged = _merge(entry.by_service)
            return entry.merged
        if name == self.domain:
            return Records()
        if name.endswith(self._pods_suffix):
            return self._pod(name[: -len(self._pods_suffix)])
        return None

    def _pod(self, left: str) -> Records | None:
        """`1-2-3-4.namespace` says the address that is in the name, whether such a pod lives or not."""
        label, _, namespace = left.rpartition(".")
        if namespace not in self._namespaces:
            return None
        if not label:
            return Records()
        try:
            return Records(a=(str(IPv4Address(label.replace("-", "."))),))
        except ValueError:
            pass
        try:
            return Records(aaaa=(str(IPv6Address(label.replace("-", ":"))),))
        except ValueError:
            return None


def _merge(by_service: Mapping[ObjectKey, Records]) -> Records:
    if len(by_service) == 1:
        (only,) = by_service.values()
        return only
    all_records = [records for _, records in sorted(by_service.items())]
    if not all_records:
        return Records()

    def union(name: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(value for records in all_records for value in getattr(records, name)))

    return Records(
        a=union("a"),
        aaaa=union("aaaa"),
        srv=tuple(dict.fromkeys(each for records in all_records for each in records.srv)),
        ptr=union("ptr"),
        cname=next((records.cname for records in all_records if records.cname), ""),
        txt=next((records.txt for records in all_records if records.txt), ""),
    )
