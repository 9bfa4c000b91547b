"""Any text comes back exactly; nothing in a text can become a special token."""

import random

import numpy as np
import pytest
from sentencepiece import sentencepiece_model_pb2

from aquila_jax.dmu.tokenizer import (
    BOS,
    CONTROLS,
    END_OF_TEXT,
    EOS,
    NAMES,
    SMALLEST,
    decode,
    encode_batch,
    fingerprint,
    load_tokenizer,
    train_tokenizer,
)

TEXTS = [
    "The cat sat on the mat in 1999, and the dog sat on the cat.\n" * 20,
    "今天天气很好，我们去北京看长城！“不错”（真的）。\n" * 20,
    "def f(x):\n    if x:\n\t\treturn x  # 注释\n\n" * 20,
]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.model"
    path.write_bytes(train_tokenizer(TEXTS, 420))
    return load_tokenizer(str(path))


def random_texts(count: int) -> list[str]:
    """Of all kinds of characters, with many blanks, line ends, signs and specials."""
    rng = random.Random(7)
    frequent = [
        *" \n\t▁\r\0⁇▅",
        "  ",
        "<0x41>",
        *NAMES,
        *CONTROLS,
        "，",
        "Ａ",
        "e\u0301",
        "12",
        "cat",
    ]

    def one():
        if rng.random() < 0.5:
            return rng.choice(frequent)
        point = rng.randrange(0x110000 - 0x800)
        return chr(point if point < 0xD800 else point + 0x800)

    return ["".join(one() for _ in range(rng.randrange(60))) for _ in range(count)]


def test_any_text_comes_back_exactly(tokenizer):
    texts = [*TEXTS, *random_texts(2000), "", " ", "\n", "▁", "a▁ ▁b", "x" * 200_000, " " * 200_000]
    for text, ids in zip(texts, encode_batch(tokenizer, texts), strict=True):
        assert decode(tokenizer, ids) == text
        assert ids.dtype == np.int32


def test_no_text_becomes_a_special_token(tokenizer):
    texts = [*NAMES, *CONTROLS, "[CLS]" + TEXTS[0] + "</s>", *random_texts(500)]
    specials = set(range(len(NAMES) + len(CONTROLS)))
    for ids in encode_batch(tokenizer, texts):
        assert not specials & set(ids.tolist())


def test_specials_have_their_names_and_leave_no_trace_in_text(tokenizer):
    pieces = [tokenizer.processor.id_to_piece(i) for i in range(9)]
    assert pieces == [*NAMES, *CONTROLS]
    assert (END_OF_TEXT, BOS, EOS) == (0, 1, 2)
    ids = encode_batch(tokenizer, ["今天 x"])[0]
    assert decode(tokenizer, [BOS, *ids, EOS, 0, 5, 0]) == "今天 x"


def test_words_encoded_one_by_one_are_the_whole_text_encoded(tokenizer):
    texts = [*TEXTS, *(text.replace("▁", "") for text in random_texts(2000))]
    for text, ids in zip(texts, encode_batch(tokenizer, texts), strict=True):
        assert ids.tolist() == tokenizer.processor.encode(text)


def test_a_text_is_encoded_the_same_in_any_company(tokenizer):
    texts = random_texts(50)
    together = encode_batch(tokenizer, texts)
    for text, ids in zip(texts, together, strict=True):
        assert encode_batch(tokenizer, [text])[0].tolist() == ids.tolist()
    assert encode_batch(tokenizer, []) == []


def test_each_digit_is_a_token_and_full_width_signs_stay(tokenizer):
    assert len(encode_batch(tokenizer, ["19991999"])[0]) == 8
    assert decode(tokenizer, encode_batch(tokenizer, ["，！（）１Ａ　"])[0]) == "，！（）１Ａ　"


def test_it_learns_words_of_every_language_and_runs_of_blanks(tokenizer):
    pieces = {tokenizer.processor.id_to_piece(i) for i in range(tokenizer.vocab_size)}
    assert {"▁the", "今天天气", "return", "▁▁▁▁", "\t\t"} <= pieces


def test_the_same_text_trains_the_same_bytes(tokenizer):
    again = train_tokenizer(iter(TEXTS), 420)
    assert fingerprint(again) == tokenizer.sha256
    assert fingerprint(train_tokenizer(TEXTS[:2], 370)) != tokenizer.sha256


@pytest.mark.parametrize("vocab_size", [SMALLEST + 10, 300, 350, 420])
def test_any_vocabulary_size_is_exact_also_below_the_number_of_characters(tmp_path, vocab_size):
    rng = random.Random(1)
    rare = "".join(chr(rng.randrange(0x4E00, 0x9FA5)) for _ in range(3000))
    (tmp_path / "t").write_bytes(train_tokenizer([*TEXTS, rare], vocab_size))
    tokenizer = load_tokenizer(str(tmp_path / "t"))
    assert tokenizer.vocab_size == vocab_size
    assert decode(tokenizer, encode_batch(tokenizer, [rare])[0]) == rare


def chinese() -> list[str]:
    """Without a blank, as Chinese is written."""
    rng = random.Random(3)
    text = "".join(chr(0x4E00 + min(int(rng.expovariate(0.01)), 5000)) for _ in range(40_000))
    return [text[i : i + 400] for i in range(0, len(text), 400)]


@pytest.mark.parametrize("more", ["", " "])
def test_a_tokenizer_of_text_without_blanks_gives_a_blank_back(tmp_path, more):
    (tmp_path / "t").write_bytes(train_tokenizer([*chinese(), more], 1024))
    tokenizer = load_tokenizer(str(tmp_path / "t"))
    text = "中文 hello world 你好"
    assert decode(tokenizer, encode_batch(tokenizer, [text])[0]) == text
    assert len(encode_batch(tokenizer, [" "])[0]) == 1


def test_a_tokenizer_that_gives_no_blank_back_is_refused(tmp_path):
    made = sentencepiece_model_pb2.ModelProto.FromString(train_tokenizer(TEXTS, 420))
    for piece in made.pieces:
        piece.piece = piece.piece.replace("▁", "一")
    (tmp_path / "t").write_bytes(made.SerializeToString())
    with pytest.raises(ValueError, match="gives 'a b' back as 'a▁b', but must give back"):
        load_tokenizer(str(tmp_path / "t"))


def test_what_cannot_be_trained_says_why():
    with pytest.raises(ValueError, match="vocab_size=200 must be at least 266"):
        train_tokenizer(TEXTS, 200)
    with pytest.raises(ValueError, match="vocab_size=5000 can be trained on 3 texts"):
        train_tokenizer(TEXTS, 5000)
    with pytest.raises(ValueError, match="on 0 texts"):
        train_tokenizer([], 300)


def test_a_file_that_is_no_tokenizer_is_refused(tmp_path, tokenizer):
    with pytest.raises(ValueError, match="none.model does not exist"):
        load_tokenizer(str(tmp_path / "none.model"))
    model = tokenizer.processor.serialized_model_proto()
    (tmp_path / "cut.model").write_bytes(model[: len(model) // 2 + 1])
    with pytest.raises(ValueError, match="cut.model (is not a whole|must begin)"):
        load_tokenizer(str(tmp_path / "cut.model"))
