"""CPU for 1,000 checks, and memory, of the agent and of its peers."""
import os, statistics, time

from common import Process, address, answered, fill, opened, spread, table

KINDS = ["http", "http, kept", "tcp", "https"]


def failover(binary, folder, kind, count, interval="1s"):
    os.makedirs(os.path.join(folder, "failover"), exist_ok=True)
    check = {
        "http": "http: {port: 8080}",
        "http, kept": "http: {port: 8080, reuse: true}",
        "tcp": "tcp: {port: 8080}",
        "https": f"http: {{port: 8443, tls: true, host: bench.test, ca: {folder}/ca.pem}}",
    }[kind]
    targets = "\n".join(f"  t{n}: {{address: {address(n)}, checks: [check]}}" for n in range(count))
    path = fill("failover.yaml", folder, CHECK=check, TARGETS=targets, INTERVAL=interval)
    return Process(folder, binary, "-c", path, "--log-level", "error", "run")


def haproxy(_, folder, kind, count):
    check = {
        "http": "    option httpchk GET /\n    http-check expect status 200",
        "tcp": "    option tcp-check",
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


TOOLS = {"failover": (failover, KINDS), "haproxy": (haproxy, ["http", "tcp", "https"]), "gdnsd": (gdnsd, ["http", "tcp"])}


def one(start, binary, folder, kind, count, seconds):
    """CPU in ms for 1,000 checks, checks a second, MiB at the highest, of one tool in one run."""
    with start(binary, folder, kind, count) as tool:
        time.sleep(5)
        tool.must_run()
        # Connections that are kept are not opened: there the requests count.
        counter = answered if kind == "http, kept" else opened
        cpu, checks, begun = tool.cpu_s(), counter(), time.monotonic()
        time.sleep(seconds)
        cpu, checks, took = tool.cpu_s() - cpu, counter() - checks, time.monotonic() - begun
        tool.must_run()
        return cpu * 1e6 / max(checks, 1), checks / took, tool.status_mib("VmHWM")


def run(binary, folder, rounds, seconds, count):
    found = {}
    for _ in range(rounds):
        for kind in KINDS:
            # A handshake costs the target far more than it costs who checks it: fewer of them.
            many = count // 5 if kind == "https" else count
            for name, (start, kinds) in TOOLS.items():
                if kind in kinds:
                    found.setdefault((kind, name), []).append(one(start, binary, folder, kind, many, seconds))
    print(f"CPU in ms for 1,000 checks, {count} targets checked once a second ({count // 5} for https), "
          f"{rounds} rounds of {seconds} s: median (least-most)\n")
    rows = []
    for (kind, name), runs in found.items():
        cost, rate, memory = zip(*runs)
        ours = statistics.median(run[0] for run in found[(kind, "failover")])
        peer = {"http, kept": "http"}.get(kind, kind)
        theirs = [statistics.median(run[0] for run in runs) for (k, n), runs in found.items()
                  if n == name and k == peer]
        ratio = "" if name == "failover" else f"{ours / theirs[0]:.2f}"
        rows.append([kind, name, spread(cost), f"{statistics.median(rate):.0f}", f"{max(memory):.0f}", ratio])
    table(["check", "tool", "ms CPU for 1,000", "checks/s", "MiB", "failover's share of it"], rows)


def scale(binary, folder, rounds, seconds):
    """The agent alone: does a check cost the same among many?"""
    found = {}
    sizes = [(100, "1s"), (1000, "1s"), (10_000, "1s"), (100_000, "10s")]
    for _ in range(rounds):
        for count, interval in sizes:
            start = lambda *given: failover(*given, interval=interval)
            found.setdefault((count, interval), []).append(one(start, binary, folder, "http", count, max(seconds, 12)))
    print("The agent with more and more targets, plain HTTP\n")
    few = statistics.median(run[0] for run in found[sizes[1]])
    rows = []
    for (count, interval), runs in found.items():
        cost, rate, memory = zip(*runs)
        core = statistics.median(cost) * statistics.median(rate) / 1e4
        rows.append([f"{count:,}", interval, spread(cost), f"{statistics.median(rate):.0f}", f"{core:.0f} %",
                     f"{max(memory):.0f}", f"{statistics.median(cost) / few:.2f}"])
    table(["targets", "interval", "ms CPU for 1,000", "checks/s", "of a core", "MiB", "beside 1,000 targets"], rows)
