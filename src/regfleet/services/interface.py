"""What a kind of service has to give: how it is looked at, fitted to a host, and run there.

Its shell functions begin with the kind's name. `KIND.touch.sh` has, for a service by NAME:

    KIND_ours NAME              whether what is there under that name is this touch's fleet's
    KIND_there NAME             whether something is there under that name
    KIND_aside NAME [NEW-KIND]  stop it and keep it, so that it can come back; NEW-KIND takes its
                                place, none where it goes for good
    KIND_prepare NAME WORD...   what can be done for it while one of another kind still runs
    KIND_run NAME WORD...       run it anew; says why where it cannot
    KIND_start NAME             start one that is as it should be
    KIND_take_up NAME           have it read its files again
    KIND_restarts NAME          print a program of shell that restarts it, for later and elsewhere
    KIND_process NAME           print the number of its own process
    KIND_image NAME             print engine, ID and name of the image that it is made from, if any
    KIND_alive NAME             whether it is worth waiting for its answer
    KIND_last_words NAME        what it said last
    KIND_gone NAME              take away what `KIND_run` made, on the way back
    KIND_back NAME WORD...      bring back what stood aside, or run one like it
    KIND_forget NAME            remove what stands aside: all has gone well

The WORDs are those of `Kind.words`: the host keeps them, root's alone, for the way back.
"""

from __future__ import annotations

from typing import Protocol

from regfleet.fleet.clients import EngineName
from regfleet.model.desired import DesiredHost
from regfleet.model.observed import ObservedHost
from regfleet.model.plan import Change, InstallEngine, Step
from regfleet.model.service import Service, ServiceKind


class Kind(Protocol):
    """One way in which services run. Pure.

    A kind is a subclass; where a method here returns something, that is what most kinds need.
    """

    @property
    def name(self) -> ServiceKind:
        """Its word: in the ownership record, and what its shell functions begin with."""

    @property
    def noun(self) -> str:
        """What people call such a service: `container`."""

    @property
    def engine(self) -> EngineName | None:
        """The engine that a host has to have for it; None where it needs none."""

    @property
    def images(self) -> str:
        """The shell word of the engine that has the images of those that have any."""

    @property
    def shell(self) -> tuple[ServiceKind, ...]:
        """The kinds whose shell functions it needs: its own behind those that these call."""

    def asked(self, service: Service) -> tuple[str, ...]:
        """What the look asks Docker's API for: paths."""

    def looks(self, service: Service) -> tuple[str, ...]:
        """Calls of shell functions for the look (`KIND.look.sh`)."""

    def missing(self, want: DesiredHost, seen: ObservedHost) -> InstallEngine | None:
        """What installs a program that it needs beside the engine, where the host has none.

        Raises:
            HostError: it may not be installed, or nobody knows how.
        """
        del want, seen
        return None

    def paths(self, service: Service) -> tuple[str, ...]:
        """Files that the look tells of beside the service's own, for `altered` and `needs`."""
        del service
        return ()

    def fitted(self, service: Service, want: DesiredHost, seen: ObservedHost) -> Service:
        """The service as this host has to run it: what depends on what was seen there.

        Its files are those of the service that is given, at the same paths.
        """

    def altered(self, service: Service, seen: ObservedHost) -> str:
        """What was changed by hand in what it is run from, for a reason; empty for nothing.

        Args:
            service: as `fitted` gives it.
        """
        del service, seen
        return ""

    def needs(
        self, service: Service, want: DesiredHost, seen: ObservedHost
    ) -> tuple[Change, Step] | None:
        """What the host lacks for it, apart from an engine: the change, and the step that makes it.

        Raises:
            HostError: it lacks something that cannot be had there.
        """
        del service, want, seen
        return None

    def calling(self, service: Service) -> tuple[str, ...]:
        """Words that call a registry's program once more, where it runs; `service` is a registry's.

        Its configuration is where the service has it: the last word of what it is run with.
        """

    def words(self, service: Service) -> tuple[str, ...]:
        """What its shell functions run it from."""
