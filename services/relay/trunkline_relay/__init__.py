"""The relay: folds what happened into views and answers queries from them."""
