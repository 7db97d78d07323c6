"""Queries and answers as bytes; dnspython is the judge."""

from __future__ import annotations

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiphys.client.interface import ObjectKey
from tiphys.dns.forwarded import AnswerCache, belongs, ttl_offsets
from tiphys.dns.records import Records, Srv, Zone
from tiphys.dns.upstreams import Upstream, parse_upstreams
from tiphys.dns.wire import Answerer, failure, parse_query

BASE = "web.shop.svc.cluster.local"


def answerer(many: int = 0) -> Answerer:
    zone = Zone("cluster.local")
    zone.set_service(
        ObjectKey("shop", "web"),
        {
            BASE: Records(a=("10.96.0.9",)),
            f"_http._tcp.{BASE}": Records(srv=(Srv(80, BASE, 0, 100),)),
            "9.0.96.10.in-addr.arpa": Records(ptr=(BASE,)),
            f"many.{BASE}": Records(a=tuple(f"10.244.{each // 250}.{each % 250}" for each in range(many))),
        },
    )
    return Answerer(zone, ttl_seconds=5, negative_ttl_seconds=7)


def ask(of: Answerer, name: str, kind: str, **options: object) -> dns.message.Message:
    over_tcp = bool(options.pop("over_tcp", False))
    message = dns.message.make_query(name, kind, **options)  # type: ignore[arg-type]
    query = parse_query(message.to_wire())
    assert query is not None
    response = dns.message.from_wire(of.answer(query, over_tcp=over_tcp))
    assert response.id == message.id
    assert response.question == message.question
    assert response.flags & dns.flags.QR and response.flags & dns.flags.AA
    return response


def texts(response: dns.message.Message) -> list[str]:
    return [rrset.to_text() for rrset in response.answer]


def test_answers_of_each_type() -> None:
    of = answerer()
    assert texts(ask(of, BASE, "A")) == [f"{BASE}. 5 IN A 10.96.0.9"]
    service = ask(of, f"_http._tcp.{BASE}", "SRV")
    assert texts(service) == [f"_http._tcp.{BASE}. 5 IN SRV 0 100 80 {BASE}."]
    assert [each.to_text() for each in service.additional] == [f"{BASE}. 5 IN A 10.96.0.9"]
    assert texts(ask(of, "9.0.96.10.in-addr.arpa", "PTR")) == [f"9.0.96.10.in-addr.arpa. 5 IN PTR {BASE}."]
    assert texts(ask(of, "dns-version.cluster.local", "TXT")) == ['dns-version.cluster.local. 5 IN TXT "1.1.0"']
    assert [each.rdtype for each in ask(of, "cluster.local", "SOA").answer] == [dns.rdatatype.SOA]
    assert texts(ask(of, BASE, "ANY")) == [f"{BASE}. 5 IN A 10.96.0.9"]


def test_no_such_name_and_no_such_type_come_with_the_authority() -> None:
    of = answerer()
    for name, kind, code in ((f"no.{BASE}", "A", dns.rcode.NXDOMAIN), (BASE, "AAAA", dns.rcode.NOERROR)):
        response = ask(of, name, kind)
        assert (response.rcode(), response.answer) == (code, [])
        (authority,) = response.authority
        assert (authority.name.to_text(), authority.ttl, authority[0].minimum) == ("cluster.local.", 7, 7)


def test_the_question_comes_back_in_the_clients_case() -> None:
    response = ask(answerer(), "WeB.Shop.svc.CLUSTER.local", "A")
    assert response.question[0].name.to_text() == "WeB.Shop.svc.CLUSTER.local."
    assert response.answer[0].name.to_text().lower() == f"{BASE}."


@pytest.mark.parametrize(("options", "fits"), [({}, False), ({"use_edns": 0, "payload": 1232}, True)])
def test_what_is_too_long_for_the_client_is_cut(options: dict[str, int], fits: bool) -> None:
    of = answerer(many=50)
    response = ask(of, f"many.{BASE}", "A", **options)
    assert bool(response.flags & dns.flags.TC) is not fits
    assert len(response.answer[0]) == 50 if fits else response.answer == []
    assert len(ask(of, f"many.{BASE}", "A", over_tcp=True).answer[0]) == 50


