"""Where a number comes from: its formulas, with numbers put in."""
