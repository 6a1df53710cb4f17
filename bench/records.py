"""One site dies under 10,000 records: the agent beside the tool that writes the very same change from a file."""
import contextlib, json, os, re, signal, socket, sqlite3, statistics, struct, subprocess, sys, time, urllib.request

from changes import PRIMARY, STANDBY, nginx
from common import HERE, NOT_MEASURED, Process, fill, loud, spread, table

RECORDS = 10_000
# Names in one message of the batch file: what fits into 64 KiB.
NAMES_PER_SEND = 1000
PER_FILE = 5000
LIMIT_S = 120
KEY = "YmVuY2htYXJrLWtleS1vZi0zMi1vY3RldHMtYS1sb25n"
SCHEMA = "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql"
OCTODNS = os.path.join(HERE, ".octodns")


def zone_text(zone, address, records):
    names = "".join(f"r{n:05} A {address}\n" for n in range(records))
    return f"$TTL 60\n$ORIGIN {zone}.\n@ SOA ns1 host 1 3600 600 86400 60\n@ NS ns1\nns1 A 127.0.0.1\n{names}"


class Zone:
    """A zone at its server."""

    def __init__(self, name, port):
        self.name, self.port = name, port
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(("127.0.0.1", port))
        self.socket.settimeout(1)
        labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
        self.question = struct.pack(">HHHHHH", 1, 0, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", 6, 1)

    def serial(self):
        """None while there is no answer."""
        try:
            self.socket.send(self.question)
            answer = self.socket.recv(1500)
        except OSError:
            return None
        if struct.unpack(">H", answer[6:8])[0] == 0:
            return None
        start = len(self.question) + 12
        data = answer[start:start + struct.unpack(">H", answer[start - 2:start])[0]]
        # Two names, then five numbers, of which the serial is the first.
        return struct.unpack(">I", data[-20:-16])[0]

    def holding(self, address):
        """How many names of the zone hold that address, by a transfer of the zone."""
        dig = subprocess.run(["dig", "+tcp", "+nocomments", "-p", str(self.port), "@127.0.0.1", self.name, "AXFR"],
                             capture_output=True, text=True)
        return len(re.findall(rf"^r\d+\S*\s+\d+\s+IN\s+A\s+{re.escape(address)}$", dig.stdout, re.M))

    def changed(self, address, records, before, begun):
        """Seconds from `begun` to the first change of the serial, and to the last one, after which all names hold the address.

        Each write moves the serial: it is asked for every 2 ms, and the zone is transferred once it has stood for half a second.
        """
        first = last = None
        while time.monotonic() < begun + LIMIT_S:
            serial, now = self.serial(), time.monotonic()
            if serial is not None and serial != before:
                before, last = serial, now
                first = first or now
            elif last and now - last > 0.5:
                if self.holding(address) == records:
                    return first - begun, last - begun
                time.sleep(0.5)
            time.sleep(0.002)
        sys.exit(f"{self.name}: {self.holding(address)} of {records} names hold {address} after {LIMIT_S} s")


class Bind:
    title, peer = "BIND, DNS UPDATE", "nsupdate, one batch file"
    provider = f'type: rfc2136, server: "127.0.0.1:5356", tsig: {{name: failover-key, algorithm: hmac-sha256, secret: {KEY}}}'

    def __init__(self, folder, records):
        for zone in ["agent.test", "peer.test"]:
            with open(os.path.join(folder, f"{zone}.zone"), "w") as out:
                out.write(zone_text(zone, PRIMARY, records))
        self.server = Process(folder, "named", "-g", "-c", fill("records-named.conf", folder))
        self.agent, self.other = Zone("agent.test", 5356), Zone("peer.test", 5356)

    def calls(self):
        """What the server counted: requests by their opcode."""
        with urllib.request.urlopen("http://127.0.0.1:8053/json/v1/server", timeout=10) as page:
            return json.load(page)["opcodes"]

    def told(self, before, after):
        return f"{after['UPDATE'] - before['UPDATE']} UPDATE, {after['QUERY'] - before['QUERY']} questions"

    def command(self, folder, records):
        path = os.path.join(folder, "batch")
        with open(path, "w") as out:
            out.write(f"server 127.0.0.1 5356\nzone peer.test\nkey hmac-sha256:failover-key {KEY}\n")
            for n in range(records):
                name = f"r{n:05}.peer.test."
                out.write(f"update delete {name} A\nupdate add {name} 60 A {STANDBY}\n")
                if n % NAMES_PER_SEND == NAMES_PER_SEND - 1 or n == records - 1:
                    out.write("send\n")
        return ["nsupdate", path]


class PowerDns:
    title, peer = "PowerDNS, HTTP API", "octoDNS"
    provider = 'type: powerdns, url: "http://127.0.0.1:8082", api_key: bench, timeout: 20s'

    def __init__(self, folder, records):
        with open(SCHEMA) as schema, sqlite3.connect(os.path.join(folder, "pdns.db")) as database:
            database.executescript(schema.read())
        database.close()
        fill("records-pdns.conf", folder)
        os.replace(os.path.join(folder, "records-pdns.conf"), os.path.join(folder, "pdns.conf"))
        for zone in ["agent.test", "peer.test"]:
            path = os.path.join(folder, f"{zone}.zone")
            with open(path, "w") as out:
                out.write(zone_text(zone, PRIMARY, records))
            for command in [["load-zone", zone, path], ["set-meta", zone, "SOA-EDIT-API", "INCREASE"]]:
                subprocess.run(["pdnsutil", f"--config-dir={folder}", *command], check=True, capture_output=True)
        self.server = Process(folder, "pdns_server", f"--config-dir={folder}")
        self.agent, self.other = Zone("agent.test", 5357), Zone("peer.test", 5357)

    def calls(self):
        """What the server logged: requests by their method."""
        with open(self.server.log, errors="replace") as log:
            found = re.findall(r'HTTP Request "(?:https?://[^"]*)?\S*" .*|"(GET|PATCH|PUT|POST) /api', log.read())
        return {method: found.count(method) for method in ["GET", "PATCH", "PUT", "POST"]}

    def told(self, before, after):
        return ", ".join(f"{after[m] - before[m]} {m}" for m in after if after[m] > before[m])

    def command(self, folder, records):
        """None: it is not there and cannot be installed."""
        program = os.path.join(OCTODNS, "bin", "octodns-sync")
        if not os.path.exists(program):
            return None
        zones = os.path.join(folder, "zones")
        os.makedirs(zones, exist_ok=True)
        with open(os.path.join(zones, "peer.test.yaml"), "w") as out:
            out.write("? ''\n: - {type: NS, ttl: 60, value: ns1.peer.test.}\nns1: {type: A, ttl: 60, value: 127.0.0.1}\n")
            out.writelines(f"r{n:05}: {{type: A, ttl: 60, value: {STANDBY}}}\n" for n in range(records))
        path = fill("octodns.yaml", folder)
        return [program, "--config-file", path, "--doit", "--force", "--quiet"]


def install_octodns():
    """From PyPI, as Debian has no package, into a folder of the bench. Without it the bench goes on."""
    if os.path.exists(os.path.join(OCTODNS, "bin", "octodns-sync")):
        return
    for command in [[sys.executable, "-m", "venv", OCTODNS],
                    [os.path.join(OCTODNS, "bin", "pip"), "install", "--quiet", "octodns==1.22.0", "octodns-powerdns==1.2.0"]]:
        tried = subprocess.run(command, capture_output=True, text=True)
        if tried.returncode:
            loud(f"octoDNS cannot be installed (python3-venv and PyPI are needed), it is not measured: {tried.stderr[-300:]}")
            return


def verdict(state):
    """When the agent found the site down, by the clock on the wall."""
    with contextlib.closing(sqlite3.connect(f"file:{state}?mode=ro", uri=True)) as database:
        row = database.execute("SELECT time FROM events WHERE json_extract(body, '$.type') = 'target.down'").fetchone()
    return row[0] / 1e6


def agent(binary, folder, server, records):
    """Seconds to the verdict, to the first and to the last changed answer, CPU of the agent and of the server in seconds, and
    the calls."""
    own = os.path.join(folder, "agent")
    parts = os.path.join(own, "conf")
    os.makedirs(parts)
    path = fill("records.yaml", own, PROVIDER=server.provider, PRIMARY=PRIMARY, STANDBY=STANDBY)
    os.replace(path, os.path.join(parts, "agent.yaml"))
    for first in range(0, records, PER_FILE):
        with open(os.path.join(parts, f"records-{first}.yaml"), "w") as out:
            out.write("records:\n")
            for n in range(first, min(first + PER_FILE, records)):
                out.write(f"  - {{name: r{n:05}.agent.test, provider: zone, zone: agent.test, ttl: 60, targets: [primary, standby], "
                          f"nameservers: [\"127.0.0.1:{server.agent.port}\"]}}\n")
    primary, standby = nginx(folder, PRIMARY), nginx(folder, STANDBY)
    tool = Process(own, binary, "-c", parts, "--log-level", "warn", "run")
    try:
        calm(tool)
        before, calls, serial = (tool.cpu_s(), server.server.cpu_s()), server.calls(), server.agent.serial()
        begun, wall = time.monotonic(), time.time()
        os.kill(primary.pid, signal.SIGKILL)
        first, last = server.agent.changed(STANDBY, records, serial, begun)
        tool.must_run()
        cpu = [after - then for after, then in zip((tool.cpu_s(), server.server.cpu_s()), before)]
        return verdict(os.path.join(own, "failover.db")) - wall, first, last, cpu, server.told(calls, server.calls())
    finally:
        for process in [tool, primary, standby]:
            process.__exit__()


def calm(tool):
    """Until the agent has done next to nothing for a second: it has read all records."""
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        tool.must_run()
        cpu = tool.cpu_s()
        time.sleep(1)
        if 0 < tool.cpu_s() - cpu < 0.1:
            return
    sys.exit(f"the agent was busy for {LIMIT_S} s; see {tool.log}")


def other(folder, server, command, records):
    """The same of the peer: its wall time instead of that of the fault."""
    before, calls, serial = server.server.cpu_s(), server.calls(), server.other.serial()
    begun = time.monotonic()
    log = os.path.join(folder, "peer.log")
    with open(log, "w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
        _, code, usage = os.wait4(process.pid, 0)
    took = time.monotonic() - begun
    if code or server.other.serial() == serial or server.other.holding(STANDBY) != records:
        with open(log) as text:
            sys.exit(f"{command[0]} did not change all names (exit code {code}):\n{text.read()[-2000:]}")
    cpu = [usage.ru_utime + usage.ru_stime, server.server.cpu_s() - before]
    return took, cpu, server.told(calls, server.calls())


def one(kind, binary, folder, records):
    os.makedirs(folder)
    server = kind(folder, records)
    try:
        end = time.monotonic() + LIMIT_S
        while server.other.serial() is None and time.monotonic() < end:
            server.server.must_run()
            time.sleep(0.1)
        ours = agent(binary, folder, server, records)
        command = server.command(folder, records)
        return ours, command and other(folder, server, command, records)
    finally:
        server.server.__exit__()


def run(binary, folder, effort):
    rows = []
    for kind in [Bind, PowerDns]:
        runs = [one(kind, binary, os.path.join(folder, f"records-{kind.__name__}-{turn}"), RECORDS)
                for turn in range(effort.rounds)]
        ours, theirs = [run[0] for run in runs], [run[1] for run in runs]
        seconds = lambda values: spread(values, 2)
        median = lambda values: statistics.median(values)
        whole = [last for _, _, last, _, _ in ours]
        rows.append([kind.title, "failover", seconds([known for known, *_ in ours]), seconds([first for _, first, *_ in ours]),
                     seconds(whole), seconds([cpu[0] for *_, cpu, _ in ours]), seconds([cpu[1] for *_, cpu, _ in ours]),
                     ours[0][4], ""])
        if None in theirs:
            rows.append([kind.title, kind.peer, *[NOT_MEASURED] * 7])
            continue
        since = [last - known for known, _, last, _, _ in ours]
        took = median([took for took, _, _ in theirs])
        rows.append([kind.title, kind.peer, "", "", seconds([took for took, _, _ in theirs]), seconds([cpu[0] for _, cpu, _ in theirs]),
                     seconds([cpu[1] for _, cpu, _ in theirs]), theirs[0][2],
                     f"{median(since) / took:.2f} from the verdict on, {median(whole) / took:.2f} from the fault on"])
    print(f"One site dies under {RECORDS:,} records of one zone, {effort.rounds} rounds: from the fault to the verdict, to the first "
          "and to the last changed answer; the peer from its start to its end\n")
    table(["server", "tool", "verdict, s", "first answer, s", "all answers, s", "CPU s", "CPU s of the server", "calls", "failover's share of it"], rows)
