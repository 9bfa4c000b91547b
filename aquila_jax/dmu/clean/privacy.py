"""Personal data masked in place: mail and network addresses, telephones, identities, cards."""

import dataclasses
import datetime
import ipaddress
import re
from collections.abc import Callable

from datatrove.pipeline.formatters import PIIFormatter

LIBRARY = PIIFormatter()
# datatrove's pattern starts at a word boundary, and in Unicode there is none between a Han
# character and a letter: `邮箱a@b.cn` would stay.
LOCAL, DOMAIN = LIBRARY.emails_replacer.regex.pattern.split("@")
# Words without an address are matched too, and passed over: to look for an `@` from each of their
# letters again would take a time that grows with the square of their length.
EMAIL = re.compile(f"(?>{LOCAL})(?:@{DOMAIN})?", re.ASCII)
IPV4 = re.compile(rf"(?<![\d.]){LIBRARY.ip_replacer.regex.pattern}(?![\d.]*\d)")
IPV6 = re.compile(r"(?<![\w:.])(?=(?:[0-9A-Fa-f]*:){3})[0-9A-Fa-f:]{6,39}(?![\w:])")
DOTS = re.compile(r"\d\.\d{1,3}\.\d")
COLONS = re.compile(r"[0-9A-Fa-f]:[0-9A-Fa-f:]")
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


def is_mail(word: str) -> bool:
    """Whether what `EMAIL` found is an address, and not a word alone."""
    return "@" in word


def _always(_: str) -> bool:
    return True


@dataclasses.dataclass(frozen=True)
class Pattern:
    """What one form of personal data looks like; nothing is searched where `hint` is not found."""

    kind: str
    hint: re.Pattern
    form: re.Pattern
    valid: Callable[[str], bool]
    replacement: str


# In this order: the digits of an identity or a card would also make a telephone number.
PATTERNS = (
    Pattern("email", re.compile("@"), EMAIL, is_mail, "email@example.com"),
    Pattern("identity", re.compile(r"\d{17}"), IDENTITY, is_identity, "000000000000000000"),
    Pattern("card", re.compile(r"\d[ -]?\d{3}"), CARD, is_card, "0000 0000 0000 0000"),
    Pattern("phone", re.compile(r"\d"), PHONE, _always, "000-0000-0000"),
    Pattern("address", DOTS, IPV4, is_public, "192.0.2.1"),
    Pattern("address", COLONS, IPV6, is_public, "2001:db8::1"),
)


def mask(text: str, kinds: tuple[str, ...]) -> tuple[str, dict[str, int]]:
    """The text with each item of these kinds replaced, and how many of each there were."""
    counts: dict[str, int] = {}
    for pattern in PATTERNS:
        if pattern.kind in kinds and pattern.hint.search(text):
            text, count = _replace(text, pattern)
            if count:
                counts[pattern.kind] = counts.get(pattern.kind, 0) + count
    return text, counts


def _replace(text: str, pattern: Pattern) -> tuple[str, int]:
    parts, end = [], 0
    for match in pattern.form.finditer(text):
        if match.group() != pattern.replacement and pattern.valid(match.group()):
            parts += [text[end : match.start()], pattern.replacement]
            end = match.end()
    return "".join([*parts, text[end:]]), len(parts) // 2
