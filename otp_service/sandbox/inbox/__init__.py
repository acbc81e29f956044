"""The inbox: the SMS that the sandbox has "sent", and the pages and JSON that show them."""
