"""Training of the network that finds faces, on pictures whose faces have a box and an angle."""
