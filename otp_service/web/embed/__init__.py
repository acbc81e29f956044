"""What people see: the widget in other people's pages, and the hosted page. Touches nothing."""
