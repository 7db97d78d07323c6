"""Fakes of the outside worlds that Tiphys' components meet, for our tests and for those of its users."""
