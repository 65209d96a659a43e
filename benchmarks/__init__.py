"""Speed and memory of corelet beside its peers, measured in one run; docs/performance.md explains it."""
