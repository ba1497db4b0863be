"""The digit in a picture, as MNIST would store it: `find_digit` is the way in, the other files are its steps."""
