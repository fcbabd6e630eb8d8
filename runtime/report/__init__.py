"""The morning page: one self-contained HTML file made from a run's journal and its map."""

from runtime.report.page import write_report

__all__ = ["write_report"]
