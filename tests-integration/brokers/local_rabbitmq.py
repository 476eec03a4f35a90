"""A private RabbitMQ node, run from a ``rabbitmq-server`` package: the system's, or a chroot's."""

import atexit
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Generator
from pathlib import Path

from brokers.broker import BrokerUnavailable
from brokers.certificates import Certificates
from brokers.child import Child
from brokers.chroot import Chroot

PROGRAMS = Path("/usr/lib/rabbitmq/bin")
START_TIMEOUT = 60.0
STOP_TIMEOUT = 30.0
ALARM_TIMEOUT = 10.0

CONFIG = """\
listeners.tcp.default = 127.0.0.1:{port}
disk_free_limit.absolute = 10MB
raft.wal_max_size_bytes = 67108864
log.console = false
"""

SECURE = """\
listeners.ssl.default = 127.0.0.1:{port}
ssl_options.cacertfile = {certificates.authority}
ssl_options.certfile = {certificates.server}
ssl_options.keyfile = {certificates.server_key}
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = true
"""

# Reads one Erlang expression a line, evaluates it on the node and answers in one line. The
# system's own control tool does the same in two seconds, as it starts a virtual machine each time.
CONTROL = """
Loop = fun Loop() ->
    case io:get_line("") of
        eof -> halt();
        Line ->
            {ok, Tokens, _} = erl_scan:string(Line),
            {ok, Expressions} = erl_parse:parse_exprs(Tokens),
            Answer = case rpc:call('NODE', erl_eval, exprs, [Expressions, []]) of
                {value, Value, _} -> Value;
                Failure -> {failed, Failure}
            end,
            io:format("~0tp~n", [Answer]),
            Loop()
    end
end,
Loop().
"""


# Virtual hosts, then what is in the first one. An exchange of the broker's own has a name that is
# empty or begins with "amq.".
SWEEP = """
begin
    [rabbit_vhost:delete(V, <<"tests">>) || V <- rabbit_vhost:list_names(), V =/= <<"/">>],
    [rabbit_amqqueue:delete(Q, false, false, <<"tests">>) || Q <- rabbit_amqqueue:list(<<"/">>)],
    [rabbit_exchange:delete(element(2, X), false, <<"tests">>)
        || X <- rabbit_exchange:list(<<"/">>),
           string:prefix(element(4, element(2, X)), <<"amq.">>) =:= nomatch,
           element(4, element(2, X)) =/= <<>>],
    swept
end.
"""


# Suspends the process that writes the log of all quorum queues, for 40 to 160 ms each time.
STALL = """
begin
    Stall = fun(Again) ->
        receive stop -> ok
        after 0 ->
            sys:suspend(ra_log_wal),
            timer:sleep(40 + rand:uniform(120)),
            sys:resume(ra_log_wal),
            timer:sleep(5 + rand:uniform(25)),
            Again(Again)
        end
    end,
    register(stall, spawn(fun() -> Stall(Stall) end)),
    stalling
end.
"""


