"""Studies: experiments of the literature on error-prone memory, repeated with this machine."""
