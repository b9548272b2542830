"""The JSON documents: their models, and how they are filled from the journal."""
