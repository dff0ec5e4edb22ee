"""Looking into hosts on behalf of API processes."""
