#!/usr/bin/env python3
"""Two agents that see opposite things, against one real BIND: how often do they change the record?

usage: tests/opposite.py [SECONDS] [PROGRAM]      (default: 600 s, target/debug/failover)

Once with `coordination: none` and once with `coordination: zone`, both at the same time, each with a server of its own. Agent one can
reach the stand-by only, agent two the primary only, and each is right. hold_down is 5 s. Every 60 s one of them is killed with
SIGKILL and started again, each second time without its state file; every 150 s the other stands still (SIGSTOP) for 10 s.

The changes are counted in the server's journal, which has every one of them with the marker that came with it; when they
were made is seen by asking for the serial twenty times a second. Prints a table for docs/verification.md. Only loopback.
"""
import os, re, signal, socket, struct, subprocess, sys, tempfile, threading, time

HERE = os.path.dirname(os.path.abspath(__file__))
ZONE, WWW = "example.test", "www.example.test"
ALPHA, BETA = "127.0.0.10", "127.0.0.20"
HOLD_DOWN = 5


def listener(address):
    """A port on one address that takes connections: what one agent can reach and the other cannot."""
    server = socket.socket()
    server.bind((address, 0))
    server.listen(64)

    def serve():
        while True:
            server.accept()[0].close()

    threading.Thread(target=serve, daemon=True).start()
    return server.getsockname()[1]


def environment(text):
    found = re.findall(r"^export (\w+)=(.*)$", text, re.M)
    return {key: value.strip("'\"") for key, value in found}


class Side:
    """One way of coordination: a BIND, two agents, and a look at the serial."""

    def __init__(self, mode, program, folder):
        self.mode, self.program, self.folder = mode, program, os.path.join(folder, mode)
        os.makedirs(self.folder)
        self.env = dict(os.environ, RC_BASE=os.path.join(self.folder, "rc"), BIND_SECONDARIES="0", RC_READY="120")
        self.bind = environment(self.script("start"))
        self.port = int(self.bind["BIND_PORT"])
        self.update(f"update add {WWW}. 60 A {ALPHA}")
        self.first = self.serial()
        self.agents, self.times = {}, []

    def script(self, what):
        return subprocess.run([os.path.join(HERE, "servers", "bind.sh"), what], env=self.env, check=True,
                              capture_output=True, text=True).stdout

    def update(self, line):
        text = f"server 127.0.0.1 {self.port}\nzone {ZONE}\n{line}\nsend\n"
        subprocess.run(["nsupdate", "-k", self.bind["BIND_KEYFILE"]], input=text, text=True, check=True)

    def serial(self):
        """One question over UDP; None when there was no answer in time."""
        labels = b"".join(bytes([len(l)]) + l.encode() for l in ZONE.split(".")) + b"\0"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(2)
            s.sendto(struct.pack(">6H", 1, 0, 1, 0, 0, 0) + labels + struct.pack(">2H", 6, 1), ("127.0.0.1", self.port))
            try:
                reply = s.recv(4096)
            except TimeoutError:
                return None
        # The SOA ends with serial, refresh, retry, expire, minimum; nothing follows it in a minimal answer.
        at = reply.find(struct.pack(">4I", 2, 1, 3600, 5))
        return struct.unpack(">I", reply[at - 4:at])[0] if at > 4 else None

    def configure(self, name, port):
        folder = os.path.join(self.folder, name)
        os.makedirs(folder)
        with open(os.path.join(folder, "failover.yaml"), "w") as file:
            file.write(f"""
agent: {{id: {name}, state: {folder}/failover.db, startup_grace: 1s, live_interval: 500ms}}
checks:
  web:
    tcp: {{port: {port}}}
    interval: 1s
    fast_interval: 200ms
    timeout: 500ms
    fall: 2
    rise: 2
    clear: 2
targets:
  alpha: {{address: {ALPHA}, checks: [web]}}
  beta: {{address: {BETA}, checks: [web]}}
providers:
  zone:
    type: rfc2136
    server: "127.0.0.1:{self.port}"
    tsig: {{name: {self.bind["BIND_KEY_NAME"]}, algorithm: {self.bind["BIND_KEY_ALG"]}, secret: "{self.bind["BIND_KEY_SECRET"]}"}}
records:
  - name: {WWW}
    provider: zone
    nameservers: ["127.0.0.1:{self.port}"]
    targets: [alpha, beta]
    failback: {{mode: auto, after: 1s}}
    hold_down: {HOLD_DOWN}s
    flapping: {{suppress: 1000000}}
    coordination: {self.mode}
""")

    def run(self, name):
        folder = os.path.join(self.folder, name)
        log = open(os.path.join(folder, "log"), "ab")
        command = [self.program, "-c", os.path.join(folder, "failover.yaml"), "run"]
        self.agents[name] = subprocess.Popen(command, stdout=log, stderr=log)

    def kill(self, name, forget):
        self.agents[name].kill()
        self.agents[name].wait()
        if forget:
            for file in os.listdir(os.path.join(self.folder, name)):
                if file.startswith("failover.db"):
                    os.remove(os.path.join(self.folder, name, file))
        self.run(name)

    def watch(self, until):
        last = self.first
        while time.monotonic() < until:
            now = self.serial()
            if now is not None and now != last:
                self.times.extend([time.monotonic()] * (now - last))
                last = now
            time.sleep(0.05)

    def generations(self):
        journal = os.path.join(self.bind["BIND_DIR"], "primary", f"{ZONE}.zone.jnl")
        text = subprocess.run(["named-journalprint", journal], check=True, capture_output=True, text=True).stdout
        return [int(n) for n in re.findall(r"^add _failover.*generation=(\d+);", text, re.M)]

    def stop(self):
        for agent in self.agents.values():
            agent.kill()
            agent.wait()
        found = self.generations()
        self.script("stop")
        return found


