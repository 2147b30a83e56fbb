"""A gateway before registries that know nothing of it: it decides alone, and falls over."""

import base64
import hashlib
import http.client
import http.server
import json
import threading
import time
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone

import pytest
from gateway_stand import Stand, free_port, program, put
from making import registry as make_registry

from regfleet import htpasswd
from regfleet.fleet.registries import Gateway, PasswordSource, User
from regfleet.gateway import behind
from regfleet.gateway.upstreams import Upstreams
from regfleet.materials import Behind
from regfleet.pki import tokens
from regfleet.pki.certificates import server_pair
from regfleet.runtimes import configuration
from regfleet.secret import Secret


@dataclass
class Alone(Stand):
    """A gateway with the registries that it stands before, each a process of its own.

    Attributes:
        ends: their names, the preferred one first.
        plain: whether they have neither TLS nor users.
    """

    ends: tuple = ("one",)
    plain: bool = True
    ports: dict = field(default_factory=dict)

    def __post_init__(self):
        super().__post_init__()
        self.ports = {name: free_port() for name in self.ends}
        self.changes = {
            "hosts": (),
            "gateway": Gateway("nginx:stable", before=self.ends),
            "delete": len(self.ends) == 1,
            **self.changes,
        }

    def end_of(self, name):
        """The declaration of one of the registries behind."""
        users = () if self.plain else (User("front", PasswordSource("generate")),)
        return make_registry(name, f"localhost:{self.ports[name]}", hosts=(), users=users)

    @property
    def login(self):
        return None if self.plain else Secret("Basic ZnJvbnQ6ZnJvbnQtcGFzc3dvcmQ=")

    @property
    def material(self):
        ends = tuple(
            Behind(
                name,
                f"localhost:{port}",
                "localhost",
                (f"127.0.0.1:{port}",),
                tls=not self.plain,
                ca=None if self.plain else self.authority.certificate_pem,
                login=self.login,
            )
            for name, port in self.ports.items()
        )
        return replace(super().material, behind=ends)

    def front(self, temporary):
        ways = Upstreams("", ways=self.places.behind[: len(self.ends)])
        return replace(super().front(temporary), instances=ways)

    def write(self):
        super().write()
        now = datetime.now(timezone.utc)
        for name in self.ends:
            home = self.directory / name
            home.mkdir(exist_ok=True)
            own, material = self.end_of(name), replace(super().material, tokens=None)
            pair = server_pair(
                self.state, own, authority=lambda: self.authority, now=now, save=True
            )
            users = {"front": Secret("front-password")}
            hashed = htpasswd.for_registry(
                self.state, name, users, {"front": "generate"}, save=True
            )
            material = replace(
                material,
                pair=None if self.plain else pair,
                htpasswd=None if self.plain else hashed,
            )
            text = configuration.render(
                own,
                material,
                str(home),
                storage=str(home / "images"),
                listen=f"127.0.0.1:{self.ports[name]}",
            )
            put(home / "config.yml", text.encode())
            put(home / "registry.crt", pair.certificate_pem)
            put(home / "registry.key", pair.key_pem.reveal().encode())
            put(home / "htpasswd", hashed.encode())

    def start_registry(self):
        for name in self.ends:
            self.start_end(name)

    def start_end(self, name):
        self.start(name, self.registry_program, "serve", str(self.directory / name / "config.yml"))

    def log(self, name):
        return "" if name == "registry" else super().log(name)

    def served_by(self):
        """Which registry answers."""
        answer = self.ask("GET", "/v2/", user="root")
        assert answer.status == 200, answer
        return answer.headers["X-Regfleet-Registry"]


@pytest.fixture(scope="module")
def make(tmp_path_factory, registry_program):
    programs = (program("REGFLEET_NGINX", "nginx/usr/sbin/nginx", "nginx"), registry_program)
    made = []

    def one(**settings):
        stand = Alone(tmp_path_factory.mktemp("alone"), *programs, **settings)
        made.append(stand)
        return stand.run()

    yield one
    for stand in made:
        stand.stop()


@pytest.fixture(scope="module")
def alone(make):
    """Before one registry, which has neither TLS nor users."""
    made = make()
    for repository in ("team-a/app", "team-a/secret", "team-b/app", "open/app", "nobodys"):
        assert made.push(repository, user="root").status == 201
    return made


WHO = (
    # user, repository, and the answers to a pull, a push and a deletion
    ("root", "nobodys", (200, 201, 202)),
    ("alice", "team-a/app", (200, 201, 403)),
    ("bob", "team-a/app", (200, 403, 403)),
    ("carol", "team-a/app", (200, 201, 202)),
    ("alice", "team-a/secret", (403, 403, 403)),
    ("dave", "team-a/app", (403, 403, 403)),
    (None, "team-a/app", (401, 401, 401)),
    (None, "open/app", (200, 401, 401)),
    ("bob", "open/app", (200, 403, 403)),
    ("carol", "nobodys", (403, 403, 403)),
)


