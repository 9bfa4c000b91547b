import pytest

from aquila_jax.dmu.clean.sourcing import listed


def test_names_hosts_and_subdomains():
    assert listed("WuDao", "x.jsonl:1", ("wudao",)) == "wudao"
    assert listed("", "https://news.Bad.com/a?b", ("bad.com",)) == "bad.com"
    assert listed("https://bad.com/x", "", ("bad.com",)) == "bad.com"
    assert listed("", "https://notbad.com/a", ("bad.com",)) == ""
    assert listed("bad.com.org", "", ("bad.com",)) == ""
    assert listed("a", "b", ()) == ""


@pytest.mark.parametrize("address", ["http://[bad", "http://exa℀mple.com", "http://[::bad.com/"])
def test_an_address_that_is_none_has_no_host(address):
    assert listed(address, address, ("bad.com",)) == ""
    assert listed(address, "https://bad.com/x", ("bad.com",)) == "bad.com"
