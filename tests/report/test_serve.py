"""The server: only what is new is sent, and errors are sentences."""

import gzip
import io
import json
import threading
import urllib.error
import urllib.request

import pytest

from aquila_jax.report import serve
from tests.report import synthetic


@pytest.fixture
def address(tmp_path):
    synthetic.write_run(tmp_path / "run", steps=100)
    with serve.make_server([tmp_path / "run"], 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def get(url):
    with urllib.request.urlopen(url) as answer:
        return answer.read()


def test_only_news_is_sent(address, tmp_path):
    first = json.loads(get(f"{address}/data.json"))
    again = json.loads(get(f"{address}/data.json?version={first['version']}"))
    assert again == {"version": first["version"]}
    with (tmp_path / "run" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 74, "loss": 1.0, "tokens": 5}\n')
    news = json.loads(get(f"{address}/data.json?version={first['version']}"))
    assert news["version"] != first["version"]
    assert "Step 74 of 100" in news["runs"][0]["health"]["text"]["en"]


def test_the_page_is_packed_if_the_browser_takes_it(address):
    request = urllib.request.Request(address, headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(request) as answer:
        packed = answer.read()
        assert answer.headers["Content-Encoding"] == "gzip"
    text = gzip.decompress(packed)
    assert text.startswith(b"<!doctype html>") and len(packed) < len(text) / 2


def test_other_addresses_are_not_found(address):
    with pytest.raises(urllib.error.HTTPError) as error:
        get(f"{address}/../../etc/passwd")
    with error.value as answer:
        assert answer.code == 404


def test_a_run_that_vanishes_is_an_answer_and_not_a_crash(address, tmp_path):
    (tmp_path / "run").rename(tmp_path / "gone")
    with pytest.raises(urllib.error.HTTPError) as error:
        get(f"{address}/data.json")
    with error.value as answer:
        assert answer.code == 503 and b"is not a folder" in answer.read()
    (tmp_path / "gone").rename(tmp_path / "run")
    assert json.loads(get(f"{address}/data.json"))["runs"]


class Gone:
    """A browser that asks and hangs up."""

    def makefile(self, *_):
        return io.BytesIO(b"GET / HTTP/1.1\r\n\r\n")

    def sendall(self, _):
        raise BrokenPipeError


def test_a_browser_that_goes_away_is_no_error(tmp_path):
    synthetic.write_run(tmp_path / "run", steps=100)
    with serve.make_server([tmp_path / "run"], 0) as server:
        serve.Answer(Gone(), ("127.0.0.1", 1), server)


def test_a_port_in_use_is_a_sentence(address, tmp_path):
    port = int(address.rpartition(":")[2])
    for odd in (port, 99_999):
        with pytest.raises(ValueError, match=f"Port {odd} cannot be used .*give --serve another"):
            serve.make_server([tmp_path / "run"], odd)
