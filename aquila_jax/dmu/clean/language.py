"""Which natural language a text is in, by CLD2 (its tables come inside the `pycld2` wheel)."""

import re

import pycld2

UNREADABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
SHORTEST = 50  # characters; of fewer any answer is a guess
LONGEST = 20_000  # characters; more does not change the answer
CODES = {"zh-Hant": "zh", "zh": "zh"}


def identify(text: str) -> tuple[str, float]:
    """The language of most of the text (ISO 639-1; "" if unsure) and its share of it, 0 to 1."""
    if len(text) < SHORTEST:
        return "", 0.0
    readable = UNREADABLE.sub(" ", text[:LONGEST]).encode("utf-8")
    try:
        reliable, _, found = pycld2.detect(readable, bestEffort=True)
    except pycld2.error:
        return "", 0.0
    if not reliable:
        return "", 0.0
    shares: dict[str, float] = {}
    for _, code, percent, _ in found:
        code = CODES.get(code, code)
        shares[code] = shares.get(code, 0.0) + percent / 100
    shares.pop("un", None)
    best = max(shares, key=shares.get, default="")
    return best, shares.get(best, 0.0)


def _encodable(character: str, codec: str) -> bool:
    try:
        character.encode(codec)
    except UnicodeEncodeError:
        return False
    return True


def script(text: str) -> str:
    """Hant or Hans, whichever has more characters that the other does not know.

    Big5 holds the Traditional ones and GB 2312 the Simplified.
    """
    balance = 0
    for character in set(text[:LONGEST]):
        if "\u4e00" <= character <= "\u9fff":
            balance += _encodable(character, "big5") - _encodable(character, "gb2312")
    return "Hant" if balance > 0 else "Hans"
