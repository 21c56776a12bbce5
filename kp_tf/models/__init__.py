"""Networks, with keras alone, so that any of its backends runs them."""
