"""What an agent costs that has next to nothing to do, and how fast `failover once` is done."""
import contextlib, json, os, sqlite3, statistics, subprocess, sys, time

from common import Process, fill, loud, spread, table

TIMES = 20
# Rows of history: so many events, and as many minutes and hours of latency.
HISTORY = 100_000


def configured(folder, name):
    """A folder of its own, with its configuration."""
    own = os.path.join(folder, name)
    os.makedirs(own, exist_ok=True)
    return fill("idle.yaml", own)


def agent(binary, folder, seconds):
    path = configured(folder, "idle")
    with Process(folder, binary, "-c", path, "--log-level", "error", "run") as tool:
        # The start, and the first probes, are not what is asked for.
        time.sleep(11)
        tool.must_run()
        cpu, begun = tool.cpu_s(), time.monotonic()
        time.sleep(seconds)
        cpu, took = tool.cpu_s() - cpu, time.monotonic() - begun
        tool.must_run()
        memory = [tool.status_mib(field) for field in ["VmRSS", "RssAnon", "RssFile", "VmHWM"]]
    print(f"An idle agent: 3 targets at 10 s, for {seconds} s\n")
    table(["CPU s an hour", "VmRSS, MiB", "of it RssAnon", "of it RssFile", "at its highest"],
          [[f"{cpu / took * 3600:.2f}", *[f"{each:.1f}" for each in memory]]])


def latencies(path):
    """Of each endpoint how long all of its probes took together, seconds: all minutes that are kept."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as state:
        rows = state.execute("SELECT endpoint, body FROM latency "
                             "WHERE span = 60 AND endpoint <= 3")
        sums = {}
        for endpoint, body in rows:
            sums[endpoint] = sums.get(endpoint, 0) + json.loads(body)["sum_us"] / 1e6
        return sums


def fill_history(path):
    """As much as ninety days of trouble leave: what is there already, again and again, at other times."""
    micros, hour = 1_000_000, 3600
    now = int(time.time())
    with contextlib.closing(sqlite3.connect(path)) as state, state:
        sample = state.execute("SELECT body FROM events LIMIT 1").fetchone()[0]
        state.executemany(
            "INSERT INTO events (id, time, body) VALUES (?, ?, ?)",
            ((f"old-{n}", (now - 2 * hour - n * 70) * micros, sample) for n in range(HISTORY)))
        sample = state.execute("SELECT body FROM latency LIMIT 1").fetchone()[0]
        endpoint = json.loads(state.execute("SELECT endpoint FROM endpoints LIMIT 1").fetchone()[0])
        first = now // hour * hour - 3 * hour
        for number in range(HISTORY // 2000):
            row = state.execute("INSERT INTO endpoints (endpoint) VALUES (?)",
                                [json.dumps({**endpoint, "target": f"old-{number}"}, separators=(",", ":"))])
            state.executemany("INSERT INTO latency VALUES (3600, ?, ?, ?)",
                              ((first - n * hour, row.lastrowid, sample) for n in range(2000)))


def once(binary, path):
    """Seconds beyond the slowest probe."""
    state = os.path.join(os.path.dirname(path), "failover.db")
    before = latencies(state) if os.path.exists(state) else {}
    begun = time.monotonic()
    ended = subprocess.run([binary, "-c", path, "--log-level", "error", "once"], capture_output=True, text=True)
    took = time.monotonic() - begun
    if ended.returncode:
        sys.exit(f"failover once ended with {ended.returncode}:\n{ended.stderr[-2000:]}")
    probes = {endpoint: total - before.get(endpoint, 0) for endpoint, total in latencies(state).items()}
    return took - max(probes.values())


def one_shots(binary, folder):
    """All healthy, with a new state file and with a full one, in turns."""
    paths = {"new": configured(folder, "once-new"), "full": configured(folder, "once-full")}
    for path in paths.values():
        # The record is created, which takes until its servers were asked: no run of these counts.
        once(binary, path)
    fill_history(os.path.join(os.path.dirname(paths["full"]), "failover.db"))
    found = {name: [] for name in paths}
    for _ in range(TIMES):
        for name, path in paths.items():
            found[name].append(once(binary, path))
    print(f"`failover once`, 3 healthy targets, beyond its slowest probe, {TIMES} runs, in ms: median (least-most)\n")
    new = statistics.median(found["new"])
    rows = [[{"new": "none", "full": f"{HISTORY:,} events, {HISTORY:,} hours of latency"}[name],
             spread([1000 * each for each in took]), f"{statistics.median(took) / new:.2f}"]
            for name, took in found.items()]
    table(["history", "ms", "beside none"], rows)
    if statistics.median(found["full"]) > 1.5 * new:
        loud("`once` is slower with a full history: something goes through all of it")


def run(binary, folder, effort):
    one_shots(binary, folder)
    agent(binary, folder, effort.idle)
