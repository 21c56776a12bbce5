"""From photographs, frames and clips to faces with landmarks."""
