"""The exact optimum of linear models, and what follows from it: standard errors, likelihoods."""
