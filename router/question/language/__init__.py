"""English: words, numbers, times, comparisons, and what the words of a question refer to."""