def most_within(times, window):
    return max((sum(1 for u in times if t <= u <= t + window) for t in times), default=0)


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 600
    program = os.path.abspath(sys.argv[2]) if len(sys.argv) > 2 else os.path.join(HERE, "..", "target", "debug", "failover")
    only_beta, only_alpha = listener(BETA), listener(ALPHA)
    with tempfile.TemporaryDirectory(prefix="opposite-") as folder:
        os.chmod(folder, 0o755)
        sides = [Side(mode, program, folder) for mode in ("none", "zone")]
        for side in sides:
            side.configure("one", only_beta)
            side.configure("two", only_alpha)
            side.run("one")
            side.run("two")
        start = time.monotonic()
        watches = [threading.Thread(target=side.watch, args=(start + seconds,)) for side in sides]
        for watch in watches:
            watch.start()
        kills = stops = 0
        try:
            for second in range(1, seconds):
                time.sleep(max(0, start + second - time.monotonic()))
                if second % 60 == 0:
                    kills += 1
                    for side in sides:
                        side.kill("one" if kills % 2 else "two", forget=kills % 2 == 0)
                if second % 150 == 75:
                    stops += 1
                    for side in sides:
                        side.agents["one"].send_signal(signal.SIGSTOP)
                if second % 150 == 85:
                    for side in sides:
                        side.agents["one"].send_signal(signal.SIGCONT)
        finally:
            for watch in watches:
                watch.join()
            found = [side.stop() for side in sides]
    print(f"| {seconds} s, `hold_down` {HOLD_DOWN} s, {kills} kills ({kills // 2} with the state lost), {stops} stand-stills "
          "| `none` | `zone` | bound |")
    print("|---|---|---|---|")
    none, zone = [side.times for side in sides]
    row = lambda title, value, bound: print(f"| {title} | {value(none)} | {value(zone)} | {bound} |")
    row("changes", len, 1 + seconds // HOLD_DOWN)
    for window in (5, 30, 60):
        # Seen up to 50 ms late, so two that lie a window apart can look a little nearer.
        row(f"most within {window} s", lambda t: most_within(t, window - 0.1), 1 + int((window - 0.1) // HOLD_DOWN))
    row("shortest distance, s", lambda t: f"{min((b - a for a, b in zip(t, t[1:])), default=0):.2f}", HOLD_DOWN)
    whole = found[1] == list(range(1, len(found[1]) + 1)) and len(found[1]) >= len(zone)
    print(f"| generations in the server's journal | - | {len(found[1])}, {'1, 2, 3 ... without a gap' if whole else found[1]} | |")
    return 0 if whole and len(zone) <= 1 + seconds // HOLD_DOWN else 1


if __name__ == "__main__":
    sys.exit(main())
