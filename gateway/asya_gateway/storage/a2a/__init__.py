"""What A2A keeps beside tasks."""
