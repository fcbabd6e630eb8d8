"""What watching costs a night: the demo run by the service, nobody looking on against fifty who do.

The peer is the same night with no watcher, in alternating order, each by a service of its own. A
watcher reads the server-sent events as they come and asks for the state every five seconds, as a
page does. Told are the stages of tiles that missed their budget and the stages that are late by the
written policy, the scan's time against its mechanics, and the processor time of the service (the
night's is its own). Watchers run in one process of their own, whose processor time is told, too: on
a real controller they are elsewhere. Run with

    python benchmarks/service.py --nights 3 --speed 10 --watchers 50
"""

from __future__ import annotations

import argparse
import json
import os
import re
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from runtime.appliance.service.client import ServiceClient  # noqa: E402
from runtime.cli.commands.demo import SHIPPED  # noqa: E402
from runtime.record.journal import Journal  # noqa: E402
from runtime.record.run_folder import RunFolder  # noqa: E402
from runtime.record.summary import late_stages, summarise  # noqa: E402

SERVICE = "\n[service]\nport = 0\nrequests_per_s = 1000\n"
ASKS_EVERY_S = 5.0
COLUMNS = (
    "watchers", "night", "missed", "late", "scan wall / mechanics", "scan s", "service CPU s",
    "watchers CPU s", "messages",
)  # fmt: skip


@dataclass(slots=True)
class Serving:
    """A service with the demo's settings, and its client."""

    process: subprocess.Popen[bytes]
    client: ServiceClient

    @classmethod
    def begin(cls, folder: Path, *, seed: int, speed: float) -> Serving:
        """Return one that listens."""
        settings = (SHIPPED / "settings.toml").read_text().format(seed=seed, speed=speed)
        (folder / "settings.toml").write_text(settings + SERVICE)
        said = folder / "said"
        with said.open("w") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "runtime", "serve", "--settings", "settings.toml"],
                cwd=folder,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                stdout=out,
                stderr=out,
            )
        while not (found := re.search(r": (nightscope_\S+)\n.*listening on (\S+)\n", _read(said))):
            if process.poll() is not None:
                raise SystemExit(_read(said))
            time.sleep(0.1)
        return cls(process, ServiceClient(url=found[2], token=found[1]))

    def cpu_s(self) -> float:
        """Return the processor time of the service so far."""
        words = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        """Ask it to end, and wait."""
        self.process.terminate()
        self.process.wait()


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def watch(url: str, token: str, count: int) -> None:
    """Watch until standard input closes; print messages and processor seconds."""
    host, _, port = url.rpartition("/")[2].partition(":")
    ask = f"HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
    lines = []
    for _ in range(count):
        line = socket.create_connection((host, int(port)))
        line.sendall(f"GET /api/v1/events {ask}".encode())
        lines.append(line)
    client, asked_s, messages = ServiceClient(url=url, token=token), time.monotonic(), 0
    while True:
        ready, _, _ = select.select([sys.stdin, *lines], [], [], ASKS_EVERY_S / count)
        if sys.stdin in ready:
            break
        messages += sum(line.recv(1 << 16).count(b"data: ") for line in ready)
        if time.monotonic() - asked_s > ASKS_EVERY_S / count:  # each of them in turn
            client.ask("GET", "/api/v1/state")
            asked_s = time.monotonic()
    print(json.dumps([messages, time.process_time()]))


def night(watchers: int, seed: int, speed: float) -> dict[str, Any]:
    """Return the figures of one night with so many watchers."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        serving = Serving.begin(folder, seed=seed, speed=speed)
        client = serving.client
        looking = None
        if watchers:
            looking = subprocess.Popen(
                [sys.executable, __file__, "--watch", client.url, client.token, str(watchers)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        try:
            client.ask("POST", "/api/v1/queue", {"plan": (SHIPPED / "plan.yaml").read_text()})
            while (item := client.ask("GET", "/api/v1/state")["queue"][0])["state"] in (
                "waiting",
                "running",
            ):
                time.sleep(2)
            if item["state"] != "done":
                raise SystemExit(f"the night ended as {item['state']}: {item['reason']}")
            cpu_s = serving.cpu_s()
            messages, theirs_s = 0, 0.0
            if looking is not None:
                messages, theirs_s = json.loads(looking.communicate(b"\n")[0])
        finally:
            if looking is not None:
                looking.kill()
            serving.end()
        run = RunFolder(folder / "runs" / item["run"])
        with closing(Journal(run.journal)) as journal:
            summary = summarise(run.path, journal)
            late = late_stages(journal)
            scan_s = journal.fact("scan_s")
    return {
        "watchers": watchers,
        "night": seed,
        "missed": sum(row["misses"] for row in summary["budgets"]),
        "late": len(late),
        "scan wall / mechanics": round(1 / summary["mechanics_share"], 2),
        "scan s": round(scan_s, 1),
        "service CPU s": round(cpu_s, 2),
        "watchers CPU s": round(theirs_s, 2),
        "messages": messages,
    }


def main() -> None:
    """Print one row a night, with and without watchers in turn, and the medians of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nights", type=int, default=3)
    parser.add_argument("--speed", type=float, default=10.0)
    parser.add_argument("--watchers", type=int, default=50)
    parser.add_argument("--watch", nargs=3, metavar=("URL", "TOKEN", "COUNT"))
    options = parser.parse_args()
    if options.watch:
        url, token, count = options.watch
        watch(url, token, int(count))
        return
    print(" | ".join(COLUMNS))
    rows = []
    for seed in range(options.nights):
        for watchers in (0, options.watchers) if seed % 2 == 0 else (options.watchers, 0):
            rows.append(night(watchers, seed, options.speed))
            print(" | ".join(str(rows[-1][name]) for name in COLUMNS), flush=True)
    for watchers in (0, options.watchers):
        alike = [row for row in rows if row["watchers"] == watchers]
        medians = [f"{statistics.median(row[name] for row in alike):g}" for name in COLUMNS[2:]]
        print(" | ".join((str(watchers), "median", *medians)))


if __name__ == "__main__":
    main()
