"""What every part of the bench needs: processes, their accounts, the target, a table."""
import ctypes, multiprocessing, os, re, signal, statistics, subprocess, sys, time, urllib.request
from collections import namedtuple

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)

# How much is measured: rounds, seconds until a tool is at work and seconds that count then, faults of a primary, seconds of
# calm before each of them, seconds that an idle agent is looked at.
Effort = namedtuple("Effort", "rounds settle seconds faults calm idle")
SHORT = Effort(1, 2, 5, 2, 1, 50)
WHOLE = Effort(3, 5, 15, 10, 3, 60)

NOT_MEASURED = "not measured"


def address(number):
    """The address of one target: all of 127.1.0.0 and up leads to this machine."""
    return f"127.{1 + number // 62500}.{number // 250 % 250}.{number % 250 + 1}"


def fill(name, folder, **values):
    """A configuration of conf/ with its @NAMES@ replaced, in the folder of the run."""
    with open(os.path.join(HERE, "conf", name)) as template:
        text = template.read()
    for key, value in {"DIR": folder, **values}.items():
        text = text.replace(f"@{key}@", value)
    left = re.findall(r"@[A-Z]+@", text)
    if left:
        sys.exit(f"conf/{name}: nothing stands for {left}")
    path = os.path.join(folder, name)
    with open(path, "w") as out:
        out.write(text)
    return path


class Ended(SystemExit):
    """A program that should run does not."""


class Process:
    """A program that runs until it is stopped, by pid; what it says goes to a file beside its configuration."""

    def __init__(self, folder, *command, env=None):
        self.log = os.path.join(folder, os.path.basename(command[0]) + ".log")
        with open(self.log, "wb") as log:
            environment = {**os.environ, **(env or {})}
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=environment)
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def must_run(self):
        if self.process.poll() is not None:
            with open(self.log, errors="replace") as log:
                raise Ended(f"{self.process.args[0]} ended:\n{log.read()[-2000:]}")

    def cpu_s(self):
        """What the kernel counted for all of its threads, those that ended too, in seconds (`clock_getcpuclockid(3)`)."""
        return time.clock_gettime((~self.pid << 3) | 2)

    def status_mib(self, field):
        with open(f"/proc/{self.pid}/status") as status:
            return int(re.search(rf"^{field}:\s+(\d+) kB", status.read(), re.M)[1]) / 1024


# Of unshare(2), for which Python has no name before 3.12.
CLONE_NEWNET = 0x40000000


def apart(work, *given):
    """What `work` gives back, in a process with a network namespace of its own: connections that one tool leaves behind in
    TIME_WAIT for a minute make it dearer for the next to find a port."""
    fork = multiprocessing.get_context("fork")
    ours, theirs = fork.Pipe(duplex=False)

    def inside():
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
            sys.exit(f"no network namespace: {os.strerror(ctypes.get_errno())}")
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        theirs.send(work(*given))

    child = fork.Process(target=inside)
    child.start()
    theirs.close()
    try:
        return ours.recv()
    except EOFError:
        sys.exit("a measurement broke off; why is said above")
    finally:
        child.join()


def counted(path, group, name):
    """A counter of this network namespace."""
    with open(path) as counters:
        names, values = [line.split() for line in counters if line.startswith(f"{group}:")]
    return int(values[names.index(name)])


def opened():
    """Connections opened (RFC 4022, tcpActiveOpens)."""
    return counted("/proc/net/snmp", "Tcp", "ActiveOpens")


def broken_off():
    """Handshakes that the target had agreed to and that were reset then. No connection comes of them, so that nothing that
    counts connections there moves."""
    return counted("/proc/net/netstat", "TcpExt", "EmbryonicRsts")


def answered():
    """Requests that the target has answered; this question is one of them."""
    with urllib.request.urlopen("http://127.0.0.1:8080/status", timeout=10) as page:
        return int(page.read().split(b"\n")[2].split()[2])


def loud(text):
    """What must not be overlooked, also between tables that are kept."""
    print(f"\n!!! {text}\n", flush=True)
    print(f"!!! {text}", file=sys.stderr, flush=True)


def spread(values, digits=1):
    """The median, and the least and the most."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def table(head, rows):
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    print(flush=True)


def certificate(folder):
    """An authority and a server certificate for bench.test, for the checks with TLS."""
    run = lambda *command: subprocess.run(command, cwd=folder, check=True, capture_output=True)
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
        "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=bench authority")
    run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "server.key",
        "-out", "server.csr", "-subj", "/CN=bench.test")
    with open(os.path.join(folder, "ext"), "w") as extensions:
        extensions.write("subjectAltName=DNS:bench.test\n")
    run("openssl", "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
        "-days", "30", "-extfile", "ext", "-out", "server.pem")
