"""The fake `om`: a cluster kept in one directory, without a daemon. See ../om."""
