"""Photographs, frames and clips to faces with landmarks."""
