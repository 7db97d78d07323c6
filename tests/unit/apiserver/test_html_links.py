from __future__ import annotations

import pytest

from tiphys.apiserver.html_links import rewritten_link, rewritten_page

PROXY = "/api/v1/namespaces/shop/pods/web:80/proxy"


@pytest.mark.parametrize(
    ("link", "rewritten"),
    [
        ("/page?x=1#y", f"{PROXY}/page?x=1#y"),
        ("/", f"{PROXY}/"),
        ("http://10.0.0.5:80/page", f"{PROXY}/page"),
        ("http://elsewhere.example/page", "http://elsewhere.example/page"),
        ("//elsewhere.example/page", "//elsewhere.example/page"),
        ("page", "page"),
        ("#here", "#here"),
        ("mailto:a@example.com", "mailto:a@example.com"),
    ],
)
def test_links(link: str, rewritten: str) -> None:
    assert rewritten_link(link, PROXY, "10.0.0.5:80") == rewritten


def test_only_links_of_elements_change() -> None:
    page = b"""<html><a href="/rewriteme">/not me</a><IMG alt='/no' SRC='/a.png'/>"""
    page += b"""<p title="/no">x</p><a href=/bare>b</a>"""
    assert rewritten_page(page, PROXY, "h:80").decode() == (
        f"""<html><a href="{PROXY}/rewriteme">/not me</a><IMG alt='/no' SRC='{PROXY}/a.png'/>"""
        f"""<p title="/no">x</p><a href="{PROXY}/bare">b</a>"""
    )
