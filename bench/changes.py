"""From the fault of the primary to the first changed authoritative answer."""
import os, select, signal, socket, statistics, struct, time

from common import Process, fill, spread, table

PRIMARY, STANDBY = "127.8.0.1", "127.8.0.2"
NAME = "www.bench.test"
# How long a tool may take; beyond it the run counts as this.
LIMIT_S = 60


class Server:
    """Asks one authoritative server for one name, as fast as it answers."""

    def __init__(self, host, port):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect((host, port))
        labels = b"".join(bytes([len(label)]) + label.encode() for label in NAME.split("."))
        self.question = struct.pack(">HHHHHH", 1, 0, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", 1, 1)

    def address(self):
        """The one address that is served; None while there is no answer, or not exactly one."""
        try:
            self.socket.send(self.question)
            if not select.select([self.socket], [], [], 0.2)[0]:
                return None
            answer = self.socket.recv(1500)
        except OSError:
            return None
        if len(answer) < 12 or struct.unpack(">H", answer[6:8])[0] != 1:
            return None
        start = len(self.question)
        length = struct.unpack(">H", answer[start + 10:start + 12])[0]
        return socket.inet_ntoa(answer[start + 12:start + 12 + length]) if length == 4 else None

    def wait_for(self, address, limit_s, meanwhile=lambda: None):
        """When that address was served first; None after the limit."""
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            if self.address() == address:
                return time.monotonic()
            meanwhile()
            time.sleep(0.0005)
        return None


class FirstConnection:
    """When somebody connected to the primary first, by the kernel's table: it accepts for a program that hangs, too."""

    def __init__(self):
        octets = [int(octet) for octet in PRIMARY.split(".")]
        self.primary = "".join(f"{octet:02X}" for octet in reversed(octets)) + ":1F90"
        self.before, self.at = self.clients(), None

    def clients(self):
        with open("/proc/net/tcp") as table:
            rows = [line.split() for line in table]
        return {row[1] for row in rows if row[2] == self.primary}

    def look(self):
        if self.at is None and self.clients() - self.before:
            self.at = time.monotonic()


def nginx(folder, host):
    """A single process, so that one signal ends or stops all of it."""
    os.makedirs(os.path.join(folder, host), exist_ok=True)
    own = os.path.join(folder, host)
    return Process(own, "nginx", "-c", fill("single.conf", own, HOST=host), "-e", "/dev/null")


def agent(binary, folder):
    os.makedirs(os.path.join(folder, "bind"), exist_ok=True)
    bind = os.path.join(folder, "bind")
    fill("bench.test.zone", bind, PRIMARY=PRIMARY)
    named = Process(bind, "named", "-g", "-c", fill("named.conf", bind))
    os.makedirs(os.path.join(folder, "failover"), exist_ok=True)
    tool = Process(folder, binary, "-c", fill("changes.yaml", folder, PRIMARY=PRIMARY, STANDBY=STANDBY), "run")
    return [tool, named], Server("127.0.0.1", 5354)


def gdnsd(_, folder):
    for part in ["run", "state", "zones"]:
        os.makedirs(os.path.join(folder, "gdnsd", part), mode=0o700, exist_ok=True)
    path = fill("gdnsd-changes.config", folder, PRIMARY=PRIMARY, STANDBY=STANDBY)
    os.replace(path, os.path.join(folder, "gdnsd", "config"))
    path = fill("gdnsd.zone", folder)
    os.replace(path, os.path.join(folder, "gdnsd", "zones", "bench.test"))
    return [Process(folder, "gdnsd", "-c", os.path.join(folder, "gdnsd"), "start")], Server("127.0.0.53", 5353)


def powerdns(_, folder):
    path = os.path.join(folder, "pdns")
    os.makedirs(path, exist_ok=True)
    fill("lua.zone", path, PRIMARY=PRIMARY, STANDBY=STANDBY)
    fill("named-zones.conf", path)
    fill("pdns.conf", path)
    return [Process(path, "pdns_server", f"--config-dir={path}")], Server("127.0.0.55", 5355)


TOOLS = {"failover and BIND": agent, "gdnsd": gdnsd, "PowerDNS, Lua records": powerdns}


def one(start, binary, folder, fault, times, calm):
    """Seconds to the changed answer, so many times: from the fault, and from the first connection after it."""
    took = []
    primary, standby = nginx(folder, PRIMARY), nginx(folder, STANDBY)
    tools, server = start(binary, folder)
    try:
        for turn in range(times):
            if server.wait_for(PRIMARY, LIMIT_S) is None:
                for tool in tools:
                    tool.must_run()
                raise SystemExit(f"the primary is not served, before fault {turn + 1}; see {tools[0].log}")
            # Calm again, and at another point of the interval each time.
            time.sleep(calm + 0.37 * turn)
            asked, begun = FirstConnection(), time.monotonic()
            os.kill(primary.pid, fault)
            changed = server.wait_for(STANDBY, LIMIT_S, asked.look) or begun + LIMIT_S
            took.append((changed - begun, changed - (asked.at or changed)))
            primary.process.kill()
            primary.process.wait()
            primary = nginx(folder, PRIMARY)
    finally:
        for process in [*tools, primary, standby]:
            process.__exit__()
    return took


def run(binary, folder, effort):
    rounds, times = effort.rounds, effort.faults
    found = {}
    for _ in range(rounds):
        for fault in [signal.SIGKILL, signal.SIGSTOP]:
            for name, start in TOOLS.items():
                found.setdefault((fault, name), []).extend(one(start, binary, folder, fault, times, effort.calm))
    print(f"From the fault of the primary to the first changed authoritative answer, {rounds} rounds of {times}, in ms: "
          "median (least-most)\nOf a primary that hangs the first probe after the fault is shown as well: what comes before it is the "
          "interval.\n")
    own, rows = next(iter(TOOLS)), []
    for (fault, name), took in found.items():
        whole, asked = ([1000 * each for each in column] for column in zip(*took))
        ours = statistics.median(each for each, _ in found[(fault, own)]) * 1000
        ratio = "" if name == own else f"{ours / statistics.median(whole):.2f}"
        hangs = fault == signal.SIGSTOP
        rows.append([fault.name, name, spread(whole, 0), ratio, spread(asked, 0) if hangs else ""])
    table(["fault", "tool", "ms", "failover's share of it", "ms from its first probe on"], rows)
