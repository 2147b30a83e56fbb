"""A real gateway when something behind it fails, changes, or is asked too often."""

import base64
import http.client
import json
import socket
import threading
import time
from contextlib import ExitStack, suppress

import pytest
import shells
from gateway_stand import PROJECTS, Answer
from making import MARK

from regfleet.doctor.causes import recognise
from regfleet.fleet.registries import Member, Project, Tls
from regfleet.look import guesses
from regfleet.model.status import WrongLogins
from regfleet.registry_api import answers
from regfleet.shell import frame


@pytest.fixture(scope="module")
def own(stands):
    """A gateway for tests that leave it as it was."""
    stand = stands()
    assert stand.push("team-a/app", user="root").status == 201
    assert stand.push("open/app", user="root").status == 201
    return stand


def test_the_password_check_is_down(own):
    """That is no wrong password; tokens that are there go on."""
    token = own.token("repository:team-a/app:pull", user="bob")
    own.end("users")
    try:
        asked = (
            ("GET", "/v2/team-a/app/manifests/1"),
            ("GET", "/v2/"),
            ("POST", "/v2/team-a/app/blobs/uploads/"),
            ("PATCH", "/v2/team-a/app/blobs/uploads/x"),
            ("GET", "/auth/token"),
        )
        for method, path in asked:
            answer = own.ask(method, path, user="carol")
            assert (answer.status, answer.said) == (
                503, "passwords cannot be checked now: try again",
            )  # fmt: skip
            assert answer.headers["Retry-After"] == "5"
        assert own.pull("team-a/app", token=token).status == 200
        assert own.pull("open/app").status == 200
        assert own.ask("GET", own.needs.ready).json == {"ready": False, "users": 502}
    finally:
        own.start_users()
        own.wait()
    assert own.pull("team-a/app", user="carol").status == 200


def test_the_registry_is_down(own):
    token = own.token("repository:team-a/app:pull,push", user="alice")
    own.end("registry")
    try:
        for who in ({"user": "alice"}, {"token": token}, {}):
            answer = own.pull("team-a/app", **who)
            assert answer.status == 503
            assert answer.said == "the registry behind the gateway does not answer: try again"
        assert own.ask("POST", "/v2/team-a/app/blobs/uploads/", token=token).status == 503
        # A torn upload is not answered: then clients try again.
        for who in ({"user": "alice"}, {"token": token}):
            with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
                own.ask("PATCH", "/v2/team-a/app/blobs/uploads/x", body=b"x", **who)
        assert own.ask("GET", own.needs.ready).status == 503
    finally:
        own.start_registry()
        own.wait()


def test_what_the_registry_says_of_itself_is_kept(own):
    answer = own.pull("team-a/app", tag="none", user="bob")
    assert (answer.status, answer.json["errors"][0]["code"]) == (404, "MANIFEST_UNKNOWN")
    answer = own.ask("PUT", "/v2/team-a/app/manifests/1", user="alice", body="no manifest")
    assert (answer.status, answer.json["errors"][0]["code"]) == (400, "MANIFEST_INVALID")


def test_large_things(own):
    answer = own.ask("PUT", "/v2/team-a/app/manifests/1", user="alice", body=b"x" * (6 << 20))
    assert (answer.status, answer.json["errors"][0]["code"]) == (413, "SIZE_INVALID")
    assert own.upload("team-a/app", b"y" * (20 << 20), user="alice").status == 201
    token = own.token("repository:team-a/app:pull,push", user="alice")
    assert own.upload("team-a/app", b"z" * (20 << 20), token=token).status == 201


def test_a_role_is_changed_without_a_lost_request(own):
    failures, stop = [], threading.Event()

    def pull():
        while not stop.is_set():
            found = ["nothing"]
            with suppress(OSError):
                found = [own.pull("open/app", **who) for who in ({}, {"user": "bob"})]
                found.append(own.ask("GET", "/v2/", token=own.token(user="alice")))
            failures.extend(each for each in found if getattr(each, "status", 0) != 200)

    assert own.push("team-a/app", tag="2", user="bob").status == 403
    threads = [threading.Thread(target=pull) for _ in range(3)]
    for thread in threads:
        thread.start()
    before = own.processes["nginx"].pid
    old = own.token("repository:team-a/app:pull", user="bob")
    try:
        own.changes["projects"] = with_bob("developer")
        own.reload()
        assert own.push("team-a/app", tag="2", user="bob").status == 201
        own.changes["projects"] = with_bob(None)
        own.reload()
        assert own.pull("team-a/app", user="bob").status == 403
        new = own.token("repository:team-a/app:pull", user="bob")
        assert own.pull("team-a/app", token=new).status == 403
        # A token that is out is good until it ends: 5 minutes.
        assert own.pull("team-a/app", token=old).status == 200
    finally:
        own.changes["projects"] = PROJECTS
        own.reload()
        stop.set()
        for thread in threads:
            thread.join()
    assert own.processes["nginx"].pid == before
    assert failures == []


