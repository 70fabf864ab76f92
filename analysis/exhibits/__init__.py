"""What a report and `finetune show` have to show: the artefacts, and what they give of some trials.

`exhibit` has the protocol, `story` the artefacts in their order; the other modules make them.
"""
