"""Are the gradients right? Which of them are wrong, and why?"""
