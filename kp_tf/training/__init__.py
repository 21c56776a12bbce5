"""A recipe and labelled faces to a run directory."""
