"""`python -m kp_tf`, which is the same as `kp-tf`."""

import sys

from kp_tf.cli import main

if __name__ == "__main__":
    sys.exit(main(program="python -m kp_tf"))
