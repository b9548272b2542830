"""The web page of a fleet: what `status` and `explain` show, for a browser. It only reads."""
