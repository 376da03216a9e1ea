"""The same pass, compiled: from a layout to arrays, and how a batch is run over them."""
