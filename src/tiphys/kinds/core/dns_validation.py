"""Whether a pod's DNS settings and host aliases are well formed."""

from __future__ import annotations

import functools

from tiphys.kinds.object_meta import subdomain_name
from tiphys.kinds.types.core_v1 import HostAlias, PodDNSConfig, PodSpec
from tiphys.kinds.value_findings import ip_address
from tiphys.machinery import names
from tiphys.machinery.field_errors import FieldError, Path, invalid, not_supported, required

POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
NAMESERVERS_LIMIT = 3
SEARCHES_LIMIT = 32
SEARCHES_LIMIT_CHARACTERS = 2048

search_domain = functools.lru_cache(maxsize=1024)(names.dns1123_subdomain_with_underscore)


def validate_dns(spec: PodSpec, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    if spec.dnsPolicy not in POLICIES:
        at = path.child("dnsPolicy")
        found.append(not_supported(at, spec.dnsPolicy, POLICIES) if spec.dnsPolicy else required(at))
    elif spec.dnsPolicy == "None":
        at = path.child("dnsConfig")
        if spec.dnsConfig is None:
            found.append(required(at, "must provide `dnsConfig` when `dnsPolicy` is None"))
        elif not spec.dnsConfig.nameservers:
            detail = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            found.append(required(at.child("nameservers"), detail))
    if spec.dnsConfig is not None:
        found += _config_findings(spec.dnsConfig, path.child("dnsConfig"))
    return found


def _config_findings(config: PodDNSConfig, path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    servers, searches = config.nameservers or [], config.searches or []
    if len(servers) > NAMESERVERS_LIMIT:
        detail = f"must not have more than {NAMESERVERS_LIMIT} nameservers"
        found.append(invalid(path.child("nameservers"), servers, detail))
    for position, server in enumerate(servers):
        found += [invalid(path.child("nameservers").index(position), server, text) for text in ip_address(server)]
    if len(searches) > SEARCHES_LIMIT:
        detail = f"must not have more than {SEARCHES_LIMIT} search paths"
        found.append(invalid(path.child("searches"), searches, detail))
    if len(" ".join(searches)) > SEARCHES_LIMIT_CHARACTERS:
        detail = f"must not have more than {SEARCHES_LIMIT_CHARACTERS} characters (including spaces) in the search list"
        found.append(invalid(path.child("searches"), searches, detail))
    for position, search in enumerate(searches):
        if search == ".":
            continue
        texts = search_domain(search.removesuffix("."))
        found += [invalid(path.child("searches").index(position), search, text) for text in texts]
    for position, option in enumerate(config.options or ()):
        if not option.name:
            found.append(required(path.child("options").index(position), "must not be empty"))
    return found


def validate_host_aliases(aliases: list[HostAlias], path: Path) -> list[FieldError]:
    found: list[FieldError] = []
    for position, alias in enumerate(aliases):
        at = path.index(position)
        found += [invalid(at.child("ip"), alias.ip, text) for text in ip_address(alias.ip)]
        for place, hostname in enumerate(alias.hostnames or ()):
            found += [invalid(at.child("hostnames").index(place), hostname, t) for t in subdomain_name(hostname)]
    return found