@pytest.mark.parametrize(("user", "repository", "expected"), WHO)
def test_roles_hold_where_the_registry_has_none(alone, user, repository, expected):
    pulls, pushes, deletes = expected
    assert alone.push(repository, "gone", user="root").status == 201
    digest = alone.pull(repository, "gone", user="root").headers["Docker-Content-Digest"]

    def ways(found):
        """By password, and by a token with all that this user gets."""
        token = alone.token(f"repository:{repository}:pull,push,delete", user=user)
        return [found(user=user), found(token=token)]

    def statuses(found):
        # Without a login a token is refused by another challenge: 401 too.
        return [each.status for each in ways(found)]

    assert statuses(lambda **who: alone.pull(repository, **who)) == [pulls] * 2
    pushed = statuses(lambda **who: alone.push(repository, "2", **who))
    assert pushed == [pushes] * 2
    place = f"/v2/{repository}/manifests/{digest}"
    assert statuses(lambda **who: alone.ask("DELETE", place, **who))[0] == deletes
    assert (
        statuses(lambda **who: alone.ask("GET", f"/v2/{repository}/tags/list", **who))
        == [pulls] * 2
    )


def test_a_refusal_says_why(alone):
    assert alone.push("team-a/app", user="bob").said == "bob may only pull in team-a/app"
    answer = alone.ask("GET", "/v2/_catalog", user="bob")
    assert (answer.status, answer.said) == (403, "bob may not list all repositories")
    assert alone.ask("GET", "/v2/_catalog", user="root").json["repositories"]


def test_a_wrong_password_is_wrong_on_every_path(alone):
    for method, path in (
        ("GET", "/v2/"),
        ("GET", "/v2/_catalog"),
        ("GET", "/v2/open/app/manifests/1"),
        ("GET", "/v2/open/app/tags/list"),
        ("POST", "/v2/open/app/blobs/uploads/"),
        ("PUT", "/v2/open/app/manifests/1"),
    ):
        assert alone.ask(method, path, user="root", password="wrong").status == 401, path


def changed(token, part, with_):
    parts = token.split(".")
    parts[part] = with_(parts[part])
    return ".".join(parts)


def test_a_token_that_is_not_ours_opens_nothing(alone, stands):
    def encode(document):
        return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")

    good = alone.token("repository:team-a/app:pull", user="bob")
    place = "/v2/team-a/app/tags/list"
    assert alone.ask("GET", place, token=good).status == 200
    payload = json.loads(base64.urlsafe_b64decode(good.split(".")[1] + "=="))
    more = {**payload, "access": [{**payload["access"][0], "actions": ["pull", "push"]}]}
    none = f"{encode({'alg': 'none', 'typ': 'JWT'})}.{good.split('.')[1]}."
    other = stands()
    for token in (
        changed(good, 1, lambda _: encode(more)),
        changed(good, 2, lambda text: text[:-4] + "AAAA"),
        changed(good, 2, lambda _: ""),
        none,
        other.token("repository:team-a/app:pull", user="bob"),
        good + ".",
        "x",
        "",
    ):
        answer = alone.ask("GET", place, token=token)
        assert answer.status == 401, token
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    # One that is good for less than the user may do: the client is told to fetch another one.
    less = alone.token("repository:team-a/app:pull", user="alice")
    answer = alone.ask("POST", "/v2/team-a/app/blobs/uploads/", token=less)
    assert answer.status == 401
    assert 'scope="repository:team-a/app:pull,push"' in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    "path",
    [
        "/v2/open/app/../../team-b/app/manifests/1",
        "/v2/open/app/..%2f..%2fteam-b/app/manifests/1",
        "/v2/open%2fapp/manifests/1",
        "/v2/team-b/app/manifests/1;x=open/app",
        "/v2//team-b/app/manifests/1",
        "/v2/./team-b/app/manifests/1",
        "/v2/Team-B/app/manifests/1",
        "/v2/team-b/app/manifests/1/",
        "/v2/team-b/app/manifests/",
        "/v2/team-b/app/tags/list/x",
        "/v2/team-b/app",
        "/v2/team-b/app/manifests/1?x=1;from=nobodys",
        "/v2/_catalog/",
        "/v2/_catalog/../team-b/app/manifests/1",
        "/v2/team-b/app/_mint",
    ],
)
def test_no_other_spelling_leads_around_a_role(alone, path):
    """Of a public repository, of somebody's who may push there, and by an admin: nothing."""
    for who in ({}, {"user": "alice"}, {"user": "root"}):
        answer = alone.ask("GET", path, **who)
        assert answer.status in (401, 403, 404), (path, who, answer)
    assert alone.ask("GET", path, user="root").status != 200


