import random
import re

import pytest

from aquila_jax.dmu.clean import privacy
from aquila_jax.dmu.clean.settings import Settings

ALL = Settings().private


def test_check_digits_of_the_standards():
    # GB 11643-1999 gives 11010519491231002X as its example; 4111 1111 1111 1111 is Luhn-valid.
    assert privacy.is_identity("11010519491231002X")
    assert not privacy.is_identity("110105194912310021")
    assert not privacy.is_identity("110105194913310020")
    assert privacy.is_card("4111 1111 1111 1111")
    assert not privacy.is_card("4111 1111 1111 1112")
    assert not privacy.is_card("0000 0000 0000 0000")


@pytest.mark.parametrize(
    "kind, text, secret",
    [
        ("email", "write to jane.doe+x@mail.example.co.uk.", "jane.doe"),
        ("email", "邮箱zhang.wei@qq.com，谢谢", "zhang.wei"),
        ("identity", "身份证号：11010519491231002X。", "1949"),
        ("card", "card 4111-1111-1111-1111 ok", "4111"),
        ("card", "卡号6222020000000000000。", "62220"),
        ("phone", "电话13812345678。", "13812345678"),
        ("phone", "call +86 138-1234-5678 now", "1234"),
        ("phone", "请拨010-62751234转", "62751234"),
        ("phone", "dial +1 (415) 555-2671 today", "2671"),
        ("phone", "dial (415) 555-2671 today", "2671"),
        ("phone", "ring +44 20 7946 0958 please", "0958"),
        ("address", "from 8.8.4.4 at noon", "8.8.4.4"),
        ("address", "from 2607:f8b0:4005:805::200e at noon", "805"),
    ],
)
def test_masks_each_kind_in_both_languages(kind, text, secret):
    masked, counts = privacy.mask(text, ALL)
    assert secret not in masked
    assert counts == {kind: 1}
    assert privacy.mask(masked, ALL)[0] == masked  # a mask is not masked again


@pytest.mark.parametrize(
    "text",
    [
        "version 1.2.3.4.5 of 2023-06-26, 12:30:45",
        "192.168.0.1 and 10.0.0.7 and 127.0.0.1",
        "the number 1234567890123456 is no card",
        "3.14159265358979 and 299792458 and 1,000,000,000",
        "ISBN 978-3-16-148410-0, pages 100-200, year 1949-2019",
        "订单号20230626123456789，共138元",
        "@mention and a@b",
        "cafe:babe:dead",
    ],
)
def test_leaves_other_numbers_alone(text):
    assert privacy.mask(text, ALL) == (text, {})


def test_mail_addresses_are_those_of_the_library():
    library = re.compile(privacy.LIBRARY.emails_replacer.regex.pattern, re.ASCII)
    rng = random.Random(0)
    for _ in range(20_000):
        text = "".join(rng.choice("ab1-_!/..@@[邮 \n") for _ in range(rng.randrange(40)))
        found = [match.group() for match in privacy.EMAIL.finditer(text)]
        assert list(filter(privacy.is_mail, found)) == library.findall(text)


def test_a_word_without_an_address_is_passed_over_whole():
    """Looked through again from each of its letters, 45 KB took half a minute."""
    escaped = "%E4%B8%AD" * 5_000
    assert [match.group() for match in privacy.EMAIL.finditer(escaped)] == [escaped[1:]]
    assert privacy.mask(f"a@b.cn {escaped}", ("email",))[1] == {"email": 1}


def test_only_the_kinds_asked_for():
    text = "a.b@c.org 13812345678"
    assert privacy.mask(text, ("email",))[1] == {"email": 1}
    assert privacy.mask(text, ()) == (text, {})
