import io

import pypdf
import pytest
from pypdf import generic

from aquila_jax.dmu.clean import extract
from aquila_jax.dmu.sources import Flaw, Source, expand, read

PARAGRAPH = (
    "The committee met on Tuesday to discuss what had happened during the long winter, and several "
    "members thought that the road outside the village should be repaired before anything else. "
)
PAGE = (
    "<html><head><title>News</title></head><body><nav><a href='/'>Home</a><a href='/x'>Login</a>"
    f"</nav><article><h1>News</h1><p>{PARAGRAPH}</p><p>委员会在星期二开会，讨论了去年发生的事情，"
    "也听取了各地代表的意见。</p></article><footer>Copyright 2020 All rights reserved</footer></body></html>"
)


def pdf(text, password=None):
    writer = pypdf.PdfWriter()
    page = writer.add_blank_page(300, 300)
    stream = generic.StreamObject()
    stream.set_data(f"BT /F1 12 Tf 20 200 Td ({text}) Tj ET".encode())
    page[generic.NameObject("/Contents")] = writer._add_object(stream)
    font = generic.DictionaryObject(
        {
            generic.NameObject("/Type"): generic.NameObject("/Font"),
            generic.NameObject("/Subtype"): generic.NameObject("/Type1"),
            generic.NameObject("/BaseFont"): generic.NameObject("/Helvetica"),
        }
    )
    fonts = generic.DictionaryObject({generic.NameObject("/F1"): font})
    page[generic.NameObject("/Resources")] = generic.DictionaryObject(
        {generic.NameObject("/Font"): fonts}
    )
    if password:
        writer.encrypt(password, algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def test_article_without_its_surroundings():
    text = extract.html_text(PAGE)
    assert "committee met on Tuesday" in text and "委员会" in text
    assert "Login" not in text and "rights reserved" not in text


@pytest.mark.parametrize("page", ["", "<html><body></body></html>", "\x00\x01"])
def test_pages_without_text(page):
    with pytest.raises(ValueError, match=r"^page (holds no text|is no web page)"):
        extract.html_text(page)


def test_pdf_text():
    assert extract.pdf_text(pdf("Hello from a page")) == "Hello from a page"


@pytest.mark.parametrize(
    "file, match",
    [
        (pdf("secret", password="x"), "a.pdf is encrypted; decrypt it"),
        (pdf("Hello")[:200], "a.pdf is a broken PDF"),
        (b"", "a.pdf is a broken PDF"),
        (b"not a pdf at all", "a.pdf is a broken PDF"),
        (pdf(""), "a.pdf holds pictures of text only"),
    ],
)
def test_pdfs_that_give_no_text_get_one_sentence(file, match):
    with pytest.raises(ValueError, match=match) as raised:
        extract.pdf_text(file, "a.pdf")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("kind", [AttributeError, AssertionError, ValueError])
def test_whatever_pypdf_stumbles_over_is_a_broken_file(kind, monkeypatch):
    def stumble(_):
        raise kind

    monkeypatch.setattr(pypdf, "PdfReader", stumble)
    with pytest.raises(ValueError, match=rf"a.pdf is a broken PDF \({kind.__name__}\)"):
        extract.pdf_text(pdf("Hello"), "a.pdf")


def test_files_of_a_folder_are_read_on_past_the_bad_ones(tmp_path):
    (tmp_path / "a.html").write_text(PAGE)
    (tmp_path / "b.pdf").write_bytes(pdf("secret", password="x"))
    (tmp_path / "c.pdf").write_bytes(pdf("Hello"))
    source = Source(name="web", language="en", paths=(str(tmp_path),))
    found = [one for file in expand(source) for one in read(file)]
    assert [isinstance(one, Flaw) for one in found] == [False, True, False]
    assert found[2].text == "Hello" and len(found[2].id) == 16
    assert str(found[1]).endswith("b.pdf:1 (it is encrypted; decrypt it with its password first.)")