def test_nothing_is_mounted_from_where_one_may_not_pull(alone):
    secret = b'{"secret": true}'
    assert alone.upload("team-b/app", secret, user="root").status == 201
    digest = f"sha256:{hashlib.sha256(secret).hexdigest()}"
    start = "/v2/team-a/app/blobs/uploads/"
    assert alone.ask("POST", f"{start}?mount={digest}&from=team-b/app", user="root").status == 201
    token = alone.token("repository:open/app:*", user="alice")
    other = "/v2/open/app/blobs/uploads/"
    for query, form in (
        (f"mount={digest}&from=team-b/app", ""),
        (f"mount={digest}&from=open/app&from=team-b/app", ""),
        (f"mount={digest}&from=team-b/app&from=open/app", ""),
        (f"mount={digest}&%66rom=team-b%2fapp", ""),
        (f"mount={digest}", "from=team-b/app"),
        ("", f"mount={digest}&from=team-b/app"),
        # njs stops at a thousand fields by itself, registries at none.
        (f"{'&' * 1000}mount={digest}&from=team-b/app", ""),
        (f"{'a=1&' * 1500}mount={digest}&from=open/app&from=team-b/app", ""),
    ):
        for who in (
            {"user": "alice"},
            {"token": token},
        ):
            answer = alone.ask(
                "POST",
                f"{other}?{query}",
                body=form,
                Content_Type="application/x-www-form-urlencoded",
                **who,
            )
            assert answer.status != 201, (query, form, who)
    assert alone.ask("HEAD", f"/v2/open/app/blobs/{digest}", user="alice").status == 404


def test_who_is_on_its_host_goes_no_way_around_it(alone):
    address, port = alone.places.behind[0].split(":")
    for headers in ({}, {behind.MARK: "x"}):
        connection = http.client.HTTPConnection(address, int(port), timeout=10)
        connection.request("GET", "/v2/nobodys/manifests/1", headers=headers)
        assert connection.getresponse().status == 403
        connection.close()


def test_places_lead_back_to_the_gateway(alone):
    begun = alone.ask("POST", "/v2/team-a/app/blobs/uploads/", user="alice")
    assert begun.status == 202
    where = begun.headers["Location"]
    assert where.startswith(f"https://localhost:{alone.port}/v2/team-a/app/blobs/uploads/"), where


def test_tls_and_a_login_behind(make):
    """And the gateway says so when that login is refused."""
    made = make(plain=False)
    assert made.push("team-a/app", user="alice").status == 201
    assert made.pull("team-a/app", user="bob").status == 200
    texts = [file for file in made.needs.files if file.path.endswith("ways.conf")]
    assert "ZnJvbnQ6" in texts[0].content.decode()
    assert "ZnJvbnQ6" not in texts[0].shown
    assert texts[0].mode == 0o600
    made.end("one")
    put(made.directory / "one" / "htpasswd", b"front:$2y$05$" + b"x" * 53 + b"\n")
    made.start_end("one")
    for _ in range(200):
        answer = made.pull("team-a/app", user="bob")
        if "refuses the login" in answer.body.decode():
            break
        time.sleep(0.1)
    assert (answer.status, answer.said) == (
        503,
        "the registry behind the gateway refuses the login that the gateway has there",
    )


