"""Text out of web pages (trafilatura) and PDF files (pypdf)."""

import io
import pathlib
from collections.abc import Iterable, Iterator

import lxml.etree
import pypdf
import trafilatura
from pypdf import errors

from aquila_jax.dmu.clean.documents import Document
from aquila_jax.dmu.sources import Flaw

HTML = (".html", ".htm", ".xhtml")


def html_text(page: bytes | str, place: str = "page") -> str:
    """The main text of a web page, without menus and boilerplate; ValueError if it has none."""
    try:
        text = trafilatura.extract(page, favor_precision=True, include_comments=False)
    except (lxml.etree.LxmlError, ValueError) as error:
        raise ValueError(
            f"{place} is no web page that can be read ({error}); leave it out."
        ) from error
    if not text:
        raise ValueError(f"{place} holds no text of an article; leave it out.")
    return text


def pdf_text(file: bytes, place: str = "file") -> str:
    """The text of a PDF, pages two line ends apart; ValueError if encrypted, broken or without."""
    try:
        reader = pypdf.PdfReader(io.BytesIO(file))
        if reader.is_encrypted and not reader.decrypt(""):
            raise ValueError(f"{place} is encrypted; decrypt it with its password first.")
        pages = [page.extract_text() for page in reader.pages]
    except (errors.PyPdfError, errors.DependencyError, OSError, KeyError, TypeError) as error:
        raise ValueError(f"{place} is a broken PDF ({error}); fetch it again.") from error
    text = "\n\n".join(page.strip() for page in pages if page.strip())
    if not text:
        raise ValueError(f"{place} holds pictures of text only; run text recognition on it first.")
    return text


def documents(
    paths: Iterable[str], *, language: str = "", source: str = ""
) -> Iterator[Document | Flaw]:
    """The document of each .html or .pdf file, or why there is none, as `sources.read` does."""
    for path in paths:
        try:
            text = _text(pathlib.Path(path))
        except (ValueError, OSError) as error:
            yield Flaw(file=path, line=1, reason=str(error))
        else:
            yield Document(text=text, id=path, language=language, source=source, place=path)


def _text(path: pathlib.Path) -> str:
    kind = path.suffix.lower()
    if kind in HTML:
        return html_text(path.read_bytes(), str(path))
    if kind == ".pdf":
        return pdf_text(path.read_bytes(), str(path))
    raise ValueError(f"{path} must end in .pdf or one of {', '.join(HTML)}.")
