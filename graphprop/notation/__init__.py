"""How names, numbers and formulas are written."""