@pytest.mark.parametrize(
    ("challenges", "words"),
    [
        (['Bearer realm="https://auth.test/token",service="old.test"'], "wants tokens of another"),
        (['Basic realm="old"'], "refuses the login"),
        (['Bearer realm="https://auth.test/token", Basic realm="old"'], "refuses the login"),
        ([], "refuses the login"),
    ],
)
def test_it_is_told_apart_why_a_registry_behind_lets_nobody_in(make, challenges, words):
    """Registries that take tokens of a service of their own, as Harbor, are not possible."""
    made = make()
    made.end("one")

    class Refuses(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(401)
            for each in challenges:
                self.send_header("WWW-Authenticate", each)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            """Nothing is logged."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", made.ports["one"]), Refuses) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for _ in range(300):
            answer = made.pull("team-a/app", user="bob")
            if answer.status == 503 and "does not answer" not in answer.said:
                break
            time.sleep(0.1)
        ready = made.ask("GET", made.needs.ready)
        server.shutdown()
    assert (answer.status, words in answer.said) == (503, True), answer.said
    assert ready.status == 503
    assert words in made.log("nginx")


def test_a_registry_that_another_ca_signed_for_is_sent_nothing(make):
    made = make(plain=False)
    trusted = next(file for file in made.needs.files if file.path.endswith("behind-0.crt"))
    stranger = Stand(made.directory / "stranger", "", "").authority.certificate_pem
    put(made.directory / "gateway" / "behind-0.crt", stranger)
    assert trusted.content != stranger
    made.hang_up()
    before = made.log("one").count('"GET /v2/')
    assert made.pull("team-a/app", user="alice").status == 503
    assert made.log("one").count('"GET /v2/') == before


def test_a_new_key_is_taken_up_without_a_refused_request(make):
    """Workers of before a reload ask by the ways of those after it."""
    made = make()
    assert made.push("team-a/app", user="root").status == 201
    now = datetime.now(timezone.utc)
    before = made.token("repository:team-a/app:pull", user="bob")
    answers, stop = [], threading.Event()

    def pull():
        while not stop.is_set():
            answers.append(made.pull("team-a/app", user="bob").status)

    pulling = threading.Thread(target=pull)
    pulling.start()
    try:
        tokens.accept_next(made.state, "main", now)
        made.reload()
        tokens.sign_with_next(made.state, "main")
        made.reload()
        after = made.token("repository:team-a/app:pull", user="bob")
        for token in (before, after):
            assert made.pull("team-a/app", token=token).status == 200
        tokens.forget_former(made.state, "main")
        made.reload()
    finally:
        stop.set()
        pulling.join()
    assert made.pull("team-a/app", token=after).status == 200
    assert made.pull("team-a/app", token=before).status == 401
    assert set(answers) == {200}


@pytest.fixture
def pair(make):
    return make(ends=("one", "two"), plain=False)


def until(found, wanted):
    for _ in range(300):
        if found() == wanted:
            return
        time.sleep(0.1)
    raise AssertionError(f"{found()} is not {wanted}")


def begin(stand):
    begun = stand.ask("POST", "/v2/team-a/app/blobs/uploads/", user="alice")
    assert begun.status == 202
    return begun.headers["Location"].partition(f":{stand.port}")[2]


def finish(stand, place):
    digest = hashlib.sha256(b"part").hexdigest()
    sent = stand.ask("PATCH", place, user="alice", body=b"part")
    place = sent.headers["Location"].partition(f":{stand.port}")[2]
    return stand.ask("PUT", f"{place}&digest=sha256:{digest}", user="alice")


def test_the_second_serves_while_the_first_does_not(pair):
    assert {pair.served_by() for _ in range(10)} == {"one"}
    assert pair.push("team-a/app", user="alice").status == 201
    assert (pair.directory / "one/images/docker/registry/v2/repositories/team-a/app").exists()
    assert not (pair.directory / "two/images/docker").exists()
    pair.end("one")
    # Each request is answered, also the one that finds out.
    assert {pair.served_by() for _ in range(20)} == {"two"}
    assert pair.push("team-a/app", "2", user="alice").status == 201
    assert pair.pull("team-a/app", "2", user="bob").status == 200
    begun = begin(pair)
    pair.start_end("one")
    until(pair.served_by, "one")
    # An upload ends where it began, and is begun anew when it cannot.
    assert finish(pair, begun).status == 201
    begun = begin(pair)
    pair.end("one")
    with pytest.raises(http.client.RemoteDisconnected):
        finish(pair, begun)
    assert finish(pair, begin(pair)).status == 201
    pair.start_end("one")
    until(pair.served_by, "one")
    assert {pair.served_by() for _ in range(20)} == {"one"}
    pair.end("two")
    assert {pair.served_by() for _ in range(20)} == {"one"}
    pair.end("one")
    answer = pair.pull("team-a/app", user="bob")
    assert (answer.status, answer.said) == (
        503,
        "the registry behind the gateway does not answer: try again",
    )
    pair.start_end("two")
    until(lambda: pair.ask("GET", "/v2/", user="root").status, 200)
    assert pair.served_by() == "two"


def test_with_two_nothing_is_deleted(pair):
    assert pair.push("team-a/app", user="root").status == 201
    digest = pair.pull("team-a/app", user="root").headers["Docker-Content-Digest"]
    for who in ({"user": "root"}, {"token": pair.token("repository:team-a/app:*", user="root")}):
        answer = pair.ask("DELETE", f"/v2/team-a/app/manifests/{digest}", **who)
        assert answer.status == 405
        assert "delete it in the registries behind" in answer.said
    # An upload that is given up is no image.
    begun = pair.ask("POST", "/v2/team-a/app/blobs/uploads/", user="root").headers["Location"]
    place = begun.partition(f":{pair.port}")[2]
    assert pair.ask("DELETE", place, user="root").status == 204
