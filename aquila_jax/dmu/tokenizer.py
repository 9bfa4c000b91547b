"""The tokenizer: SentencePiece BPE that gives back every text exactly."""

import bisect
import collections
import dataclasses
import hashlib
import io
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import sentencepiece

from aquila_jax.dmu import places

# Names of arXiv 2408.07410 (facts.md 1.2), here from id 0 on, so that any vocabulary size has them.
END_OF_TEXT = 0  # "<|endoftext|>", padding and unknown
BOS = 1  # "[CLS]", before every document
EOS = 2  # "</s>", after every document
NAMES = ("<|endoftext|>", "[CLS]", "</s>")
CONTROLS = ("<|startofpiece|>", "<|endofpiece|>", "<|LDWANG|>", "[MASK]", "[gMASK]", "[sMASK]")
SMALLEST = len(NAMES) + len(CONTROLS) + 256 + 1  # and one byte-fallback piece for each byte

# SentencePiece's own sign for a blank: inside a piece it would come back as a blank, so it
# stands alone and is spelt in bytes.
_BLANK = "\N{LOWER ONE EIGHTH BLOCK}"
# Words with the blanks before them, no longer than BPE should be given at once.
_WORDS = re.compile(f"{_BLANK}| *[^ {_BLANK}]{{1,65536}}| +")
_TRIAL = "a b"  # that has to come back
_SENTENCE = 1 << 12  # characters
_COVERED = 0.9995  # of all characters; SentencePiece's own default for Chinese


@dataclasses.dataclass(frozen=True)
class Tokenizer:
    """A loaded tokenizer and the sha256 of its file."""

    processor: sentencepiece.SentencePieceProcessor
    sha256: str

    @property
    def vocab_size(self) -> int:
        """Entries, specials and bytes included."""
        return self.processor.get_piece_size()


def require_room(vocab_size: int) -> None:
    """ValueError if a tokenizer of that size has no room for what each must have."""
    if vocab_size < SMALLEST:
        raise ValueError(
            f"vocab_size={vocab_size} must be at least {SMALLEST}: specials and bytes."
        )


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> bytes:
    """A SentencePiece model file from `texts`; the same texts give the same bytes."""
    require_room(vocab_size)
    texts = list(texts)
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=_sentences(texts, _rare(texts, vocab_size)),
            model_writer=model,
            model_type="bpe",
            vocab_size=vocab_size,
            character_coverage=1.0,  # of what `_rare` leaves
            required_chars=_BLANK,  # also where no text has one: its bytes come back as the sign
            byte_fallback=True,
            split_digits=True,
            # Nothing is normalised: NFKC would destroy full-width punctuation, and trimmed
            # or joined blanks would destroy code.
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            allow_whitespace_only_pieces=True,
            unk_id=END_OF_TEXT,
            bos_id=BOS,
            eos_id=EOS,
            pad_id=-1,
            unk_piece=NAMES[END_OF_TEXT],
            bos_piece=NAMES[BOS],
            eos_piece=NAMES[EOS],
            unk_surface="",
            # Control symbols, unlike user-defined ones, are never read out of a text.
            control_symbols=list(CONTROLS),
            max_sentence_length=8 * _SENTENCE,
            num_threads=1,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise ValueError(
            f"no tokenizer of vocab_size={vocab_size} can be trained on {len(texts)} texts "
            f"({error}); give more text or a smaller vocabulary."
        ) from error
    return model.getvalue()


def fingerprint(model: bytes) -> str:
    """The sha256 by which a store knows its tokenizer."""
    return hashlib.sha256(model).hexdigest()


def load_tokenizer(path: str) -> Tokenizer:
    """The tokenizer in the file at `path`, local or gs://."""
    if not places.exists(path):
        raise ValueError(f"tokenizer {path} does not exist.")
    model = places.read_bytes(path)
    try:
        processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    except RuntimeError as error:
        raise ValueError(f"tokenizer {path} is not a whole SentencePiece model.") from error
    if tuple(map(processor.id_to_piece, range(len(NAMES)))) != NAMES:
        raise ValueError(f"tokenizer {path} must begin with the special tokens {NAMES}.")
    tokenizer = Tokenizer(processor, fingerprint(model))
    if (back := decode(tokenizer, encode_batch(tokenizer, [_TRIAL])[0])) != _TRIAL:
        raise ValueError(
            f"tokenizer {path} gives {_TRIAL!r} back as {back!r}, but must give back every text "
            "exactly, so that it needs a piece for the blank; let prepare train one."
        )
    return tokenizer


def encode_batch(tokenizer: Tokenizer, texts: Sequence[str]) -> list[np.ndarray]:
    """Token ids of each text, int32, without specials; `decode` gives the text back.

    A piece may begin with blanks but never holds one after another character, so a text is
    encoded word by word with the same outcome, and each word of the batch only once: four
    times as fast for English.
    """
    words = [_WORDS.findall(text) for text in texts]
    unique = list(dict.fromkeys(itertools.chain.from_iterable(words)))
    encoded = dict(zip(unique, tokenizer.processor.encode(unique, num_threads=1), strict=True))
    encoded[_BLANK] = [tokenizer.processor.piece_to_id(f"<0x{b:02X}>") for b in _BLANK.encode()]
    return [
        np.fromiter(itertools.chain.from_iterable(map(encoded.__getitem__, cut)), np.int32)
        for cut in words
    ]


def decode(tokenizer: Tokenizer, ids: Sequence[int] | np.ndarray) -> str:
    """The text of token ids; specials leave no trace in it."""
    return tokenizer.processor.decode([int(token) for token in ids])


def _sentences(texts: Iterable[str], rare: set[str]) -> Iterator[str]:
    """The texts in pieces to train on, cut at rare characters and at line ends."""
    cuts = re.compile(f"[{re.escape(''.join(sorted(rare)))}]+") if rare else None
    for text in texts:
        for piece in cuts.split(text) if cuts else [text]:
            begin = 0
            while begin < len(piece):
                end = begin + _SENTENCE
                if end < len(piece):
                    end = (piece.rfind("\n", begin, end) + 1) or end
                yield piece[begin:end]
                begin = end


def _rare(texts: Iterable[str], vocab_size: int) -> set[str]:
    """Characters that get no piece of their own and are spelt in bytes.

    SentencePiece gives each character a piece before it merges any, so a small vocabulary
    would hold nothing but Chinese characters, or be too small for them: at most half may be.
    """
    counts = collections.Counter()
    for text in texts:
        counts.update(text)
    # Those that occur as often as one another are told apart by their code points.
    order = sorted(counts, key=lambda character: (-counts[character], character))
    covered = list(itertools.accumulate(counts[character] for character in order))
    enough = bisect.bisect_left(covered, _COVERED * counts.total()) + 1
    return set(order[min(enough, (vocab_size - SMALLEST) // 2) :])
