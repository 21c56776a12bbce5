"""Write the competition's CSV from a trained part 3: python predict_kaggle.py"""

import sys

from kp_tf.cli import run_command

if __name__ == "__main__":
    sys.exit(run_command("submit", "predict_kaggle.py"))
