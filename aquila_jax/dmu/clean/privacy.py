"""Personal data masked in place: mail and network addresses, telephones, identities, cards."""

import collections
import datetime
import ipaddress
import re
from collections.abc import Callable

from datatrove.pipeline.formatters import PIIFormatter

LIBRARY = PIIFormatter()
# datatrove's pattern starts at a word boundary, and in Unicode there is none between a Han
# character and a letter: `邮箱a@b.cn` would stay.
EMAIL = re.compile(LIBRARY.emails_replacer.regex.pattern, re.ASCII)
IPV4 = re.compile(rf"(?<![\d.]){LIBRARY.ip_replacer.regex.pattern}(?![\d.]*\d)")
IPV6 = re.compile(r"(?<![\w:.])(?=(?:[0-9A-Fa-f]*:){3})[0-9A-Fa-f:]{6,39}(?![\w:])")
IDENTITY = re.compile(r"(?<![0-9A-Za-z])\d{17}[\dXx](?![0-9A-Za-z])")
CARD = re.compile(r"(?<![\d.-])(?:\d[ -]?){12,18}\d(?![\d.]*\d)")
PHONE = re.compile(
    r"(?<![\w.+-])(?=[\d+(（])(?:"
    r"(?:\(?(?:\+|00)86\)?[ -]?)?1[3-9]\d[ -]?\d{4}[ -]?\d{4}"  # mobile, China
    r"|(?:\(?(?:\+|00)86\)?[ -]?)?(?:\(0\d{2,3}\)|（0\d{2,3}）|0\d{2,3})[ -]?[2-9]\d{6,7}"  # fixed
    r"|\+[1-9]\d{0,2}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{1,4}(?:[ .-]?\d{2,4}){2,4}"  # international
    r"|(?:1[ .-])?\(\d{3}\)[ .-]?\d{3}[ .-]\d{4}|(?:1[ .-])?[2-9]\d{2}[.-]\d{3}[.-]\d{4}"  # America
    r")(?![\d-]*\d)",
    re.ASCII,
)
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
CHECKS = "10X98765432"
ISSUER = re.compile(r"4|5[1-5]|2[2-7]|3[47]|6(?:011|5|4[4-9]|2)|35|30[0-5]|3[68]|9[45]")


def is_identity(number: str) -> bool:
    """Chinese resident identity: birth date and check digit (GB 11643-1999, ISO 7064 mod 11-2)."""
    try:
        datetime.datetime.strptime(number[6:14], "%Y%m%d")
    except ValueError:
        return False
    total = sum(weight * int(digit) for weight, digit in zip(WEIGHTS, number, strict=False))
    return CHECKS[total % 11] == number[17].upper()


def is_card(number: str) -> bool:
    """A payment card: an issuer's prefix, and Luhn's sum (ISO/IEC 7812-1)."""
    digits = re.sub(r"\D", "", number)
    doubled = [int(d) * (2 if at % 2 else 1) for at, d in enumerate(reversed(digits))]
    total = sum(value - 9 if value > 9 else value for value in doubled)
    return total % 10 == 0 and bool(ISSUER.match(digits)) and len(set(digits)) > 1


def is_public(address: str) -> bool:
    """A network address that can be somebody's: neither private nor reserved."""
    try:
        return ipaddress.ip_address(address).is_global
    except ValueError:
        return False


def _always(_: str) -> bool:
    return True


# In this order: the digits of an identity or a card would also make a telephone number.
KINDS: dict[str, tuple[tuple[re.Pattern, Callable[[str], bool], str], ...]] = {
    "email": ((EMAIL, _always, "email@example.com"),),
    "identity": ((IDENTITY, is_identity, "000000000000000000"),),
    "card": ((CARD, is_card, "0000 0000 0000 0000"),),
    "phone": ((PHONE, _always, "000-0000-0000"),),
    "address": ((IPV4, is_public, "192.0.2.1"), (IPV6, is_public, "2001:db8::1")),
}


def mask(text: str, kinds: tuple[str, ...]) -> tuple[str, dict[str, int]]:
    """The text with each item of these kinds replaced, and how many of each there were."""
    counts: collections.Counter[str] = collections.Counter()
    for kind in KINDS:
        if kind in kinds:
            for pattern, valid, replacement in KINDS[kind]:
                if kind == "email" and "@" not in text:
                    continue
                text = _replace(text, pattern, (valid, replacement), (kind, counts))
    return text, dict(counts)


def _replace(text: str, pattern: re.Pattern, how: tuple, tally: tuple) -> str:
    (valid, replacement), (kind, counts) = how, tally

    def one(match: re.Match) -> str:
        if not valid(match.group()) or match.group() == replacement:
            return match.group()
        counts[kind] += 1
        return replacement

    return pattern.sub(one, text)
