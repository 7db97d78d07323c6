"""The queries that the fast way leaves alone, and answers that are put together from several: dnspython's work.

An ExternalName service answers with a CNAME and, as resolvers expect, with what that name says.
"""

from __future__ import annotations

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from tiphys.dns.wire import FORMERR, MAXIMUM_UDP_LENGTH, NOTIMP, PLAIN_UDP_LENGTH, REFUSED, Query, failure


def read_unusual(message: bytes) -> Query | bytes:
    """The one question of class IN as a `Query`, or the refusal to answer with (b"" for silence)."""
    try:
        parsed = dns.message.from_wire(message, ignore_trailing=True)
    except dns.exception.DNSException:
        return failure(message, FORMERR)
    if parsed.flags & dns.flags.QR:
        return b""
    if parsed.opcode() != dns.opcode.QUERY:
        return failure(message, NOTIMP)
    if len(parsed.question) != 1:
        return failure(message, FORMERR)
    if parsed.edns > 0:
        answer = dns.message.make_response(parsed)
        answer.set_rcode(dns.rcode.BADVERS)
        return answer.to_wire()
    question = parsed.question[0]
    if question.rdclass != dns.rdataclass.IN:
        return failure(message, REFUSED)
    name = question.name.to_text(omit_final_dot=True).lower()
    return Query(
        identifier=parsed.id,
        recursion_desired=bool(parsed.flags & dns.flags.RD),
        name="" if name == "@" else name,
        type=int(question.rdtype),
        question=(question.name.to_wire() or b"") + int(question.rdtype).to_bytes(2, "big") + b"\0\1",
        udp_length=min(max(PLAIN_UDP_LENGTH, parsed.payload), MAXIMUM_UDP_LENGTH),
        has_edns=parsed.edns >= 0,
    )


def question_for(name: str, kind: int) -> bytes:
    """A query message that asks for the name that a CNAME leads to."""
    return dns.message.make_query(
        name + ".", dns.rdatatype.RdataType.make(kind), use_edns=0, payload=MAXIMUM_UDP_LENGTH
    ).to_wire()


def followed(query: Query, first: str, ttl_seconds: int, answer: bytes, *, over_tcp: bool) -> bytes:
    """The answer to a query whose name leads to `first` by CNAME, given the answer to the question for `first`."""
    response = dns.message.Message(query.identifier)
    response.flags = dns.flags.QR | dns.flags.AA | dns.flags.RA | (dns.flags.RD if query.recursion_desired else 0)
    owner = dns.name.from_text(query.name)
    response.question = [dns.rrset.RRset(owner, dns.rdataclass.IN, dns.rdatatype.RdataType.make(query.type))]
    response.answer = [dns.rrset.from_text(owner, ttl_seconds, "IN", "CNAME", first + ".")]
    try:
        found = dns.message.from_wire(answer, ignore_trailing=True)
        response.answer += found.answer
        response.set_rcode(found.rcode() if found.rcode() != dns.rcode.NXDOMAIN else dns.rcode.NOERROR)
    except dns.exception.DNSException:
        response.set_rcode(dns.rcode.SERVFAIL)
    if query.has_edns:
        response.use_edns(0, payload=MAXIMUM_UDP_LENGTH)
    limit = 65535 if over_tcp else query.udp_length
    try:
        return response.to_wire(max_size=limit)
    except dns.exception.TooBig:
        response.answer = []
        response.flags |= dns.flags.TC
        return response.to_wire(max_size=limit)
