"""Samples to `tf.data` batches: decode, augment, batch."""
