"""Values, numbers and times of a question, as conditions of a draft."""
