import gc
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from runtime.cli.call import load
from runtime.cli.process import give_back_what_is_freed

ROOT = Path(__file__).parents[3]

# Tiles between small blocks that stay, after one large block has come and gone.
SCAN = """
import sys
import numpy as np
from runtime.cli.process import give_back_what_is_freed

def resident_mb():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6

if sys.argv[1] == "with":
    give_back_what_is_freed()
np.ones(30_000_000, np.uint8)
before = resident_mb()
tiles, kept = [], []
for _ in range(20):
    tiles.append(np.ones(8_000_000, np.uint8))
    kept.append(np.ones(100_000, np.uint8))
tiles.clear()
print(resident_mb() - before)
"""


# Pictures of a megabyte that come and go at the end of the heap, as those of a seam do.
SEAMS = """
import resource
import numpy as np
from runtime.cli.process import give_back_what_is_freed

give_back_what_is_freed()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(200):
    np.ones(1_000_000, np.uint8)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

with_mallopt = pytest.mark.skipif(
    not sys.platform.startswith("linux") or not give_back_what_is_freed(),
    reason="a C library without mallopt",
)


@with_mallopt
def test_pictures_that_come_and_go_are_not_asked_of_the_kernel_each_time() -> None:
    asked = subprocess.run(
        [sys.executable, "-c", SEAMS], check=True, capture_output=True, text=True
    ).stdout
    assert int(asked) < 2_000  # each has 245 pages


@with_mallopt
@pytest.mark.slow
def test_freed_tiles_do_not_stay_with_the_process() -> None:
    def left_mb(how: str) -> float:
        said = subprocess.run(
            [sys.executable, "-c", SCAN, how], check=True, capture_output=True, text=True
        )
        return float(said.stdout)

    assert left_mb("with") < 20
    assert left_mb("without") > 100


@pytest.mark.parametrize(("said", "expected"), [({}, "1"), ({"OPENBLAS_NUM_THREADS": "3"}, "3")])
def test_blas_is_told_before_numpy_is_loaded_and_the_user_has_the_last_word(said, expected) -> None:
    script = (
        "import os, sys\n"
        "import runtime.cli.verbs as verbs\n"
        "verbs.app = lambda: print('numpy' in sys.modules, os.environ['OPENBLAS_NUM_THREADS'])\n"
        "verbs.main()\n"
    )
    kept = {name: value for name, value in os.environ.items() if "BLAS" not in name}
    out = subprocess.run(
        [sys.executable, "-c", script], env=kept | said, check=True, capture_output=True, text=True
    ).stdout
    assert out.split() == ["False", expected]


def test_that_there_is_no_memory_is_said_without_any() -> None:
    script = (
        "import sys\n"
        "import runtime.cli.verbs as verbs\n"
        "def ended(*_):\n"
        "    raise MemoryError\n"
        "verbs.app = verbs._report_bug = ended\n"
        "sys.stderr = None\n"
        "verbs.main()\n"
    )
    said = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)
    assert said.returncode == 7
    assert said.stderr.startswith(b"nightscope: memory ran short")


def test_what_is_freed_is_collected_again_once_a_verb_is_loaded() -> None:
    assert load("json:loads")("1") == 1
    assert gc.isenabled()
    with pytest.raises(ModuleNotFoundError):
        load("runtime.no_such_verb:run")
    assert gc.isenabled()


INTERRUPTED = """
import signal, sys
from importlib.metadata import EntryPoint

_, while_loading, entry = sys.argv

class CtrlC:
    def find_spec(self, name, *_):
        if name == while_loading:
            signal.raise_signal(signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in jobs of a shell
sys.meta_path.insert(0, CtrlC())
sys.argv[1:] = ["--help"]
EntryPoint("nightscope", entry, "console_scripts").load()()
"""


@pytest.mark.parametrize("while_loading", ["typer", "typer.rich_utils"])
def test_ctrl_c_while_the_command_line_is_loaded_ends_it_quietly(while_loading: str) -> None:
    entry = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]["nightscope"]
    command = [sys.executable, "-c", INTERRUPTED, while_loading, entry]
    ended = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


OUTLIVES = """
import os, sys
from runtime.cli.process import print_whatever_comes
print_whatever_comes()
os.read(0, 1)
for _ in range(2000):
    print("a line that nobody reads")
sys.stdout.flush()
print("nor this", file=sys.stderr)
os._exit(7)
"""


def test_nothing_ends_because_nobody_reads_any_more() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", OUTLIVES],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    for pipe in (process.stdout, process.stderr):
        assert pipe is not None
        pipe.close()
    assert process.stdin is not None
    process.stdin.write(b"x")
    process.stdin.close()
    assert process.wait(60) == 7


def test_a_terminal_that_was_closed_is_no_reason_to_end() -> None:
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", OUTLIVES], stdin=subprocess.PIPE, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    os.close(ours)
    assert process.stdin
    process.stdin.write(b"x")
    process.stdin.close()
    assert process.wait(60) == 7


STUCK = """
import threading
from concurrent.futures import ThreadPoolExecutor
from runtime.cli.call import call
from runtime.errors import CameraFailed
from runtime.patience import leave_behind

def verb(console):
    pool = ThreadPoolExecutor(1)
    thread = pool.submit(threading.current_thread).result()
    pool.submit(threading.Event().wait)
    leave_behind(thread)
    raise CameraFailed("the camera stalled")

call("__main__:verb", True)
"""


def test_a_verb_ends_though_a_thread_is_stuck_that_python_would_wait_for() -> None:
    """A driver that hangs, the pool that a stuck compute thread waits for."""
    ended = subprocess.run(
        [sys.executable, "-c", STUCK], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert (ended.returncode, json.loads(ended.stdout)["kind"]) == (4, "CameraFailed")
    assert ended.stderr == "nightscope: the camera stalled\n"