def with_bob(role):
    members = (Member("alice", "developer"), Member("carol", "admin"))
    bob = (Member("bob", role),) if role else ()
    return (Project("team-a", members=(*members, *bob)), *PROJECTS[1:])


def test_a_password_is_changed_at_once(own):
    assert own.pull("team-a/app", user="bob").status == 200
    own.passwords["bob"] = "another"
    own.reload()
    try:
        assert own.pull("team-a/app", user="bob", password="bob-password").status == 401
        assert own.pull("team-a/app", user="bob").status == 200
        assert own.ask("GET", "/auth/token", user="bob", password="bob-password").status == 401
    finally:
        own.passwords["bob"] = "bob-password"
        own.reload()


def test_a_broken_configuration_leaves_the_old_one_at_work(own):
    conf = own.directory / "gateway" / "policy.js"
    text = conf.read_text()
    conf.write_text("export default {")
    own.processes["nginx"].send_signal(1)
    time.sleep(1)
    assert own.pull("team-a/app", user="bob").status == 200
    conf.write_text(text)
    own.reload()


def test_a_long_upload_outlives_a_reload(own):
    """The token ends meanwhile, too: what began with a good one goes on."""
    token = own.token("repository:team-a/app:pull,push", user="alice")
    begun = own.ask("POST", "/v2/team-a/app/blobs/uploads/", token=token)
    where = begun.headers["Location"].partition(f":{own.port}")[2]
    connection = http.client.HTTPSConnection("localhost", own.port, context=own.trust(), timeout=30)
    connection.putrequest("PATCH", where)
    connection.putheader("Authorization", f"Bearer {token}")
    connection.putheader("Content-Length", str(3 << 20))
    connection.endheaders()
    connection.send(b"a" * (1 << 20))
    own.changes["projects"] = with_bob("developer")
    own.reload()
    connection.send(b"a" * (1 << 20))
    own.changes["projects"] = PROJECTS
    own.reload()
    connection.send(b"a" * (1 << 20))
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Range"]) == (202, f"0-{(3 << 20) - 1}")
    connection.close()


