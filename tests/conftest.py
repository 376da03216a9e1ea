"""What all tests and snippets see: a terminal of 80 columns, however wide it is."""

import os

os.environ["COLUMNS"] = "80"
