"""Eyes: what cameras on road users see of a simulated world."""
