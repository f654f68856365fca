"""Questions that people at the company ask, with the records that answer them."""
