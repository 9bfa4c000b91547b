"""Documents to rows of `length` + 1 tokens (inputs, and targets one later), as indices only.

A row is a list of pieces; a piece is a span of one document and becomes one segment, with
positions from 0. A piece that goes on where an earlier one stopped starts with that piece's
last token again: each token but a document's first is a target exactly once in an epoch.

    concat    row i is the window of the domain's tokens from i * length on: nothing is padded,
              a document is cut wherever a window ends, and goes on as a segment of its own
    best_fit  only documents longer than a row are cut; each goes to the fullest row that has
              room, longest first (Ding et al., arXiv 2404.10830, "Best-fit Packing")
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from aquila_jax.dmu import grouping

MAX_PIECES = 64  # Chinese documents are short; attention kernels like few segments a row

# (numbers of domains [n], starts [n], length) -> tokens [n, length], zero past a domain's end
Gather = Callable[[np.ndarray, np.ndarray, int], np.ndarray]


class Pieces(NamedTuple):
    """Spans of tokens and where they go, each int64 [pieces], in the order of the rows."""

    row: np.ndarray  # counted among the rows that were asked for
    column: np.ndarray
    start: np.ndarray  # in the tokens of the row's domain
    length: np.ndarray


class Windows(NamedTuple):
    """The index of "concat": where documents end, and nothing else.

    All domains lie on one line, so that a batch of a thousand domains is one computation.
    """

    offsets: np.ndarray  # int64 [documents of all domains + 1]
    begin: np.ndarray  # int64 [K + 1], where each domain starts on the line
    length: int

    @property
    def rows(self) -> np.ndarray:
        """Rows in an epoch of each domain, [K]: none if it does not fill one."""
        targets = np.diff(self.begin) - 1
        return np.where(targets >= self.length, -(-targets // self.length), 0)

    def pieces(self, domain: np.ndarray, row: np.ndarray) -> Pieces:
        """The pieces of rows `row` of domains `domain`, both int64 [n]."""
        begin = self.begin[domain] + row * self.length
        end = np.minimum(begin + self.length + 1, self.begin[domain + 1])
        first = np.searchsorted(self.offsets, begin, side="right") - 1
        last = np.searchsorted(self.offsets, end - 1, side="right")
        asked, document = _spread(first, last - first)
        start = np.maximum(self.offsets[document], begin[asked])
        length = np.minimum(self.offsets[document + 1], end[asked]) - start
        found = Pieces(asked, start - begin[asked], start - self.begin[domain[asked]], length)
        return found if length.all() else Pieces(*(part[length > 0] for part in found))

    def tokens(self, domain: np.ndarray, row: np.ndarray, gather: Gather) -> np.ndarray:
        """The tokens of the rows, [n, length + 1], zero where there are none."""
        return gather(domain, row * self.length, self.length + 1)

    def rows_with(self, domain: int, begin: int, end: int) -> np.ndarray:
        """The rows of one domain that teach a document on tokens [begin, end) of it."""
        return np.arange(begin // self.length, max(begin, end - 2) // self.length + 1)


class Bins(NamedTuple):
    """The index of "best_fit": row r of all has the pieces first[r] to first[r + 1]."""

    first: np.ndarray  # int64 [rows of all domains + 1]
    start: np.ndarray  # int64 [pieces], in the tokens of their domain
    size: np.ndarray  # int64 [pieces]
    begin: np.ndarray  # int64 [K + 1], the first row of each domain
    length: int

    @property
    def rows(self) -> np.ndarray:
        """Rows in an epoch of each domain, [K]."""
        return np.diff(self.begin)

    def pieces(self, domain: np.ndarray, row: np.ndarray) -> Pieces:
        """The pieces of rows `row` of domains `domain`, both int64 [n]."""
        number = self.begin[domain] + row
        first = self.first[number]
        count = self.first[number + 1] - first
        asked, piece = _spread(first, count)
        size = self.size[piece]
        before = np.cumsum(size) - size
        column = before - before[np.cumsum(count) - count][asked]
        return Pieces(asked, column, self.start[piece], size)

    def tokens(self, domain: np.ndarray, row: np.ndarray, gather: Gather) -> np.ndarray:
        """The tokens of the rows, [n, length + 1], zero where there are none.

        One read for all pieces of up to 4, 16, 64 ... tokens: a call costs as much as reading
        some thousand tokens, so that a few reads with some waste are the fastest.
        """
        pieces, width = self.pieces(domain, row), self.length + 1
        out = np.zeros(len(row) * width, np.int32)
        place, domain = pieces.row * width + pieces.column, domain[pieces.row]
        for log_size, some in grouping.groups((np.frexp(pieces.length - 1)[1] + 1) // 2):
            within = np.arange(min(4**log_size, width))
            wanted = within < pieces.length[some, None]
            block = gather(domain[some], pieces.start[some], len(within))
            out[(place[some, None] + within)[wanted]] = block[wanted]
        return out.reshape(len(row), width)

    def rows_with(self, domain: int, begin: int, end: int) -> np.ndarray:
        """The rows of one domain that teach a document on tokens [begin, end) of it."""
        first, last = self.begin[domain], self.begin[domain + 1]
        start = self.start[self.first[first] : self.first[last]]
        piece = self.first[first] + np.flatnonzero((start >= begin) & (start < end))
        return np.unique(np.searchsorted(self.first, piece, side="right") - 1 - first)


Index = Windows | Bins


class Shares(NamedTuple):
    """What a packing costs, both 0 to 1."""

    cut: float  # documents that do not lie in one piece
    padding: float  # input places without a token


def concat(offsets: list[np.ndarray], length: int) -> Windows:
    """Rows that follow each domain's tokens without a gap.

    `offsets`: where the documents of each domain start, int64 [documents + 1].
    """
    begin = np.cumsum([0, *(int(one[-1]) for one in offsets)])
    line = [one[1:] + start for one, start in zip(offsets, begin, strict=False)]
    return Windows(np.concatenate([np.zeros(1, np.int64), *line]), begin, length)


def best_fit(offsets: list[np.ndarray], length: int) -> Bins:
    """Best-fit-decreasing rows of at most `MAX_PIECES` pieces, in O(N log N) a domain."""
    count, start, size = zip(*(_fit(one, length) for one in offsets), strict=True)
    first = np.cumsum(np.concatenate([np.zeros(1, np.int64), *count]))
    begin = np.cumsum([0, *map(len, count)])
    return Bins(first, np.concatenate(start), np.concatenate(size), begin, length)


PACKINGS: dict[str, Callable[[list[np.ndarray], int], Index]] = {
    "concat": concat,
    "best_fit": best_fit,
}


def shares(name: str, offsets: np.ndarray, length: int) -> Shares:
    """Documents cut and places padded by packing `name`, in one domain."""
    index = PACKINGS[name]([offsets], length)
    rows = np.arange(index.rows[0])
    pieces = index.pieces(np.zeros_like(rows), rows)
    used = np.bincount(pieces.row, weights=pieces.length)
    last = np.searchsorted(offsets, pieces.start, side="right")
    cut = np.unique(last[pieces.start + pieces.length < offsets[last]])
    padding = 1 - np.minimum(used, length).sum() / max(1, len(rows) * length)
    return Shares(len(cut) / max(1, len(offsets) - 1), float(padding))


def _fit(offsets: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One domain's rows: pieces in each row, and the start and size of each piece."""
    start, size = _chunks(offsets, length)
    if offsets[-1] <= length:  # less than one sequence, as in `Windows.rows`
        start, size = start[:0], size[:0]
    longest_first = np.argsort(-size, kind="stable")
    start, size = start[longest_first], size[longest_first]
    row = _assign(size, length + 1)
    order = np.argsort(row, kind="stable")
    return np.bincount(row), start[order], size[order]


