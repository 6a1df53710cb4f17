"""The agent alone with more and more targets: does a check cost the same among many, and does it begin in time?"""
import http.client, json, os, socket, statistics, time

from common import NOT_MEASURED, Ended, loud, opened, spread, table
from costs import failover

SIZES = [(100, 1), (1000, 1), (10_000, 1), (100_000, 10)]
LIMIT_S = 60


class LocalSocket(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=10)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def late_starts(folder):
    """How many probes began no later than so many ms after their time, as the agent counts: {ms: probes}."""
    asker = LocalSocket(os.path.join(folder, "failover", "failover.sock"))
    try:
        asker.request("GET", "/v1/status")
        delays = json.load(asker.getresponse()).get("probe_delays", [])
    except (OSError, ValueError, http.client.HTTPException):
        return {}
    finally:
        asker.close()
    all_so_far, counts = 0, {}
    for delay in delays:
        all_so_far += delay["count"]
        counts[delay["within_us"] / 1000] = all_so_far
    return counts


def p99_ms(before, after):
    """The bound below which 99 of 100 of the probes between two readings began."""
    most = max(before.values(), default=0)
    grown = {bound: count - before.get(bound, most) for bound, count in sorted(after.items())}
    if not grown or max(grown.values()) == 0:
        return None
    return next(bound for bound, count in grown.items() if count >= 0.99 * max(grown.values()))


def wait_for_checks(agent, limit_s):
    """Until the first checks were made: a configuration of 100,000 targets is not read at once."""
    before, end = opened(), time.monotonic() + limit_s
    while opened() - before < 10 and time.monotonic() < end:
        agent.must_run()
        time.sleep(0.1)


def one(binary, folder, count, interval, settle, seconds):
    """CPU in ms for 1,000 checks, checks a second, MiB at the highest, the p99 of late starts in ms; None: it refused."""
    with failover(binary, folder, "http", count, interval=f"{interval}s") as agent:
        try:
            wait_for_checks(agent, LIMIT_S)
        except Ended as why:
            loud(f"the agent does not take {count:,} targets; {' '.join(str(why).split())[:300]}")
            return None
        # Each target was probed once, and whole intervals are measured.
        time.sleep(max(settle, interval if interval > 1 else 0))
        late, cpu, checks, begun = late_starts(folder), agent.cpu_s(), opened(), time.monotonic()
        time.sleep(max(seconds, interval))
        cpu, checks, took = agent.cpu_s() - cpu, opened() - checks, time.monotonic() - begun
        late = p99_ms(late, late_starts(folder))
        agent.must_run()
        return cpu * 1e6 / max(checks, 1), checks / took, agent.status_mib("VmHWM"), late


def run(binary, folder, effort):
    found = {}
    for _ in range(effort.rounds):
        for count, interval in SIZES:
            if found.get((count, interval), [True])[-1] is None:
                continue
            run = one(binary, folder, count, interval, effort.settle, effort.seconds)
            found.setdefault((count, interval), []).append(run)
    print("The agent with more and more targets, plain HTTP\n")
    few = statistics.median(run[0] for run in found[SIZES[1]])
    rows = []
    for (count, interval), runs in found.items():
        size = [f"{count:,}", f"{interval} s"]
        if None in runs:
            rows.append([*size, "the agent refuses", *[NOT_MEASURED] * 5])
            continue
        cost, rate, memory, late = zip(*runs)
        core = statistics.median(cost) * statistics.median(rate) / 1e4
        late = NOT_MEASURED if None in late else f"{statistics.median(late):.1f}"
        rows.append([*size, spread(cost), f"{statistics.median(rate):.0f}", f"{core:.0f} %", f"{max(memory):.0f}",
                     f"{statistics.median(cost) / few:.2f}", late])
    table(["targets", "interval", "ms CPU for 1,000", "checks/s", "of a core", "MiB", "beside 1,000 targets",
           "begun late, p99, ms at most"], rows)
