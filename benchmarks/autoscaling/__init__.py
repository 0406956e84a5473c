"""A simulation of the autoscaler: the load of a day, the cluster's controller, the processes."""
