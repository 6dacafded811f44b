"""How fast it is: workloads as data, medians over repeats, the outcome checked in each."""
