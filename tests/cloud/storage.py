"""Google Cloud Storage on this machine: gcp-storage-emulator, and what it leaves out.

    python tests/cloud/storage.py PORT BUCKET

TensorStore lists by ranges of names, reads the last bytes of an object and, as gcsfs does, writes on
conditions. All that is documented for Cloud Storage; the emulator passes over it in silence.
"""

import http.server
import logging
import sys
import threading
from functools import partial

from gcp_storage_emulator import server
from gcp_storage_emulator.handlers import buckets, objects
from gcp_storage_emulator.storage import Storage

_LOCK = threading.RLock()


def listed(request, response, storage, *args):
    """objects.list with startOffset and endOffset."""
    objects.ls(request, response, storage, *args)
    first = request.query.get("startOffset", [""])[0]
    last = request.query.get("endOffset", [None])[0]
    found = server.json.loads(response._content or "{}")
    found["items"] = [
        item
        for item in found.get("items", [])
        if item["name"] >= first and (last is None or item["name"] < last)
    ]
    response.json(found)


def on_condition(handler, name):
    """`handler` unless the object is not of the generation that the request asks for."""

    def handle(request, response, storage, *args):
        wanted = request.query.get("ifGenerationMatch")
        held = storage.objects.get(request.params["bucket_name"], {}).get(name(request))
        if wanted and wanted[0] != (held["generation"] if held else "0"):
            response.status = server.HTTPStatus.PRECONDITION_FAILED
            return
        handler(request, response, storage, *args)

    return handle


def with_generation(handler):
    """A read that tells which generation it read, and knows `bytes=-N`: the last N."""

    def handle(request, response, storage, *args):
        held = storage.objects.get(request.params["bucket_name"], {})
        held = held.get(request.params["object_id"])
        span = request.get_header("Range", "")
        if held and span.startswith("bytes=-"):
            first = max(0, int(held["size"]) + int(span.removeprefix("bytes=")))
            request._request_handler.headers.replace_header("Range", f"bytes={first}-")
        handler(request, response, storage, *args)
        if held:
            response["x-goog-generation"] = held["generation"]

    return handle


def named(request):
    """The object that an upload makes, wherever the client put its name."""
    if "name" in request.query:
        return request.query["name"][0]
    return request.data["meta"]["name"] if isinstance(request.data, dict) else None


INSTEAD = {
    objects.ls: listed,
    objects.insert: on_condition(objects.insert, named),
    objects.delete: on_condition(objects.delete, lambda request: request.params["object_id"]),
    objects.get: with_generation(objects.get),
    objects.download: with_generation(objects.download),
}


class Answer(server.RequestHandler):
    """One request at a time, on connections that stay open."""

    protocol_version = "HTTP/1.1"

    def _turn(self, method):
        with _LOCK:
            server.Router(self).handle(method)

    do_GET = lambda self: self._turn("GET")  # noqa: E731
    do_POST = lambda self: self._turn("POST")  # noqa: E731
    do_PUT = lambda self: self._turn("PUT")  # noqa: E731
    do_PATCH = lambda self: self._turn("PATCH")  # noqa: E731
    do_DELETE = lambda self: self._turn("DELETE")  # noqa: E731


def main(port: int, bucket: str) -> None:
    """Serves until it is killed."""
    logging.disable(logging.CRITICAL)
    for _, methods in server.HANDLERS:
        methods |= {verb: INSTEAD.get(handler, handler) for verb, handler in methods.items()}
    storage = Storage(use_memory_fs=True)
    buckets.create_bucket(bucket, storage)
    # The emulator writes all that it knows to a file after each change; here nobody reads it.
    storage._write_config_to_file = lambda: None
    answer = partial(Answer, storage)
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), answer) as serving:
        print("serving", flush=True)
        serving.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
