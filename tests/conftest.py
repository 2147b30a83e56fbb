"""What all tests share: hosts.py boots them, warm.py runs the command line, workers.py spreads a
run, answering.py waits for what hosts do, tally.py counts faults, matrix.py lists the engines that
were proven, cri.py pulls as the kubelet does, s3.py keeps buckets.

A file of tests on hosts boots them once and shares them:

    @pytest.fixture(scope="module")
    def twin(boot_for_module):
        return boot_for_module("reg1=registry.test", "client1")

    def test_something(twin, write_fleet, regfleet):
        fleet = write_fleet(twin, BODY)
        assert regfleet("apply", fleet, "--yes").returncode == 0

`make test` and `make soak` run several workers (pytest-xdist, `--dist loadfile`):

* The tests of one file run in one worker, one after another, in their order. Files run beside
  each other, in no order that can be relied on; one that takes minutes is better two.
* All workers share one engine. The names and addresses of hosts, `tmp_path` and what lies in it
  are each worker's own. The machine is everybody's: its processes, its ports (bind to port 0),
  its processor, and the engine's other containers (ask for the label of one's own twin).
* `pytestmark = pytest.mark.long` begins a file before others, for those of more than a minute.
* `pytestmark = pytest.mark.alone` gives a file's tests the machine for themselves, everybody else
  waits: for what measures speed or touches the machine's own state. Such files run first.
* A test waits for a state, and never for a while: the machine may be six times slower than alone.
* `pytest.mark.soak` leaves a test, or one of its parameters, to `make soak`: what takes minutes,
  or repeats on another host what is proven on one.
* A command that builds hosts by itself is told of the engine: `DOCKER_HOST=engine.docker.host`.
"""

pytest_plugins = ("workers", "hosts", "tally", "matrix", "cri", "s3")
