"""Build the runner of a command or a rehearsal.

Plain pyinfra has its own hosts and connections: it uses only `work.Work.of`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from regfleet import state_paths
from regfleet.model.report import HostReport, Report
from regfleet.run.apply import Runner
from regfleet.run.progress import Progress, Watch
from regfleet.run.proof import Proof, SharedProof
from regfleet.run.wanted import Wanted
from regfleet.run.watched import Watched
from regfleet.run.work import Work
from regfleet.ssh.first_looks import FirstLook
from regfleet.ssh.session import Session
from regfleet.state import StateDirectory


@contextmanager
def runner(
    wanted: Wanted,
    names: Sequence[str],
    session: Session,
    watch: Watch,
    state: StateDirectory | None = None,
    *,
    alone: bool = False,
    gone: Mapping[str, tuple[str, ...]] | None = None,
    looks: Mapping[str, FirstLook] | None = None,
) -> Iterator[Runner]:
    """The runner of a run over hosts; its connections are closed afterwards.

    Args:
        names: the hosts of the run.
        watch: shows every stage, and what each host does.
        state: has the salt of logins and the record of unproven hosts; None for neither.
        alone: whether this run locks the state directory.
        gone: hosts that left the fleet file, with their former groups.
        looks: looks at hosts that were begun already.

    Raises:
        StateError: the state directory cannot be used.
    """
    try:
        progress = Progress(watch)
        report = Report(
            wanted.fleet.name, {name: HostReport(name) for name in names}, gone=gone or {}
        )
        proof = (Proof if alone else SharedProof)(wanted.fleet, state) if state else None
        work = Work.of(wanted, Watched(session, progress), looks)
        work.tell = progress.heard
        yield Runner(
            wanted.fleet,
            work,
            session,
            names,
            report,
            progress,
            state.read_text(state_paths.SALT) if state else None,
            proof,
            wanted.unknown,
        )
    finally:
        session.close()
