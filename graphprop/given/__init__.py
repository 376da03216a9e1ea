"""What a user gives, read and checked: numbers, data frames, flags, seeds; and whether it fits into memory."""
