"""Nothing here is a test: pytest, which looks for examples in every module, is told not to look."""

collect_ignore_glob = ["*.py"]
