"""Plain HTTP, one connection for each request, so that no answer of a dead server is taken for a
live one's.
"""

import http.client
import json


class NoAnswer(Exception):
    """The connection broke, or was refused: nobody can say what became of the request."""


class Answer:
    """What a server said."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    def json(self):
        """The body as JSON; nothing where it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def text(self):
        return self.body.decode("utf-8", "replace")[:300]


def ask(address, method, path, body=None, patience=60.0):
    """Sends one request to `address` (host and port), and waits for its answer."""
    if address is None:
        raise NoAnswer("no server is up")
    connection = http.client.HTTPConnection(*address, timeout=patience)
    headers = {"Connection": "close"}
    if body is not None:
        headers["Content-Type"] = "application/json"
    try:
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswer(f"{type(error).__name__}: {error}") from error
    finally:
        connection.close()
