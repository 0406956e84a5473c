"""Detection measured on recordings: the stages of the flow, and metrics of what they say."""
