"""Looking at what runs found, image by image: lists, pictures, and two pages that show them."""
