"""Parsing of what registries answer."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regfleet.registry_api import answers
from regfleet.registry_api.answers import Answer
from regfleet.registry_api.errors import RegistryError

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("link", "path", "expected"),
    [
        (None, "/v2/_catalog", None),
        ("", "/v2/_catalog", None),
        (
            '</v2/_catalog?last=b&n=2>; rel="next"',
            "/v2/_catalog?n=2",
            "/v2/_catalog?last=b&n=2",
        ),
        ("</v2/_catalog?last=b>; rel=next", "/v2/_catalog", "/v2/_catalog?last=b"),
        ('</x?a=1,2>;rel="prev", </y?b=3,4>; rel="next"', "/v2/", "/y?b=3,4"),
        ('</x>; title="next"', "/v2/", None),
        ('</x>; rel="prev"', "/v2/", None),
        ('</x>; rel="last next"', "/v2/", "/x"),
        ('</x>; REL="NEXT"', "/v2/", "/x"),
        ('<http://inside:5000/v2/x?n=1>; rel="next"', "/v2/", "/v2/x?n=1"),
        ('<//evil.example/v2/x>; rel="next"', "/v2/", "/v2/x"),
        ('<?last=b>; rel="next"', "/v2/_catalog?n=2", "/v2/_catalog?last=b"),
        ('<list?last=b>; rel="next"', "/v2/a/tags/list", "/v2/a/tags/list?last=b"),
        ('<https://evil.example>; rel="next"', "/v2/", "/"),
        ("no link at all", "/v2/", None),
        ("<unclosed; rel=next", "/v2/", None),
    ],
)
def test_next_page(link, path, expected):
    assert answers.next_page(link, path) == expected


@given(st.text())
def test_no_link_leads_away(link):
    found = answers.next_page(link, "/v2/_catalog")
    assert found is None or found.startswith("/")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("busybox", True),
        ("a/b/c", True),
        ("a.b-c__d/e", True),
        ("a---b", True),
        ("x" * 255, True),
        ("x" * 256, False),
        ("", False),
        ("A", False),
        ("a//b", False),
        ("a/", False),
        ("/a", False),
        ("../a", False),
        ("a/../b", False),
        ("a?x=1", False),
        ("a b", False),
        ("a\n", False),
    ],
)
def test_is_repository(name, expected):
    assert answers.is_repository(name) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("latest", True),
        ("1.36", True),
        ("_x", True),
        ("x" * 128, True),
        (DIGEST, True),
        ("sha512:" + "0" * 128, True),
        ("x" * 129, False),
        ("", False),
        ("-x", False),
        (".x", False),
        ("a/b", False),
        ("sha256:" + "0" * 63, False),
        ("sha256:" + "A" * 64, False),
        ("sha256:short", False),
        ("latest\n", False),
    ],
)
def test_is_reference(text, expected):
    assert answers.is_reference(text) is expected


class TestManifest:
    def answer(self, document, **headers):
        return Answer(200, headers, json.dumps(document).encode())

    def test_of_an_image(self):
        answer = self.answer({"config": {"digest": DIGEST}}, **{"content-type": "a/b; charset=x"})
        found = answers.manifest(answer, "r:5000", "latest")
        assert found.digest == f"sha256:{hashlib.sha256(answer.body).hexdigest()}"
        assert found.media_type == "a/b"
        assert found.size == len(answer.body)
        assert found.config == DIGEST
        assert found.members == ()

    def test_of_an_index(self):
        answer = self.answer({"mediaType": "c/d", "manifests": [{"digest": DIGEST}, {}, 1]})
        found = answers.manifest(answer, "r:5000", "latest")
        assert found.media_type == "c/d"
        assert found.config is None
        assert found.members == (DIGEST,)

    def test_a_wrong_digest_is_told(self):
        stated = self.answer({}, **{"docker-content-digest": DIGEST})
        with pytest.raises(RegistryError, match="should have digest") as caught:
            answers.manifest(stated, "r:5000", "latest")
        assert caught.value.kind == "protocol"
        with pytest.raises(RegistryError, match="should have digest"):
            answers.manifest(self.answer({}), "r:5000", DIGEST)

    @given(
        st.recursive(
            st.none() | st.integers() | st.text(),
            lambda x: (
                st.lists(x) | st.dictionaries(st.sampled_from(["config", "manifests", "digest"]), x)
            ),
        )
    )
    def test_any_json_gives_a_manifest_or_an_error(self, document):
        try:
            assert answers.manifest(self.answer(document), "r", "latest").size
        except RegistryError as error:
            assert error.kind == "not-a-registry"  # noqa: PT017


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"1", b"\xff", b"[" * 100000])
def test_what_is_no_document(body):
    with pytest.raises(RegistryError, match="text/html") as caught:
        answers.document(Answer(200, {"content-type": "text/html"}, body), "r:5000")
    assert caught.value.kind == "not-a-registry"


@pytest.mark.parametrize(
    ("found", "expected"), [(None, ()), ([], ()), (["a", 1, "b"], ("a", "b")), ("ab", ())]
)
def test_strings(found, expected):
    assert answers.strings_of(found) == expected


def errors(code, message):
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()


@pytest.mark.parametrize(
    ("status", "headers", "body", "user", "kind", "message"),
    [
        (401, {}, b"", None, "unauthorized", "r:5000 wants a login"),
        (401, {}, b"", "ci", "unauthorized", "does not accept the password of user 'ci'"),
        (
            401,
            {"www-authenticate": 'Bearer realm="https://auth.example/token"'},
            b"",
            "ci",
            "unauthorized",
            "wants a token from another service: Bearer",
        ),
        (403, {}, errors("DENIED", "no"), "ci", "forbidden", "GET /x: 403 DENIED: no"),
        (404, {}, errors("NAME_UNKNOWN", "x"), None, "not-found", "404 NAME_UNKNOWN: x"),
        (405, {}, errors("UNSUPPORTED", "x"), None, "unsupported", "405 UNSUPPORTED: x"),
        (429, {}, b"", None, "protocol", "429"),
        (500, {}, b"<html>", None, "protocol", "GET /x: 500"),
        (302, {}, b"{}", None, "protocol", "302"),
        (
            400,
            {},
            b"Client sent an HTTP request to an HTTPS server.\n",
            None,
            "tls",
            "speaks TLS, and was asked without",
        ),
    ],
)
def test_refusal(status, headers, body, user, kind, message):  # noqa: PLR0917 - by name
    error = answers.refusal(Answer(status, headers, body), "r:5000", "GET /x", user)
    assert error.kind == kind
    assert message in error.message
