"""What a log line must not hold, and what is left of it."""

from pathlib import Path

import pytest

from taxiway.logs.redaction import HIDDEN, LONGEST_TEXT, Redaction
from taxiway.settings import Secret

KEY = "key_" + "0123456789abcdef" * 8
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        pytest.param(f"sent {KEY} there", "sent *** there", id="Runway's key"),
        pytest.param("key sk-1234 is wrong", "key *** is wrong", id="a LiteLLM key"),
        pytest.param("Authorization: Bearer abc.def-1", "Authorization: ***", id="a bearer token"),
        pytest.param(
            f"headers={{'Authorization': 'Bearer {KEY}'}}",
            "headers={'Authorization': '***'}",
            id="a repr of headers",
        ),
        pytest.param(f"token {JWT}.", "token ***.", id="a JSON Web Token"),
        pytest.param("a _jwt=abc&x=1", "a _jwt=***&x=1", id="a parameter of a signed URL"),
        pytest.param("password=hunter2 user=me", "password=*** user=me", id="a password"),
        pytest.param(
            "GET https://cdn.example/a/b.png?_jwt=abc&v=1 failed",
            "GET https://cdn.example/a/b.png?*** failed",
            id="a signed URL",
        ),
        pytest.param(
            "ClientResponseError: 403, url='https://cdn.example/x?Signature=abc'",
            "ClientResponseError: 403, url='https://cdn.example/x?***'",
            id="a URL in quotes",
        ),
        pytest.param(
            "postgresql+asyncpg://me:hunter2@db:5432/taxiway",
            "postgresql+asyncpg://***@db:5432/taxiway",
            id="a URL with a password",
        ),
        pytest.param(
            "got data:image/png;base64,iVBORw0KGgo= instead",
            "got data:image/png;base64 (34 characters) instead",
            id="a data URI",
        ),
        pytest.param(
            "(IntegrityError) NOT NULL [SQL: INSERT] [parameters: ('a lighthouse', 1)]",
            "(IntegrityError) NOT NULL [SQL: INSERT] [parameters: ***",
            id="the parameters of a statement",
        ),
        pytest.param(
            "DETAIL: Failing row contains (job_1, a lighthouse).",
            "DETAIL: Failing row contains ***",
            id="a row in an error",
        ),
        pytest.param("x" * 3_000, "x" * (LONGEST_TEXT - 1) + "…", id="a text without end"),
    ],
)
def test_secrets_are_taken_out(text: str, left: str) -> None:
    """What looks like a secret is replaced, and the rest of the text stays."""
    assert left == Redaction().text(text)


@pytest.mark.parametrize(
    "text",
    [
        "key_model_access_denied",
        "job_0193f1c2a7b87d3e9f00112233445566",
        "17d9e8a3-0c57-4f0e-9a53-2f5d1f7b8c11",
        "/v1/jobs/{id}/events",
        "task-1234 of desk-5678",
        "metadata: none, 4 > 3",
        "https://cdn.example/a/b.png",
        "ünïcode, 灯台",
    ],
)
def test_ordinary_texts_are_left_alone(text: str) -> None:
    """Ids, codes, routes and addresses are not mistaken for secrets."""
    assert text == Redaction().text(text)


def test_configured_secrets_are_known_by_heart() -> None:
    """A configured key is hidden whatever it looks like; a very short one would be found in innocent words."""
    redaction = Redaction(["open sesame!", "open sesame! twice", "abc"])

    assert redaction.text("said open sesame! twice") == "said ***"
    assert redaction.text("abc is the alphabet") == "abc is the alphabet"


@pytest.mark.parametrize(
    ("value", "left"),
    [
        pytest.param(7, 7, id="a number"),
        pytest.param(2**70, str(2**70), id="a number too wide for JSON's readers"),
        pytest.param(True, True, id="a truth"),
        pytest.param(("a", KEY), ["a", "***"], id="a list of texts"),
        pytest.param(ValueError(f"no {KEY}"), "no ***", id="an exception, by its text"),
        pytest.param({"prompt": "A lighthouse."}, "<dict>", id="a mapping"),
        pytest.param(Secret("abcdef"), "<Secret>", id="a secret"),
        pytest.param(Path("/tmp/a"), "<PosixPath>", id="any object"),  # noqa: S108 - only a name
    ],
)
def test_only_plain_values_pass(value: object, left: object) -> None:
    """Numbers and texts are written; of an object that may hold anything, no more than its type."""
    line = Redaction()(None, "info", {"event": "job.accepted", "value": value})

    assert line == {"event": "job.accepted", "value": left}


@pytest.mark.parametrize("field", ["authorization", "cookie", "token", "headers", "body", "prompt"])
def test_forbidden_fields_are_never_written(field: str) -> None:
    """Some fields are hidden by their names, whatever they hold."""
    assert Redaction()(None, "info", {field: "harmless"}) == {field: HIDDEN}


def test_a_traceback_is_searched_to_its_leaves() -> None:
    """Messages deep inside a chain of exceptions are cleaned like all other text."""
    tree = [{"exc_value": f"no {KEY}", "frames": [{"lineno": 3}], "exceptions": [[KEY]]}]
    line = Redaction()(None, "error", {"exception": tree})

    assert line == {
        "exception": [{"exc_value": "no ***", "frames": [{"lineno": 3}], "exceptions": [["***"]]}]
    }
