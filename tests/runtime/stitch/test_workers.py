"""Work on several cores: the same results in the same order, taken just ahead, errors told."""

from functools import partial
from threading import Barrier, Event, Thread, current_thread

import cv2
import numpy as np
import pytest

from runtime.stitch.stitcher import Stitcher
from runtime.stitch.workers import Workers, on_all_cores, workers
from runtime.threads import pool
from tests.runtime.stitch.stitch_scans import SHAPE_PX, nothing_earlier, scan


def test_results_come_in_the_order_of_the_jobs_though_others_end_first():
    both = Barrier(2, timeout=60)
    jobs = [lambda: both.wait() and 0, lambda: both.wait() and 0, *(partial(int, n) for n in "234")]
    assert list(on_all_cores(jobs))[2:] == [2, 3, 4]


def test_jobs_are_taken_by_the_caller_and_only_just_ahead_of_the_work():
    taken = []

    def jobs():
        for number in range(100):
            taken.append(current_thread())
            yield partial(int, number)

    with workers() as cores:
        assert next(cores.run(jobs())) == 0
    assert set(taken) == {current_thread()}
    assert len(taken) < 10


def test_no_thread_is_started_in_the_middle_of_the_work(monkeypatch):
    with workers() as cores:

        def refused(_):
            raise MemoryError

        monkeypatch.setattr(Thread, "start", refused)
        assert list(cores.run(partial(int, n) for n in "12345678")) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_when_one_fails_those_that_were_begun_have_ended():
    begun, ended = Event(), Event()

    def fails():
        begun.wait(60)
        raise OSError("the disk is gone")

    def goes_on():
        begun.set()
        ended.wait(0.05)
        ended.set()

    with pytest.raises(OSError, match="the disk is gone"):
        list(on_all_cores([fails, goes_on]))
    assert ended.is_set()


def test_an_error_in_a_job_reaches_the_caller_and_opencv_gets_its_threads_back():
    threads = cv2.getNumThreads()
    with pytest.raises(ZeroDivisionError):
        list(on_all_cores([lambda: 1 // 0]))
    assert cv2.getNumThreads() == threads


def test_overlaps_of_several_tiles_matched_side_by_side_are_matched_as_one_by_one():
    made = scan(noise=4.0)

    def matched(at_once, run):
        stitcher = Stitcher(px_from_stage=np.eye(2), stage_sigma_px=2.0, shape_px=SHAPE_PX)
        found = []
        for begin in range(0, len(made.tiles), at_once):
            some = made.tiles[begin : begin + at_once]
            met = []
            for tile in some:
                seen = stitcher.look(tile.pixels)
                at = {"x_um": tile.x_um, "y_um": tile.y_um}
                met.append(stitcher.meet(tile.tile_id, seen, **at, earlier=nothing_earlier))
                stitcher.stand(tile.tile_id, **at)
            shifts = iter(run(job for one in met for job in one.jobs))
            for tile, one in zip(some, met, strict=True):
                found.append(one.matches([next(shifts) for _ in one.jobs]))
                stitcher.hold(tile.tile_id, found[-1], x_um=tile.x_um, y_um=tile.y_um)
        return found, stitcher.solve()

    with workers() as cores:
        together = matched(5, cores.run)
    assert together == matched(1, lambda jobs: [job() for job in jobs])
    assert sum(len(matches.shifts) for matches in together[0]) > len(made.tiles)


def test_whoever_asks_does_what_nobody_has_begun_and_tells_its_error_in_its_turn():
    begun, later, by = Event(), Event(), []

    def lasts():
        begun.set()
        return later.wait(60)

    def fails():
        by.append(current_thread())
        later.set()
        raise OSError("the disk is gone")

    def jobs():
        yield lasts
        assert begun.wait(60)
        yield from [fails] * 3

    results = Workers(pool("one", 1), 2).run(jobs())
    assert next(results) is True
    with pytest.raises(OSError, match="the disk is gone"):
        next(results)
    assert by[0] is current_thread()
