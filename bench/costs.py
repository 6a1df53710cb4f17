"""CPU for 1,000 checks, and memory, of the agent and of its peers."""
import contextlib, glob, http.client, os, statistics, sys, threading, time

from common import Process, address, answered, apart, broken_off, fill, opened, spread, table

KINDS = ["http", "http, kept", "tcp", "tcp, half open", "https"]
# What counts the checks of a kind, where it is not the connections: those that are kept are not opened.
COUNTERS = {"http, kept": answered, "tcp, half open": broken_off}
# One file of a configuration is 1 MiB at most.
TARGETS_PER_FILE = 10_000


def failover(binary, folder, kind, count, interval="1s"):
    check = {
        "http": "http: {port: 8080}",
        "http, kept": "http: {port: 8080, reuse: true}",
        "tcp": "tcp: {port: 8080}",
        "tcp, half open": "tcp: {port: 8080, half_open: true}",
        "https": f"http: {{port: 8443, tls: true, host: bench.test, ca: {folder}/ca.pem}}",
    }[kind]
    own = os.path.join(folder, "failover")
    # It begins without a past: what is kept of a hundred thousand targets would be read by one that has a hundred.
    for left in glob.glob(os.path.join(own, "failover.db*")):
        os.remove(left)
    parts = os.path.join(own, "conf")
    os.makedirs(parts, exist_ok=True)
    for left in os.listdir(parts):
        os.remove(os.path.join(parts, left))
    path = fill("failover.yaml", folder, CHECK=check, INTERVAL=interval)
    os.replace(path, os.path.join(parts, "agent.yaml"))
    for first in range(0, count, TARGETS_PER_FILE):
        with open(os.path.join(parts, f"targets-{first}.yaml"), "w") as out:
            out.write("targets:\n")
            for n in range(first, min(first + TARGETS_PER_FILE, count)):
                out.write(f"  t{n}: {{address: {address(n)}, checks: [check]}}\n")
    return Process(folder, binary, "-c", parts, "--log-level", "error", "run")


def haproxy(_, folder, kind, count):
    check = {
        "http": "    option httpchk GET /\n    http-check expect status 200",
        "tcp, half open": "    option tcp-check",
        "https": "    option httpchk\n    http-check send meth GET uri / ver HTTP/1.1 hdr Host bench.test\n"
        "    http-check expect status 200",
    }[kind]
    port, more = (8443, f" check-ssl ca-file {folder}/ca.pem verify required verifyhost bench.test "
                  "check-sni bench.test no-ssl-reuse") if kind == "https" else (8080, "")
    servers = "\n".join(f"    server s{n} {address(n)}:{port} check{more}" for n in range(count))
    path = fill("haproxy.cfg", folder, CHECK=check, SERVERS=servers)
    return Process(folder, "haproxy", "-db", "-f", path)


def gdnsd(_, folder, kind, count):
    for part in ["run", "state", "zones"]:
        os.makedirs(os.path.join(folder, "gdnsd", part), mode=0o700, exist_ok=True)
    plugin, more = {
        "http": ("http_status", "url_path => /, ok_codes => [ 200 ],"),
        "tcp": ("tcp_connect", ""),
    }[kind]
    services, each = 2 * count, 50
    resources = "\n".join(
        f"  r{first} => {{ service_types => check, "
        + ", ".join(f"a{n} => {address(n)}" for n in range(first, min(first + each, services)))
        + " }"
        for first in range(0, services, each)
    )
    path = fill("gdnsd.config", folder, PLUGIN=plugin, MORE=more, RESOURCES=resources)
    os.replace(path, os.path.join(folder, "gdnsd", "config"))
    return Process(folder, "gdnsd", "-c", os.path.join(folder, "gdnsd"), "start")


