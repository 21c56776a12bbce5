"""What every other room uses: errors, files, geometry, pictures and keypoints. NumPy and Pillow alone."""
