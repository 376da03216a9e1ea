"""Pictures of networks: what is shown as data, then DOT text and SVG made of it."""
