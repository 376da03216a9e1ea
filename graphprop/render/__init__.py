"""Pictures of networks and the page: what is shown as data, then text made of it."""
