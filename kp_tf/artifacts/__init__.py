"""What a training leaves on disk: run directories, packed weights, and what both say of their network."""
