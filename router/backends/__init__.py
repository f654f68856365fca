"""The stores a question can be answered from, behind one narrow Protocol (``base.Backend``)."""
