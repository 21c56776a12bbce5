"""What is built on prediction and evaluation: the competition, exported files, the page."""
