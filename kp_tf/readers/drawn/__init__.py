"""Drawn faces: the head and its landmarks, the mesh, the paint, and who is drawn."""
