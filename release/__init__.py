"""Publishing the trials: bundle, card, checks, publish, loader."""
