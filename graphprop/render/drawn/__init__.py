"""How a picture looks: letters, colours, figures; and the picture as SVG and as DOT."""
