"""`asya login`: a caller's tokens by OAuth 2.1, kept on this machine."""
