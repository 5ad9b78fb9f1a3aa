"""Webhooks as a receiver in Python gets them, checked by the library of Standard Webhooks."""

from __future__ import annotations

import base64
import importlib.util
import os
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from unittest import mock

from bcrl import Client

from .services import ServiceTest
from .support import until

HAS_LIBRARY = importlib.util.find_spec("standardwebhooks") is not None

OLD, NEW, FOREIGN = (f"whsec_{base64.b64encode(bytes([n] * 32)).decode()}" for n in (1, 2, 3))


class Receiver(ThreadingHTTPServer):
    """Takes nothing at first, and then everything."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Told)
        #: What came: headers and body.
        self.told: list[tuple[dict[str, str], bytes]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/hook?key=a+b"


class Told(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.told.append((dict(self.headers), body))
        self.send_response(503 if len(self.server.told) == 1 else 204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@unittest.skipUnless(HAS_LIBRARY, "the packages of python/tests/requirements.txt are missing")
class Webhooks(ServiceTest):
    def setUp(self) -> None:
        settings = {
            "BCRL_WEBHOOK__SECRETS": f"{NEW},{OLD}",
            "BCRL_WEBHOOK__ALLOW": "127.0.0.1",
            "BCRL_WEBHOOK__PAUSES": "10ms",
        }
        with mock.patch.dict(os.environ, settings):
            super().setUp()
        self.receiver = Receiver()
        thread = threading.Thread(target=self.receiver.serve_forever)
        thread.start()
        self.addCleanup(self.receiver.server_close)
        self.addCleanup(thread.join)
        self.addCleanup(self.receiver.shutdown)

    def test_a_receiver_knows_who_sent_what_and_when(self) -> None:
        from standardwebhooks import Webhook, WebhookVerificationError

        self.offer()
        job = Client(self.url).submit("soc", n=1, webhook=self.receiver.url)
        job.cancel()
        until("two tries", lambda: len(self.receiver.told) == 2)
        (first, body), (second, again) = self.receiver.told
        self.assertEqual(first["webhook-id"], second["webhook-id"])
        self.assertEqual(body, again)
        for headers in (first, second):
            for secret in (NEW, OLD):
                event = Webhook(secret).verify(body, headers)
                self.assertEqual(event["type"], "job.canceled")
                self.assertEqual(event["data"]["uuid"], job.uuid)
            with self.assertRaises(WebhookVerificationError):
                Webhook(FOREIGN).verify(body, headers)
            with self.assertRaises(WebhookVerificationError):
                Webhook(NEW).verify(body.replace(b"canceled", b"done"), headers)
        self.assertEqual(len(self.get("/api/v1/jobs")["jobs"]), 1)
        self.is_in_order()