class Blackbox(Process):
    """blackbox_exporter probes when it is asked to: 200 times a second, over kept connections, from threads of the bench, whose
    CPU is not its own."""

    ASKERS, RATE = 4, 200

    def __init__(self, _, folder, kind, count):
        self.over = threading.Event()
        super().__init__(folder, "prometheus-blackbox-exporter", f"--config.file={fill('blackbox.yml', folder)}",
                         "--web.listen-address=127.0.0.1:9115", "--log.level=error")
        self.threads = [threading.Thread(target=self.ask, args=(kind, first, count), daemon=True)
                        for first in range(self.ASKERS)]
        for thread in self.threads:
            thread.start()

    def ask(self, kind, first, count):
        asker, number, due = None, first, time.monotonic()
        while not self.over.wait(max(0, due - time.monotonic())):
            due = max(due + self.ASKERS / self.RATE, time.monotonic() - 1)
            target = f"http://{address(number % count)}:8080/"
            number += self.ASKERS
            try:
                asker = asker or http.client.HTTPConnection("127.0.0.1", 9115, timeout=5)
                asker.request("GET", f"/probe?module={kind}&target={target}")
                asker.getresponse().read()
            except OSError:
                # Not listening yet, or ended: that is seen by who counts.
                asker, due = None, time.monotonic() + 0.1

    def __exit__(self, *given):
        self.over.set()
        for thread in self.threads:
            thread.join(10)
        super().__exit__(*given)


@contextlib.contextmanager
def target(folder):
    with Process(folder, "nginx", "-c", fill("nginx.conf", folder), "-e", "/dev/null") as server:
        time.sleep(1)
        server.must_run()
        yield server


TOOLS = {
    "failover": (failover, KINDS),
    "haproxy": (haproxy, ["http", "tcp, half open", "https"]),
    "gdnsd": (gdnsd, ["http", "tcp"]),
    "blackbox_exporter": (Blackbox, ["http"]),
}


def one(start, binary, folder, kind, count, settle, seconds):
    """CPU in ms for 1,000 checks, checks a second, MiB at the highest, of one tool in one run, beside a target of its own."""
    with target(folder), start(binary, folder, kind, count) as tool:
        time.sleep(settle)
        tool.must_run()
        counter = COUNTERS.get(kind, opened)
        cpu, checks, begun = tool.cpu_s(), counter(), time.monotonic()
        time.sleep(seconds)
        cpu, checks, took = tool.cpu_s() - cpu, counter() - checks, time.monotonic() - begun
        tool.must_run()
        if checks == 0:
            sys.exit(f"{tool.process.args[0]}: no check by {kind} was counted in {seconds} s; see {tool.log}")
        return cpu * 1e6 / checks, checks / took, tool.status_mib("VmHWM")


def run(binary, folder, effort, count):
    found = {}
    for _ in range(effort.rounds):
        for kind in KINDS:
            # A handshake costs the target far more than it costs who checks it: fewer of them.
            many = count // 5 if kind == "https" else count
            for name, (start, kinds) in TOOLS.items():
                if kind in kinds:
                    runs = found.setdefault((kind, name), [])
                    runs.append(apart(one, start, binary, folder, kind, many, effort.settle, effort.seconds))
    print(f"CPU in ms for 1,000 checks, {count} targets checked once a second ({count // 5} for https; blackbox_exporter is "
          f"asked {Blackbox.RATE} times a second), {effort.rounds} rounds of {effort.seconds} s: median (least-most)\n")
    rows = []
    for (kind, name), runs in found.items():
        cost, rate, memory = zip(*runs)
        ours = statistics.median(run[0] for run in found[(kind, "failover")])
        ratio = "" if name == "failover" else f"{ours / statistics.median(cost):.2f}"
        if kind == "http, kept":
            # HAProxy keeps none in its checks: what its fresh ones cost.
            theirs = statistics.median(run[0] for run in found[("http", "haproxy")])
            ratio = f"{ours / theirs:.2f} of haproxy's http"
        rows.append([kind, name, spread(cost), f"{statistics.median(rate):.0f}", f"{max(memory):.0f}", ratio])
    table(["check", "tool", "ms CPU for 1,000", "checks/s", "MiB", "failover's share of it"], rows)
