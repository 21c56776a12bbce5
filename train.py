"""Train one part: python train.py --part 2"""

import sys

from kp_tf.cli import run_command

if __name__ == "__main__":
    sys.exit(run_command("train", "train.py"))
