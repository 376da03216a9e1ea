"""What a pass is asked, and what it gives: inputs, objective, trace, gradients."""
