"""Errors of predictions on labelled faces: metrics, tables, figures."""
