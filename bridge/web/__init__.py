"""What web pages of this program have in common: who may ask, and how a page is put together."""
