"""What is said on the way waits for nobody; what is said in the end waits for its reader."""

import io
import os
import threading

from rich.console import Console

from runtime.cli.unheld import WAITING, unheld

LINE = "a line of some length that is said over and over while nobody reads it, 80 columns"


def pipe_console():
    reader, writer = os.pipe()
    stream = os.fdopen(writer, "w", encoding="utf-8")
    return reader, Console(file=stream, width=200)


def test_a_pipe_that_nobody_empties_holds_nothing_up():
    reader, console = pipe_console()
    with unheld(console):
        for number in range(5 * WAITING):
            console.print(f"{number} {LINE}", highlight=False)
    read = os.read(reader, 1 << 16)
    assert read.startswith(f"0 {LINE}\n1 {LINE}\n".encode())
    os.close(reader)  # whoever waits in the pipe goes on
    console.file.close()


def test_whoever_reads_has_all_of_it_in_order_before_what_is_said_afterwards():
    reader, console = pipe_console()
    read = bytearray()

    def empty() -> None:
        while piece := os.read(reader, 1 << 16):
            read.extend(piece)

    thread = threading.Thread(target=empty)
    thread.start()
    console.print("before")
    with unheld(console):
        for number in range(WAITING // 3):
            console.print(f"{number} µm", highlight=False)
    console.print("after")
    console.file.close()
    thread.join()
    wanted = ["before", *(f"{number} µm" for number in range(WAITING // 3)), "after"]
    assert read.decode().splitlines() == wanted


def test_a_reader_that_is_gone_ends_nothing():
    reader, console = pipe_console()
    os.close(reader)
    with unheld(console):
        for _ in range(100):
            console.print(LINE)
    console.file.close()


def test_files_and_streams_in_memory_are_written_to_as_ever(tmp_path):
    with (tmp_path / "out").open("w+") as file:
        for stream in (file, io.StringIO()):
            console = Console(file=stream)
            with unheld(console):
                assert console.file is stream
                console.print("there")
            stream.seek(0)
            assert stream.read() == "there\n"
