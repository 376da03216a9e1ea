"""`python -m graphprop`."""

from graphprop.cli.commands import main

raise SystemExit(main())
