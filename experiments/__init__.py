"""Tables and figures of the study, one short script each; see `grid` for the machinery."""
