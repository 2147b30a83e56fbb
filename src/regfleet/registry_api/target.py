"""A registry to connect to: its endpoint, the way there, the CA to trust, the login."""

from __future__ import annotations

import base64
import io
import ssl
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import paramiko
from urllib3.util.ssltransport import SSLTransport

from regfleet.errors import CertificateError
from regfleet.fleet.registries import Registry
from regfleet.pki.names import endpoint_host
from regfleet.registry_api.bounds import REQUEST, Allowance
from regfleet.registry_api.channel import explain_channel
from regfleet.registry_api.errors import explain
from regfleet.registry_api.tunnel import Dial, Stream, direct
from regfleet.secret import Secret


class Tls(SSLTransport):
    """TLS over a stream, by urllib3."""

    socket: Stream  # type: ignore[assignment] # typed for sockets; all that it calls is in Stream

    def makefile(  # type: ignore[override] # of all that sockets offer, what http.client asks for
        self, mode: str, buffering: int | None = None
    ) -> io.BufferedReader:
        """As `Stream.makefile`; urllib3's own uses private names of sockets to count readers."""
        return self.socket.file(self._read_into, mode, buffering)

    def _read_into(self, buffer: memoryview) -> int:
        return int(self.recv_into(buffer) or 0)


@dataclass(frozen=True, slots=True)
class Credentials:
    """A registry's user and password."""

    user: str
    password: Secret

    def header(self) -> str:
        """The value of `Authorization`, in UTF-8 as `docker login` encodes it (RFC 7617)."""
        pair = f"{self.user}:{self.password.reveal()}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"


def preferred(passwords: Mapping[str, Secret], first: Collection[str]) -> Credentials | None:
    """The first of these users, or else of all, whose password is known; None for none."""
    users = sorted(passwords, key=lambda user: user not in first)
    return next((Credentials(user, passwords[user]) for user in users), None)


@dataclass(frozen=True, slots=True)
class Target:
    """A registry to connect to.

    Attributes:
        endpoint: as clients type it; the certificate must cover its host, whatever `dial` does.
        dial: opens a connection to it.
        tls: whether it uses TLS.
        ca: PEM of the only CA to trust; None to trust what this machine trusts.
        timeout: the most seconds for each wait, within an operation's allowance.
    """

    endpoint: str
    dial: Dial
    tls: bool = True
    ca: bytes | None = None
    timeout: float = 10.0

    @classmethod
    def of(cls, registry: Registry, ca: bytes | None, dial: Dial | None = None) -> Target:
        """The target for a declared registry.

        Args:
            registry: its declaration.
            ca: the CA that clients trust, from `FleetCertificates.trusted_ca`.
            dial: opens a connection; by default directly to the endpoint.
        """
        return cls(
            registry.endpoint,
            dial or direct(endpoint_host(registry.endpoint), registry.port),
            tls=registry.tls.source != "none",
            ca=ca,
        )

    @property
    def host(self) -> str:
        """The endpoint's host, without brackets."""
        return endpoint_host(self.endpoint)

    def connect(self, allowance: Allowance | None = None) -> Stream:
        """A new connection, without TLS.

        Args:
            allowance: the allowance of the operation; by default that of one request.

        Raises:
            RegistryError: the connection failed.
        """
        allowance = allowance or Allowance(REQUEST, self.endpoint)
        try:
            dialled = self.dial(min(self.timeout, allowance.seconds()))
            return Stream(dialled, self.timeout, allowance)
        except paramiko.SSHException as error:
            raise explain_channel(error, self.endpoint) from error
        except (OSError, EOFError) as error:
            raise explain(error, self.endpoint) from error

    def connect_tls(
        self, context: ssl.SSLContext | None = None, allowance: Allowance | None = None
    ) -> Tls:
        """A new connection with TLS.

        Args:
            context: the TLS settings; by default those of the target.
            allowance: as for `connect`.

        Raises:
            RegistryError: the connection failed.
            ssl.SSLError, OSError: TLS failed; not translated, since the checks inspect it.
        """
        return self.wrap(self.connect(allowance), context)

    def wrap(self, stream: Stream, context: ssl.SSLContext | None = None) -> Tls:
        """Start TLS over a connection; on failure the connection is closed.

        Args:
            stream: a connection to this target.
            context: as for `connect_tls`.

        Raises:
            RegistryError: the allowance is used up.
            ssl.SSLError, OSError: as for `connect_tls`.
        """
        try:
            return Tls(
                stream,  # type: ignore[arg-type]
                context or trusting(self.ca),
                server_hostname=self.host,
            )
        except BaseException:
            stream.close()
            raise


def trusting(ca: bytes | None) -> ssl.SSLContext:
    """A context for TLS 1.2 or later that trusts this CA alone, or what this machine trusts.

    An intermediate CA is trusted as it is, as in Go (X509_V_FLAG_PARTIAL_CHAIN).

    Raises:
        CertificateError: the CA is not a PEM certificate.
    """
    # Look the class up at run time: gevent replaces it in the module, and an object of the old
    # class recurses without end (gevent issue 1016).
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if ca is None:
        context.load_default_certs()
        return context
    try:
        context.load_verify_locations(cadata=ca.decode("ascii"))
    except (ssl.SSLError, UnicodeDecodeError, ValueError) as error:
        raise CertificateError(f"the CA to trust is not a PEM certificate: {error}") from error
    return context
