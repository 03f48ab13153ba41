"""One module per subject; each has a `router`. A route names the action it needs by `may(Action...)`, or says
`open_to_all`; a route without either fails a test."""
