"""The figures on the pages are those in the measured files."""

import subprocess
import sys
from pathlib import Path

TABLES = Path(__file__).parents[1] / "benchmarks" / "tables.py"


def test_every_table_of_figures_says_what_the_measured_files_say():
    checked = subprocess.run([sys.executable, TABLES, "--check"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
