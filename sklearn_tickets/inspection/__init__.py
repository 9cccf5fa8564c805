"""Looking into planted networks and fitted pruners: analyses, and displays of them."""

from sklearn_tickets.inspection._detectability import DetectabilityDisplay, detectability

__all__ = ["DetectabilityDisplay", "detectability"]
