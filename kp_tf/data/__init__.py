"""Label files and photographs on disk to samples: readers, splits, downloads and synthetic faces."""
