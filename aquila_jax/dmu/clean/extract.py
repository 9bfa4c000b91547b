"""Text out of web pages (trafilatura) and PDF files (pypdf)."""

import io
import logging

import lxml.etree
import pypdf
import trafilatura
from pypdf import errors

logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # what is wrong with a file is in the error
# pypdf trusts that an object is of the kind it should be, and fails where it is not.
BROKEN = (errors.PyPdfError, errors.DependencyError, OSError, KeyError, TypeError, ValueError)
BROKEN += (AttributeError, AssertionError)


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
        locked = reader.is_encrypted and not reader.decrypt("")
        pages = [] if locked else [page.extract_text() for page in reader.pages]
    except BROKEN as error:
        raise ValueError(
            f"{place} is a broken PDF ({str(error) or type(error).__name__}); fetch it again."
        ) from error
    if locked:
        raise ValueError(f"{place} is encrypted; decrypt it with its password first.")
    text = "\n\n".join(page.strip() for page in pages if page.strip())
    if not text:
        raise ValueError(f"{place} holds pictures of text only; run text recognition on it first.")
    return text
