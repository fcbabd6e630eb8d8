"""The morning page: one self-contained HTML file made from a run's journal and its map."""