def test_guesses_are_slowed(stands):
    """Of one who guesses at a name; others are not held up, and he is told in the end."""
    stand = stands()
    found, began = [], time.monotonic()

    def guess(number):
        path = "/auth/token" if number % 2 else "/v2/team-a/app/tags/list"
        found.append(stand.ask("GET", path, user="bob", password=f"no{number}"))

    threads = [threading.Thread(target=guess, args=(number,)) for number in range(30)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    assert stand.ask("GET", "/v2/", user="carol").status == 200
    assert any(thread.is_alive() for thread in threads)
    for thread in threads:
        thread.join()
    assert time.monotonic() - began > 9
    slowed = [answer for answer in found if answer.status == 429]
    assert len(slowed) >= 15
    assert {answer.json["errors"][0]["code"] for answer in slowed} == {"TOOMANYREQUESTS"}
    assert {answer.headers["Retry-After"] for answer in slowed} == {"10"}
    wrong = [answer for answer in found if answer.status == 401]
    assert len(wrong) + len(slowed) == 30
    assert stand.log("nginx").count("wrong password or no such user") == len(wrong)


@pytest.mark.parametrize("how", ["GET", "POST", "Basic"])
def test_no_time_tells_who_is_a_user(stands, how):
    """The password of a user is compared, which takes its time; that of nobody is not."""
    stand = stands(source="env", passwords={f"user{number}": "secret" for number in range(5)})
    taken = {"user": [], "nobody": []}
    for number in range(5):
        for name in ("user", "nobody"):
            time.sleep(0.15)  # or all would wait, as who guesses too often
            began = time.monotonic()
            who = f"{name}{number}"
            if how == "POST":
                body = f"grant_type=password&username={who}&password=wrong"
                answer = stand.ask("POST", "/auth/token", body=body)
            else:
                path = "/auth/token" if how == "GET" else "/v2/team-a/app/tags/list"
                answer = stand.ask("GET", path, user=who, password="wrong")
            assert answer.status == 401
            taken[name].append(time.monotonic() - began)
    # The least of each: what a busy machine adds differs.
    assert min(taken["user"]) < 2 * min(taken["nobody"])


WRONG = f"Authorization: Basic {base64.b64encode(b'bob:wrong').decode()}\r\n"
UNREAD = {
    "upload": (f"POST /v2/team-a/app/blobs/uploads/ HTTP/1.1\r\n{WRONG}", 401),
    "part of one": (f"PATCH /v2/team-a/app/blobs/uploads/x HTTP/1.1\r\n{WRONG}", 401),
    "nobody's": ("POST /v2/team-a/app/blobs/uploads/ HTTP/1.1\r\n", 401),
    "manifest": (f"PUT /v2/team-a/app/manifests/1 HTTP/1.1\r\n{WRONG}", 401),
    "ping": ("PUT /v2/ HTTP/1.1\r\n", 401),
    "readiness": ("PUT /auth/ready/x HTTP/1.1\r\n", 413),
    "token": ("POST /auth/token HTTP/1.1\r\n", 413),
    "plain": ("POST /v2/team-a/app/blobs/uploads/ HTTP/1.1\r\n", 308),
}


def refusal(stand, head, *, chunked, tls=True):
    """The status of what is answered when a part of the body came: Go wants 256 KB of it."""
    length = (
        "Transfer-Encoding: chunked\r\n\r\n200000" if chunked else "Content-Length: 2000000\r\n"
    )
    request = f"{head}Host: localhost:{stand.port}\r\n{length}\r\n{'x' * 400000}"
    plain = socket.create_connection(("localhost", stand.port), timeout=20)
    with stand.trust().wrap_socket(plain, server_hostname="localhost") if tls else plain as one:
        one.sendall(request.encode())
        answer = http.client.HTTPResponse(one)
        answer.begin()
        return answer.status


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("what", UNREAD)
def test_what_is_refused_is_not_read(stand, what, chunked):
    """njs would have kept all of it in a file, however much, and only then answered."""
    head, status = UNREAD[what]
    assert refusal(stand, head, chunked=chunked, tls=what != "plain") == status


def begin_one(stand, opened, text, patience=20):
    """A connection of its own, on which this much of a request is sent."""
    plain = socket.create_connection(("localhost", stand.port), timeout=20)
    one = opened.enter_context(stand.trust().wrap_socket(plain, server_hostname="localhost"))
    one.sendall(text)
    one.settimeout(patience)
    return one


@pytest.mark.parametrize("length", ["Content-Length: 4000000", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("method", ["PUT", "GET"])
def test_manifests_that_are_begun_and_not_ended_fill_nothing(own, method, length):
    """Anybody may begin one: it is kept until all of it is there. Others push meanwhile."""
    who = "Authorization: Bearer x\r\n" if method == "PUT" else ""
    head = f"{method} /v2/open/app/manifests/1 HTTP/1.1\r\nHost: localhost:{own.port}\r\n{who}"
    text = f"{head}{length}\r\n\r\n200000\r\nbegun".encode()
    with ExitStack() as begun:
        for _ in range(16):
            begin_one(own, begun, text)
        # Until all of them are there, one more is none too many: it goes, and another one comes.
        for patience in (0.5, 1, 2, 4, 8, 16):
            with ExitStack() as more:
                answer = http.client.HTTPResponse(begin_one(own, more, text, patience))
                with suppress(TimeoutError):
                    answer.begin()
                    more.pop_all()
                    break
        else:
            pytest.fail("no answer")
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
        assert "too many large manifests" in answer.read().decode()
        assert own.push("open/app", tag="small", user="alice").status == 201


@pytest.mark.parametrize("chunked", [False, True])
def test_nor_is_what_nobody_can_decide_about(own, chunked):
    own.end("users")
    try:
        assert refusal(own, UNREAD["upload"][0], chunked=chunked) == 503
    finally:
        own.start_users()
        own.wait()


def test_who_is_known_is_not_asked_again(own):
    """bcrypt is paid once a minute, whatever is pulled."""
    own.ask("GET", "/v2/", user="dave")
    own.end("users")
    try:
        for repository in ("open/app", "open/other", "team-b/app"):
            assert own.pull(repository, user="dave").status in (200, 404)
        assert own.ask("GET", "/auth/token", user="dave").status == 200
        assert own.ask("GET", "/auth/token", user="dave", password="wrong").status == 503
    finally:
        own.start_users()
        own.wait()


def test_the_cache_has_no_credentials(own):
    own.ask("GET", "/v2/", user="dave")
    cache = own.directory / "temporary" / "cache"
    texts = [path.read_bytes() for path in cache.rglob("*") if path.is_file()]
    assert texts
    for secret in (b"dave-password", b"ZGF2ZT", b"dave:"):
        assert not any(secret in text for text in texts)


def test_without_tls(stands):
    stand = stands(changes={"tls": Tls("none"), "allow_plaintext_passwords": True})
    answer = stand.ask("GET", "/v2/")
    assert answer.headers["WWW-Authenticate"].startswith(
        f'Bearer realm="http://localhost:{stand.port}/auth/token"'
    )
    assert stand.push("team-a/app", user="root").status == 201
    assert stand.pull("team-a/app", user="bob").status == 200


FORWARDED = (
    {"Forwarded": "host=evil.example;proto=http"},
    {"X_Forwarded_Host": "evil.example"},
    {"X_Forwarded_Proto": "http", "X_Forwarded_Port": "1"},
)


@pytest.mark.parametrize("headers", FORWARDED)
def test_no_client_says_where_an_upload_goes_on(own, headers):
    """Credentials are sent there: to another host, or without TLS."""
    begun = own.ask("POST", "/v2/team-a/app/blobs/uploads/", user="alice", **headers)
    assert begun.status == 202
    where = begun.headers["Location"]
    assert where.startswith(f"https://localhost:{own.port}/v2/team-a/app/blobs/uploads/"), where
    realm = own.ask("GET", "/v2/", **headers).headers["WWW-Authenticate"]
    assert realm.startswith(f'Bearer realm="https://localhost:{own.port}/auth/token"')


def test_the_registry_logs_the_address_that_a_client_has(own):
    own.pull("open/app", tag="whence", X_Forwarded_For="192.0.2.66", X_Real_IP="192.0.2.66")
    said = own.log("registry")
    assert "/v2/open/app/manifests/whence" in said
    assert "192.0.2.66" not in said


def test_a_proxy_in_front_that_ends_tls(stands):
    """What it sends to the gateway is plain; nobody's password is to go so to the proxy."""
    stand = stands(changes={"tls": Tls("none"), "allow_plaintext_passwords": True})
    proxy = {"Host": "registry.example.com", "X_Forwarded_Proto": "https"}
    realm = stand.ask("GET", "/v2/", **proxy).headers["WWW-Authenticate"]
    assert realm.startswith('Bearer realm="https://registry.example.com/auth/token"')
    begun = stand.ask("POST", "/v2/team-a/app/blobs/uploads/", user="alice", **proxy)
    where = begun.headers["Location"]
    assert where.startswith("https://registry.example.com/v2/team-a/app/blobs/uploads/"), where
    stand.pull("open/app", tag="whence", X_Forwarded_For="192.0.2.66", **proxy)
    assert "192.0.2.66" in stand.log("registry")


def test_a_thousand_projects(stands):
    members = tuple(Member(f"user{number}", "developer") for number in range(20))
    projects = tuple(Project(f"project{number}", members=members) for number in range(1000))
    stand = stands(passwords={"user7": "x", "root": "y"}, changes={"projects": projects})
    scopes = [f"repository:project{number}/app:pull,push" for number in (0, 500, 999)]
    assert stand.push("project999/app", user="user7").status == 201
    token = stand.token(*scopes, user="user7")
    assert stand.pull("project999/app", token=token).status == 200


def test_the_policy_as_people_see_it(own):
    (policy,) = (file for file in own.needs.files if file.path.endswith("policy.js"))
    key = own.material.tokens.key_pem.reveal().splitlines()[1]
    assert policy.secret
    assert policy.mode == 0o600
    assert key in policy.content.decode()
    assert key not in policy.shown
    assert json.loads(policy.shown)["projects"]["team-b"]["members"] == {"dave": "developer"}


def test_wrong_passwords_are_counted_as_status_does(stands, tmp_path):
    """Through GET and POST, of names that would be other lines and addresses."""
    stand = stands()
    stand.ask("GET", "/v2/team-a/app/tags/list", user='x" from 192.0.2.1', password="nonsense")
    stand.ask("GET", "/auth/token", user="bob\n\\", password="nonsense")
    form = "grant_type=password&service=x&client_id=x&username=bob&password=nonsense"
    kind = "application/x-www-form-urlencoded"
    stand.ask("POST", "/auth/token", body=form, Content_Type=kind)
    log = tmp_path / "log"
    log.write_text(stand.log("nginx"))
    docker = f"docker() {{ case $1 in container) ;; *) cat '{log}' ;; esac; }}"
    program = f"{guesses.program('container')}\n{docker}\n" + frame.around(
        MARK, "guesses container gate"
    )
    assert guesses.parse(shells.lines("dash", program), MARK) == WrongLogins(3, 1)
    assert "nonsense" not in stand.log("nginx")


def test_a_registry_that_only_reads_is_waited_for(stands):
    """As a collection sets it. Clients do not try again after the registry's own 405."""
    stand = stands()
    assert stand.push("team-a/app", user="alice").status == 201
    config = stand.directory / "registry" / "config.yml"
    text = config.read_text()
    reads = '"storage": {\n    "maintenance": {"readonly": {"enabled": true}},'
    config.write_text(text.replace('"storage": {', reads))
    stand.end("registry")
    stand.start_registry()
    stand.wait()
    token = stand.token("repository:team-a/app:pull,push,delete", user="carol")
    paths = (
        ("POST", "/v2/team-a/app/blobs/uploads/"),
        ("PUT", "/v2/team-a/app/manifests/2"),
        ("DELETE", f"/v2/team-a/app/manifests/sha256:{'0' * 64}"),
    )
    for who in ({"token": token}, {"user": "carol"}):
        for method, path in paths:
            answer = stand.ask(method, path, **who)
            assert (answer.status, answer.headers["Retry-After"]) == (503, "5"), (method, who)
            assert answer.json["errors"][0]["code"] == "UNAVAILABLE"
            assert "takes no changes for some seconds" in answer.said
            told = answers.refusal(
                answers.Answer(503, {}, answer.body), "r", f"{method} {path}", None
            )
            assert told.kind == "read-only"
        assert stand.pull("team-a/app", **who).status == 200
    # Not for who may not push: that does not pass by itself.
    assert stand.ask("POST", paths[0][1], user="bob").status == 403
    config.write_text(text)
    stand.end("registry")
    stand.start_registry()
    stand.wait()
    assert stand.push("team-a/app", "2", user="alice").status == 201


@pytest.mark.parametrize("by", ["token", "user"])
def test_a_registry_that_is_started_again_is_waited_for(own, by):
    """By who reads. Tokens are there before, and passwords known: only the registry is away."""
    who = {"user": "bob"}
    if by == "token":
        who = {"token": own.token("repository:team-a/app:pull", user="bob")}
    assert own.pull("team-a/app", **who).status == 200
    own.end("registry")
    found = []
    asking = [threading.Thread(target=lambda: found.append(own.pull("team-a/app", **who).status))
              for _ in range(8)]  # fmt: skip
    for thread in asking:
        thread.start()
    time.sleep(0.3)
    assert found == []
    own.start_registry()
    for thread in asking:
        thread.join()
    own.wait()
    assert found == [200] * 8


def test_deletion_that_is_off_stays_so(stands):
    stand = stands(changes={"delete": False})
    answer = stand.ask("DELETE", f"/v2/team-a/app/manifests/sha256:{'0' * 64}", user="carol")
    assert (answer.status, answer.json["errors"][0]["code"]) == (405, "UNSUPPORTED")
    assert "Retry-After" not in answer.headers


def test_plain_http_is_shown_the_way(stand):
    """On the same port; a password that was sent so is not passed on."""
    ask = lambda path, **headers: plainly(stand.port, path, **headers)  # noqa: E731
    answer = ask("/v2/_catalog?n=1")
    there = f"https://localhost:{stand.port}/v2/_catalog?n=1"
    assert (answer.status, answer.headers["Location"]) == (308, there)
    answer = ask("/v2/", Authorization="Basic cm9vdDp4")
    assert (answer.status, answer.headers.get("Location")) == (400, None)
    assert recognise(answer.said).cause.name == "tls-server"
    for host in ("evil.test/@localhost", "a b", ""):
        assert ask("/v2/", Host=host).status == 400


def plainly(port, path, **headers):
    connection = http.client.HTTPConnection("localhost", port, timeout=60)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()
