"""Exports of the finished map."""

from __future__ import annotations

from runtime.record.journal import Journal
from runtime.record.run_folder import RunFolder
from runtime.record.storage import disk_full_is_resumable
from runtime.report.page import write_report
from runtime.stitch.map.export import write_ome_tiff, write_png

__all__ = ["export_map", "write_report"]


def export_map(folder: RunFolder, journal: Journal) -> None:
    """Write the map as OME-TIFF and as a picture, whose scale goes into the journal."""
    with disk_full_is_resumable("the exported map"):
        write_ome_tiff(folder.mosaic, folder.ome_tiff)
        picture = write_png(folder.mosaic, folder.picture)
    journal.note(map_png=picture)
