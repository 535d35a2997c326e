"""What does caching do to a site? A small Django site that shows it, page by page."""