def _spread(first: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each row r the numbers first[r] .. first[r] + count[r] - 1: (row, number), flat."""
    row = np.repeat(np.arange(len(first)), count)
    return row, np.arange(len(row)) + (first - np.cumsum(count) + count)[row]


def _chunks(offsets: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """(start, size) of the documents cut to at most `length` targets; lone tokens have none."""
    targets = np.maximum(np.diff(offsets) - 1, 0)
    document, chunk = _spread(np.zeros_like(targets), -(-targets // length))
    start = offsets[document] + chunk * length
    return start, np.minimum(length + 1, offsets[document + 1] - start)


def _assign(size: np.ndarray, capacity: int) -> np.ndarray:
    """The row of each piece, int64 [pieces]; `size` falls.

    Pieces of equal size are placed at once: a row with room r is the best fit until it holds
    r // size more of them, exactly as if they came one by one.
    """
    row = np.empty(len(size), np.int64)
    filled = np.zeros(len(size) + 1, np.int64)  # pieces per row
    rooms = {capacity: np.zeros(0, np.int64)}  # room -> rows
    some_room = np.zeros(capacity + 1, bool)
    rows = done = 0
    for end in np.append(np.flatnonzero(np.diff(size)) + 1, len(size)).tolist():
        while done < end:
            piece = int(size[done])
            room = piece + int(np.argmax(some_room[piece:]))
            if not some_room[room]:
                new = -(-(end - done) // min(capacity // piece, MAX_PIECES))
                room, rooms[capacity] = capacity, np.arange(rows, rows + new)
                rows += new
            fits = np.minimum(room // piece, MAX_PIECES - filled[rooms[room]])
            last = np.cumsum(fits)
            used = int(np.searchsorted(last, end - done)) + 1
            taken, fits = rooms[room][:used], fits[:used]
            fits[-1] -= max(0, int(last[:used][-1]) - (end - done))
            row[done : done + fits.sum()] = np.repeat(taken, fits)
            done += int(fits.sum())
            filled[taken] += fits
            rooms[room] = rooms[room][used:]
            left = np.where(filled[taken] < MAX_PIECES, room - fits * piece, 0)
            for rest, some in grouping.groups(left):
                if rest > 1:
                    rooms[rest] = np.append(rooms.get(rest, rooms[capacity][:0]), taken[some])
                    some_room[rest] = True
            some_room[room] = len(rooms[room]) > 0
    return row
