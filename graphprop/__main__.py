"""`python -m graphprop`."""

from graphprop.cli import main

raise SystemExit(main())