def test_the_first_address_changes() -> None:
    of = answerer(many=3)
    firsts = {ask(of, f"many.{BASE}", "A").answer[0][0].to_text() for _ in range(6)}
    # dnspython keeps no order within a set of records: look at the bytes.
    query = parse_query(dns.message.make_query(f"many.{BASE}", "A").to_wire())
    assert query is not None
    assert len({of.answer(query)[-48:] for _ in range(6)}) == 3
    assert firsts


def test_changes_are_seen_at_once() -> None:
    of = answerer()
    assert texts(ask(of, BASE, "A")) != []
    of.zone.set_service(ObjectKey("shop", "web"), {BASE: Records(a=("10.96.0.10",))})
    assert texts(ask(of, BASE, "A")) == [f"{BASE}. 5 IN A 10.96.0.10"]
    of.zone.set_service(ObjectKey("shop", "web"), None)
    assert ask(of, BASE, "A").rcode() == dns.rcode.NXDOMAIN


def test_unusual_messages_are_left_to_others() -> None:
    plain = dns.message.make_query("a.example", "A").to_wire()
    assert parse_query(plain) is not None
    assert parse_query(plain[:-1]) is None
    assert parse_query(plain + b"x") is None
    assert parse_query(dns.message.make_query("a.example", "A", rdclass="CH").to_wire()) is None
    assert parse_query(dns.message.make_response(dns.message.make_query("a.example", "A")).to_wire()) is None
    assert parse_query(dns.message.make_query("a.example", "A", use_edns=1).to_wire()) is None
    assert failure(b"short", 2) == b""
    assert dns.message.from_wire(failure(plain, 2)).rcode() == dns.rcode.SERVFAIL


@given(st.binary(max_size=80))
def test_any_bytes_are_parsed_or_refused(message: bytes) -> None:
    query = parse_query(message)
    if query is not None:
        dns.message.from_wire(answerer().answer(query))
    ttl_offsets(message)


LABEL = st.from_regex(r"[A-Za-z0-9_-]{1,20}", fullmatch=True)


@given(st.lists(LABEL, max_size=6), st.sampled_from(["A", "AAAA", "SRV", "TXT"]), st.booleans())
def test_queries_are_read_as_dnspython_writes_them(labels: list[str], kind: str, edns: bool) -> None:
    message = dns.message.make_query(".".join(labels) + ".", kind, use_edns=0 if edns else False, payload=900)
    query = parse_query(message.to_wire())
    assert query is not None
    assert query.name == ".".join(labels).lower()
    assert (query.identifier, query.type, query.has_edns) == (message.id, dns.rdatatype.from_text(kind), edns)
    assert query.udp_length == (900 if edns else 512)


def test_foreign_answers_are_kept_and_grow_older() -> None:
    query = dns.message.make_query("example.org", "A")
    answer = dns.message.make_response(query)
    answer.answer.append(dns.rrset.from_text("example.org.", 20, "IN", "A", "192.0.2.1"))
    wire = answer.to_wire()
    cache = AnswerCache(maximum_entries=1)
    cache.put(query.to_wire(), wire, now=100.0)
    again = b"\x12\x34" + query.to_wire()[2:]
    kept = cache.get(again, now=107.5)
    assert kept is not None
    found = dns.message.from_wire(kept)
    assert (found.id, found.answer[0].ttl, found.answer[0][0].to_text()) == (0x1234, 13, "192.0.2.1")
    assert cache.get(again, now=120.0) is None
    assert len(cache) == 0
    assert belongs(query.to_wire(), wire)
    assert not belongs(again, wire)
    assert not belongs(dns.message.make_query("example.com", "A", id=query.id).to_wire(), wire)


def test_upstreams_leave_out_ourselves() -> None:
    text = "search x\nnameserver 127.0.0.53\nnameserver 10.201.0.10 # us\nnameserver 192.0.2.1\nnameserver 192.0.2.1\n"
    assert parse_upstreams(text, {"10.201.0.10"}, loopback=False) == (Upstream("192.0.2.1"),)
    assert parse_upstreams(text, (), loopback=True) == (
        Upstream("127.0.0.53"),
        Upstream("10.201.0.10"),
        Upstream("192.0.2.1"),
    )
