"""What a person sees: the terminal itself, the progress of a run, and the screens of each command."""
