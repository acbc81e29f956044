"""What stands in other people's pages: the widget. Touches nothing."""
