"""What is wrong with a single value of a field: ports, ids, addresses, networks, paths. No messages when it is good.

Names are `machinery.names`' matter; the checks of it that run for every pod are remembered here, as the same few values
come again and again. Remembered results are shared and not to be changed.
"""

from __future__ import annotations

import functools
import ipaddress

from tiphys.machinery import names
from tiphys.machinery.bounded_cache import bounded_cache
from tiphys.machinery.digits import is_number

LARGEST_INT32 = 2**31 - 1

NOT_NEGATIVE = "must be greater than or equal to 0"
POSITIVE = "must be greater than zero"
in_range = names.range_message
PORT_RANGE = in_range(1, 65535)
ID_RANGE = in_range(0, LARGEST_INT32)
IP_MESSAGE = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
CIDR_MESSAGE = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"

HOST_BITS = "must not have bits set beyond the prefix length"
ZEROS, ZEROS_IN_CIDR = "must not have leading 0s", "must not have leading 0s in IP or prefix length"
MAPPED, MAPPED_CIDR = "must not be an IPv4-mapped IPv6 address", "must not have an IPv4-mapped IPv6 address"
AMBIGUOUS = (HOST_BITS, ZEROS, ZEROS_IN_CIDR, MAPPED, MAPPED_CIDR)  # what was allowed until 1.36

port_name = functools.lru_cache(maxsize=4096)(names.port_name)
config_key = functools.lru_cache(maxsize=8192)(names.config_map_key)
environment_name = functools.lru_cache(maxsize=8192)(names.env_var_name)
port_number = names.port_number


def port_number_or_name(port: int | str) -> list[str]:
    return port_number(port) if isinstance(port, int) else port_name(port)


def user_or_group_id(number: int) -> list[str]:
    return [] if 0 <= number <= LARGEST_INT32 else [ID_RANGE]


@bounded_cache(16384)
def address_family(text: str) -> int:
    """4 or 6; 0 when the text is no IP address."""
    try:
        return ipaddress.ip_address(text).version if "%" not in text else 0
    except ValueError:
        return 0


def _without_leading_zeros(text: str) -> str:
    return ".".join(part.lstrip("0") or part[-1:] for part in text.split("."))


def is_mapped(text: str) -> bool:
    """Whether an IPv4 address is written as an IPv6 one, which programs understand in different ways."""
    return ":" in text and getattr(ipaddress.ip_address(text), "ipv4_mapped", None) is not None


def ip_address(text: str) -> list[str]:
    """An address that everybody reads alike."""
    if address_family(text):
        return [MAPPED] if is_mapped(text) else []
    return [ZEROS] if address_family(_without_leading_zeros(text)) == 4 else [IP_MESSAGE]


@bounded_cache(4096)
def cidr(text: str) -> list[str]:
    """A network in CIDR notation that everybody reads alike: no bits of a host."""
    address, slash, length = text.partition("/")
    family = address_family(address) or address_family(_without_leading_zeros(address))
    if not (family and slash and is_number(length) and int(length) <= (32 if family == 4 else 128)):
        return [CIDR_MESSAGE]
    if not address_family(address) or str(int(length)) != length:
        return [ZEROS_IN_CIDR]
    if is_mapped(address):
        return [MAPPED_CIDR]
    network = ipaddress.ip_network(text, strict=False)
    return [] if network.network_address == ipaddress.ip_address(address) else [HOST_BITS]


def backsteps(path: str) -> list[str]:
    return ["must not contain '..'"] if ".." in path.split("/") else []


def local_descending_path(path: str) -> list[str]:
    """A path that stays below the directory it is relative to."""
    return (["must be a relative path"] if path.startswith("/") else []) + backsteps(path)


def local_free_path(path: str) -> list[str]:
    """Like `local_descending_path`, and nothing that begins with `..`, which the node keeps for itself."""
    found = local_descending_path(path)
    if path.startswith("..") and not path.startswith("../"):
        found.append("must not start with '..'")
    return found
