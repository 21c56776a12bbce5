"""How the data sets lie in a data folder, as their archives unpack."""

from pathlib import Path

FOLDERS = {"imm": "imm_face_db", "ibug": "ibug_300W_large_face_landmark_dataset"}
TRAIN_XML = "labels_ibug_300W_train.xml"
TEST_XMLS = ("labels_ibug_300W_test_parsed.xml", "labels_ibug_300W_test.xml")  # Kaggle's package, dlib's archive
DATA = Path("data")  # in the working directory: where downloads go