class LocalRabbitMQ:
    """One RabbitMQ node of our own: data, ports, cookie and name server apart from all others.

    Where ``RABBITMQ_CHROOT`` names the root of another system, see ``scripts/rabbitmq-chroot``, the
    node is run from the package there.
    """

    def __init__(self, certificates: Certificates | None = None, settings: str = "") -> None:
        """One that asks for certificates, if given, and has more lines in its configuration."""
        self._settings = settings
        self._system = Chroot.from_environment("RABBITMQ_CHROOT")
        if not self._system.has(PROGRAMS / "rabbitmq-server"):
            raise BrokerUnavailable(
                f"no {self._system.inside(PROGRAMS)}/rabbitmq-server: install the package "
                "rabbitmq-server"
            )
        self._home = Path(tempfile.mkdtemp(prefix="rabbitmq-"))
        self._port, self._dist_port, self._epmd_port, self._tls_port = _free_ports(4)
        self._certificates = certificates
        self._name = f"rabbit{self._port}"
        self._server: Child | None = None
        self._epmd: Child | None = None
        self._control: subprocess.Popen[str] | None = None
        self._write_files()
        atexit.register(self.stop)

    @property
    def url(self) -> str:
        """Where it listens; the same after every start."""
        return f"rabbitmq://guest:guest@127.0.0.1:{self._port}/"

    @property
    def tls_url(self) -> str:
        """Where it asks for a client's certificate, over TLS."""
        return f"amqps://guest:guest@127.0.0.1:{self._tls_port}/"

    @property
    def provenance(self) -> str:
        """Where it comes from."""
        return f"local process, {self._system.inside(PROGRAMS)}"

    @property
    def version(self) -> str:
        """As the package names its folder."""
        folders = sorted(self._system.inside(PROGRAMS).parent.glob("lib/rabbitmq_server-*"))
        return folders[-1].name.partition("-")[2] if folders else "unknown"

    def start(self) -> None:
        """Start the node, on the data and ports it had before, and wait until it answers."""
        if self._server is not None:
            return
        self._home.mkdir(exist_ok=True)
        self._write_files()
        if self._epmd is None:
            self._epmd = self._spawn("epmd", "-port", str(self._epmd_port), "-address", "127.0.0.1")
        self._server = self._spawn(str(PROGRAMS / "rabbitmq-server"))
        deadline = time.monotonic() + START_TIMEOUT
        while not _speaks_amqp(self._port):
            if self._server.poll() is not None or time.monotonic() > deadline:
                log = (self._home / "output.log").read_text(errors="replace")[-2000:]
                self.kill()
                raise BrokerUnavailable(f"RabbitMQ did not start:\n{log}")
            time.sleep(0.1)

    def kill(self) -> None:
        """SIGKILL the node, its virtual machine included; the data stays."""
        self._end_control()
        if self._server is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._server.pid, signal.SIGKILL)
            self._server.wait()
            self._server = None
            _wait_until_closed(self._port)

    def stop(self) -> None:
        """End the node and its name server, and remove the data."""
        self._end_control()
        if self._server is not None:
            self._server.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._server.wait(STOP_TIMEOUT)
            self.kill()
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait()
            self._epmd = None
        shutil.rmtree(self._home, ignore_errors=True)

    def eval(self, expression: str) -> str:
        """Evaluate an Erlang expression, with its full stop, on the node; its value in one line."""
        if self._control is None:
            self._control = self._start_control()
        assert self._control.stdin is not None
        assert self._control.stdout is not None
        self._control.stdin.write(" ".join(expression.split()) + "\n")
        self._control.stdin.flush()
        answer = self._control.stdout.readline().strip()
        if not answer or answer.startswith("{failed"):
            raise RuntimeError(f"{expression} -> {answer or 'no answer'}")
        return answer

    def make_vhost(self) -> str:
        """The URL of a new virtual host, so that a test has the broker to itself."""
        name = f"test-{uuid.uuid4().hex[:12]}"
        self.eval(f'rabbit_vhost:add(<<"{name}">>, <<"tests">>).')
        self.eval(
            f'rabbit_auth_backend_internal:set_permissions(<<"guest">>, <<"{name}">>, '
            '<<".*">>, <<".*">>, <<".*">>, <<"tests">>).'
        )
        return f"{self.url}{name}"

    def sweep(self) -> None:
        """Delete all virtual hosts but the first, and what tests have made in that."""
        self.start()
        self.eval(SWEEP)

    def close_connections(self) -> int:
        """Close every client's connection from the broker's side; how many there were."""
        closed = self.eval(
            "begin Pids = rabbit_networking:connections(), "
            '[rabbit_networking:close_connection(Pid, "closed by a test") || Pid <- Pids], '
            "length(Pids) end."
        )
        return int(closed)

    @contextlib.contextmanager
    def memory_alarm(self) -> Generator[None]:
        """Have the broker block every publisher while the context lasts."""
        before = self.eval("vm_memory_monitor:get_vm_memory_high_watermark().")
        self._limit_memory("0.0000001", alarm=True)
        try:
            yield
        finally:
            self._limit_memory(before, alarm=False)

    @contextlib.contextmanager
    def slow_disk(self) -> Generator[None]:
        """Have quorum queues wait for their disk, again and again, while the context lasts."""
        self.eval(STALL)
        try:
            yield
        finally:
            self.eval("begin stall ! stop, resumed end.")

    def _limit_memory(self, watermark: str, *, alarm: bool) -> None:
        """Set the limit, and wait until the connections are told, which the broker does later."""
        self.eval(f"vm_memory_monitor:set_vm_memory_high_watermark({watermark}).")
        deadline = time.monotonic() + ALARM_TIMEOUT
        while ("memory" in self.eval("rabbit_alarm:get_alarms().")) is not alarm:
            if time.monotonic() > deadline:
                raise RuntimeError(f"the memory alarm did not become {alarm}")
            time.sleep(0.01)

    def _write_files(self) -> None:
        secure = ""
        if self._certificates is not None:
            secure = SECURE.format(port=self._tls_port, certificates=self._certificates)
        (self._home / "rabbitmq.conf").write_text(
            CONFIG.format(port=self._port) + secure + self._settings
        )
        (self._home / "enabled_plugins").write_text("[rabbitmq_consistent_hash_exchange].\n")
        cookie = self._home / ".erlang.cookie"
        if not cookie.exists():
            cookie.write_text(uuid.uuid4().hex)
            cookie.chmod(0o400)

    def _environment(self) -> dict[str, str]:
        home = str(self._home)
        return {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "LANG": "C.UTF-8",
            "HOME": home,
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"{self._name}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self._port),
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_MNESIA_BASE": f"{home}/data",
            "RABBITMQ_LOG_BASE": f"{home}/log",
            "RABBITMQ_PID_FILE": f"{home}/pid",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{home}/enabled_plugins",
            "RABBITMQ_CONFIG_FILE": f"{home}/rabbitmq.conf",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+sbwt none +sbwtdcpu none +sbwtdio none",
        }

    def _spawn(self, *command: str) -> Child:
        command = self._system.command(command, self._folders())
        return Child(command, self._home / "output.log", env=self._environment())

    def _folders(self) -> list[Path]:
        """What the programs need to see of this system."""
        certificates = self._certificates
        return [self._home, *([] if certificates is None else [certificates.authority.parent])]

    def _start_control(self) -> subprocess.Popen[str]:
        script = CONTROL.replace("NODE", f"{self._name}@localhost")
        name = f"control{uuid.uuid4().hex[:8]}@localhost"
        command = ["erl", "-hidden", "-sname", name, "-noshell", "-eval", script]
        return subprocess.Popen(
            self._system.command(command, self._folders()),
            env=self._environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def _end_control(self) -> None:
        if self._control is not None:
            self._control.kill()
            self._control.communicate()
            self._control = None


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _speaks_amqp(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as probe:
            probe.sendall(b"AMQP\x00\x00\x09\x01")
            return probe.recv(1) == b"\x01"
    except OSError:
        return False


def _wait_until_closed(port: int) -> None:
    deadline = time.monotonic() + 10
    while _speaks_amqp(port) and time.monotonic() < deadline:
        time.sleep(0.05)
