"""`python -m kp_tf`."""

import sys

from kp_tf.cli import main

if __name__ == "__main__":
    sys.exit(main())
